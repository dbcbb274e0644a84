import { connect, type Socket } from 'node:net'
import type { OciClient } from '../src/oci/client.ts'
import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import { startOpa, type Opa } from '../test/support/opa.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import { openClient, policies, pushPolicy } from './policy.ts'
import type { Row } from './row.ts'

// How long it takes from the beginning of a push to the built-in registry until a real, long-polling OPA decides by it,
// alone and while others wait too. Absolute, since it is a latency of our own.

const pushes = 200
const crowd = 1_000
const goalMs = { p50: 100, p99: 500 }

export async function* run(): AsyncGenerator<Row> {
  const server = await startLongshore({
    config: { bundles: { authz: { store: { type: 'local', repository: policies } } } },
  })
  const client = openClient()
  try {
    await pushPolicy(client, server, 'first')
    const opa = await startOpa({ config: opaConfig(server.url) })
    await decides(opa, 'first')
    yield await measure('alone', client, server, opa)
    const waiting = await holdMany(server)
    yield await measure(`while ${crowd} others wait`, client, server, opa)
    for (const socket of waiting) socket.destroy()
  } finally {
    await client.close()
    await stopAllProcesses()
    removeTempDirs()
  }
}

async function measure(what: string, client: OciClient, server: Longshore, opa: Opa): Promise<Row> {
  const times: number[] = []
  for (let number = 0; number < pushes; number++) {
    const version = `${what} ${number}`
    const startedAt = performance.now()
    await pushPolicy(client, server, version)
    await decides(opa, version)
    times.push(performance.now() - startedAt)
  }
  times.sort((a, b) => a - b)
  const [p50, p99] = [times[Math.floor(pushes * 0.5)]!, times[Math.floor(pushes * 0.99)]!]
  return {
    what: `push → a long-polling OPA decides, ${pushes} pushes ${what}`,
    ours: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
    beside: '',
    goal: `p50 ≤ ${goalMs.p50} ms, p99 ≤ ${goalMs.p99} ms`,
    holds: p50 <= goalMs.p50 && p99 <= goalMs.p99,
  }
}

async function decides(opa: Opa, version: string): Promise<void> {
  const deadline = performance.now() + 30_000
  while ((await opa.query('authz/version')) !== version) {
    if (performance.now() > deadline) throw new Error(`OPA does not decide by ${version}:\n${opa.process.output()}`)
  }
}

/** Clients that wait like OPA, and ask again as soon as they are answered. */
async function holdMany(server: Longshore): Promise<Socket[]> {
  const current = await fetch(`${server.url}/bundles/authz`)
  let etag = current.headers.get('etag')!
  const ask = (socket: Socket) =>
    socket.write(
      `GET /bundles/authz HTTP/1.1\r\nHost: ${server.host}\r\nIf-None-Match: ${etag}\r\nPrefer: modes=snapshot,delta;wait=50\r\n\r\n`,
    )
  return Promise.all(
    Array.from({ length: crowd }, async () => {
      const socket = connect(server.port, '127.0.0.1')
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
      socket.on('data', (data) => {
        const told = /\r\nETag: ("[^"]+")/i.exec(data.toString('latin1'))
        if (told === null) return
        etag = told[1]!
        ask(socket)
      })
      ask(socket)
      return socket
    }),
  )
}

function opaConfig(url: string) {
  const polling = { min_delay_seconds: 60, max_delay_seconds: 120, long_polling_timeout_seconds: 30 }
  return {
    services: { longshore: { url } },
    bundles: { authz: { service: 'longshore', resource: 'bundles/authz', polling } },
  }
}
