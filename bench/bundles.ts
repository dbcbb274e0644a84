import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Cost, Order } from './bundles/server.ts'
import type { Row } from './row.ts'

// What serving a bundle costs beside a bare node:http server that sends the same bytes, as processor time of the server's
// process per request (the machine's speed swings: short paired rounds, medians); and what 10,000 long polls cost.

const rounds = 15
const requestsPerRound = 4_000
const connections = 16
const waiters = 10_000
/** Processor time per request, relative to the bare server. */
const bound = 1.35
const longestHoldMs = 50

interface Server {
  child: ChildProcess
  port: number
  etag: string
}

export async function* run(): AsyncGenerator<Row> {
  const servers = [await start('bare'), await start('ours')] as const
  try {
    for (const [what, headers] of [
      ['200, 10 KiB', ''],
      ['304', `If-None-Match: ${servers[1].etag}\r\nPrefer: modes=snapshot,delta\r\n`],
    ] as const) {
      const [bare, ours] = await compare(servers, headers)
      const ratio = ours / bare
      yield {
        what: `bundle endpoint: ${what}, processor time`,
        ours: `${ratio.toFixed(2)} × bare (${ours.toFixed(1)} µs)`,
        beside: `bare node:http ${bare.toFixed(1)} µs`,
        goal: `≤ ${bound}`,
        holds: ratio <= bound,
      }
    }
    yield await measureWaiting(servers[1])
  } finally {
    for (const { child } of servers) child.disconnect()
  }
}

async function start(kind: 'bare' | 'ours'): Promise<Server> {
  const child = fork(fileURLToPath(new URL('./bundles/server.ts', import.meta.url)), [kind])
  const [{ url, etag }] = (await once(child, 'message')) as [{ url: string; etag: string }]
  return { child, port: Number(new URL(url).port), etag }
}

async function order({ child }: Server, what: Order): Promise<Cost> {
  child.send(what)
  const [cost] = (await once(child, 'message')) as [Cost]
  return cost
}

/** Median processor time in microseconds per request, of each. */
async function compare(servers: readonly [Server, Server], headers: string): Promise<[number, number]> {
  const costs: [number[], number[]] = [[], []]
  for (let round = -2; round < rounds; round++) {
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      await order(servers[index], 'reset')
      await load(servers[index].port, headers)
      const { cpuUs } = await order(servers[index], 'cost')
      if (round >= 0) costs[index].push(cpuUs / requestsPerRound)
    }
  }
  return [median(costs[0]), median(costs[1])]
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

/** Keep-alive connections, one request at a time on each; as little client as can be, it shares the machine. */
async function load(port: number, headers: string): Promise<void> {
  const head = `GET /bundles/authz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUser-Agent: Open Policy Agent/1.22.0 (linux, amd64)\r\n${headers}\r\n`
  const perConnection = requestsPerRound / connections
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = connect(port, '127.0.0.1')
      for (let sent = 0; sent < perConnection; sent++) {
        socket.write(head)
        await answer(socket)
      }
      socket.destroy()
    }),
  )
}

/** Until one answer has arrived. */
function answer(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let missing: number | undefined
    const take = (chunk: Buffer) => {
      if (missing === undefined) {
        const end = chunk.indexOf('\r\n\r\n') + 4
        const length = /^Content-Length: (\d+)/im.exec(chunk.toString('latin1', 0, end))
        missing = end + Number(length?.[1] ?? 0)
      }
      missing -= chunk.length
      if (missing > 0) return
      socket.off('data', take).off('error', reject)
      resolve()
    }
    socket.on('data', take).once('error', reject)
  })
}

async function measureWaiting(server: Server): Promise<Row> {
  const before = await order(server, 'cost')
  const head = `GET /bundles/authz HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\nPrefer: wait=50\r\nIf-None-Match: ${server.etag}\r\n\r\n`
  const sockets: Socket[] = []
  for (let at = 0; at < waiters; at += 250) {
    await Promise.all(
      Array.from({ length: 250 }, async () => {
        const socket = connect(server.port, '127.0.0.1')
        await once(socket, 'connect')
        socket.write(head)
        sockets.push(socket)
      }),
    )
  }
  await new Promise((resolve) => setTimeout(resolve, 500))
  const held = await order(server, 'reset')
  const answers = Promise.all(sockets.map(answer))
  const startedMs = performance.now()
  await order(server, 'activate')
  await answers
  const tookMs = performance.now() - startedMs
  const { longestMs } = await order(server, 'cost')
  for (const socket of sockets) socket.destroy()
  const each = (held.residentBytes - before.residentBytes) / waiters / 1024
  return {
    what: `${waiters} waiting clients: memory each, all answered after a push, longest stall of the loop`,
    ours: `${each.toFixed(1)} KiB, ${tookMs.toFixed(0)} ms, ${longestMs.toFixed(0)} ms`,
    beside: '',
    goal: `loop ≤ ${longestHoldMs} ms`,
    holds: longestMs <= longestHoldMs,
  }
}
