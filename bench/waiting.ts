import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Longshore } from '../test/support/longshore.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import { authorization, packPolicy, pushTo, startOurs } from './rates/ours.ts'
import type { Row } from './row.ts'

// What 10,000 clients that wait cost a running server, and how long it takes to tell them all of a push.

const clients = 10_000
const atOnce = 250
const pushes = 5
const bundle = 'small'
const path = `/bundles/${bundle}`
const bytesEach = 10 * 1024
const goals = { bytesEach: 20_000, answeredMs: 500, stallMs: 50 }

export async function* run(): AsyncGenerator<Row> {
  try {
    const server = await startOurs([bundle], [])
    await pushTo(server.host, `policies/${bundle}`, await packPolicy(bundle, bytesEach))
    await server.look(bundle)
    yield* holdMany(server)
  } finally {
    await stopAllProcesses()
    removeTempDirs()
  }
}

async function* holdMany(server: Longshore): AsyncGenerator<Row> {
  let etag = (await server.fetch(path)).headers.get('etag')!
  const ask = (client: Client) =>
    client.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: ${server.host}\r\n${authorization}\r\nPrefer: wait=50\r\nIf-None-Match: ${etag}\r\n\r\n`,
    )
  const before = residentBytes(server)
  const all: Client[] = []
  while (all.length < clients) {
    all.push(...(await Promise.all(Array.from({ length: atOnce }, () => open(server.port)))))
    for (const client of all.slice(-atOnce)) ask(client)
  }
  await held(server)
  const each = (residentBytes(server) - before) / clients
  yield row(`memory for each of ${clients}`, `${each.toFixed(0)} B`, `≤ ${goals.bytesEach} B`, each <= goals.bytesEach)

  const times: number[] = []
  const stalls: number[] = []
  for (let push = 0; push < pushes; push++) {
    const packed = await packPolicy(bundle, bytesEach)
    await longestStallMs(server)
    const answered = Promise.all(all.map(answer))
    const released = pushTo(server.host, `policies/${bundle}`, packed)
    const [last] = (await answered).sort((a, b) => b.atMs - a.atMs)
    times.push(last!.atMs - (await released))
    stalls.push(await longestStallMs(server))
    etag = last!.etag
    for (const client of all) ask(client)
    await held(server)
  }
  const [tookMs, stallMs] = [Math.max(...times), Math.max(...stalls)]
  const [took, stall] = [`${tookMs.toFixed(0)} ms`, `${stallMs.toFixed(0)} ms`]
  const worst = `the longest of ${pushes} pushes`
  yield row(`all answered after a push, ${worst}`, took, `≤ ${goals.answeredMs} ms`, tookMs <= goals.answeredMs)
  yield row(`longest stall of the loop meanwhile, ${worst}`, stall, `≤ ${goals.stallMs} ms`, stallMs <= goals.stallMs)
  for (const { socket } of all) socket.destroy()
}

function row(what: string, ours: string, goal: string, holds: boolean): Row {
  return { what: `${clients} waiting clients: ${what}`, ours, beside: '', goal, holds }
}

/** All read into one piece of memory: what a client costs here is time that the server's answers seem to take. */
const received = Buffer.allocUnsafe(64 * 1024)

interface Client {
  socket: Socket
  /** Told how many bytes of `received` are this client's, until it is used for the next. */
  take?: (bytes: number) => void
}

async function open(port: number): Promise<Client> {
  const callback = (bytes: number) => {
    client.take?.(bytes)
    return true
  }
  const client: Client = { socket: connect({ port, host: '127.0.0.1', onread: { buffer: received, callback } }) }
  await once(client.socket, 'connect')
  return client
}

/** Until all are held, and what was thrown away meanwhile is collected. */
async function held(server: Longshore): Promise<void> {
  while ((await server.metric('longshore_waiting_clients')) < clients) await sleep(100)
  await sleep(1_000)
}

function residentBytes({ process }: Longshore): number {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024
}

/** Since it was last asked. */
async function longestStallMs(server: Longshore): Promise<number> {
  return (await server.metric('nodejs_eventloop_lag_max_seconds')) * 1000
}

/** Until one answer has arrived in full. */
function answer(client: Client): Promise<{ atMs: number; etag: string }> {
  return new Promise((resolve, reject) => {
    let missing: number | undefined
    let head = ''
    client.take = (bytes) => {
      if (missing === undefined) {
        const end = received.indexOf('\r\n\r\n') + 4
        head = received.toString('latin1', 0, end)
        missing = end + Number(/^Content-Length: (\d+)/im.exec(head)![1])
      }
      missing -= bytes
      if (missing > 0) return
      client.socket.off('error', reject)
      resolve({ atMs: performance.now(), etag: /^ETag: (.*)$/im.exec(head)![1]!.trim() })
    }
    client.socket.once('error', reject)
  })
}
