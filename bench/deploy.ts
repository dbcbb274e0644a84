import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { Event } from '../src/model/event.ts'
import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { startOlareg } from '../test/support/registries.ts'
import { removeTempDirs, tempDir } from '../test/support/temp.ts'
import { openClient, policies, pushPolicy } from './policy.ts'
import type { Row } from './row.ts'

// How long it takes from the beginning of a push to the built-in registry until the release is deployed, as the event of its
// success tells: to a folder, synced, and to a real registry. Absolute, since it is a latency of our own.

const pushes = 100
const goalMs = { p50: 250, p99: 1_000 }

export async function* run(): AsyncGenerator<Row> {
  const client = openClient()
  const registry = await startOlareg()
  const places = {
    directory: { type: 'directory', root: join(tempDir('deploy'), 'place') },
    registry: { type: 'oci', repository: `${registry.host}/prod/authz` },
  }
  try {
    for (const [place, deployer] of Object.entries(places)) {
      const server = await startLongshore({
        config: {
          bundles: { authz: { store: { type: 'local', repository: policies }, deploy: [{ to: place }] } },
          deployers: { [place]: deployer },
        },
      })
      const hear = await listen(server)
      const times: number[] = []
      for (let number = 0; number < pushes; number++) {
        const startedAt = performance.now()
        await pushPolicy(client, server, `${place} ${number}`)
        await hear()
        times.push(performance.now() - startedAt)
      }
      yield rowOf(place, times)
      await server.stop()
    }
  } finally {
    await client.close()
    await stopAllProcesses()
    removeTempDirs()
  }
}

function rowOf(place: string, times: number[]): Row {
  const sorted = times.toSorted((a, b) => a - b)
  const [p50, p99] = [sorted[Math.floor(pushes * 0.5)]!, sorted[Math.floor(pushes * 0.99)]!]
  return {
    what: `push → deployed to a ${place}, ${pushes} pushes`,
    ours: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
    beside: '',
    goal: `p50 ≤ ${goalMs.p50} ms, p99 ≤ ${goalMs.p99} ms`,
    holds: p50 <= goalMs.p50 && p99 <= goalMs.p99,
  }
}

/** The returned function waits for the next deployment that succeeds. Throws when one fails. */
async function listen({ url }: Longshore): Promise<() => Promise<void>> {
  const { body } = await fetch(`${url}/api/v1/events`)
  const lines = createInterface({ input: Readable.fromWeb(body!) })[Symbol.asyncIterator]()
  return async () => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done === true) throw new Error('the stream of events ended')
      if (!value.startsWith('data: ')) continue
      const event = JSON.parse(value.slice('data: '.length)) as Event
      if (event.type === 'deployment.failed') throw new Error(`a deployment failed: ${String(event.data.error)}`)
      if (event.type === 'deployment.succeeded') return
    }
  }
}
