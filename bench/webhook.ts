import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import { freePort } from '../test/support/ports.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { startDistributionV3 } from '../test/support/registries.ts'
import { removeTempDirs } from '../test/support/temp.ts'
import { prepareFleet } from './fleet.ts'
import { openClient, policies, pushPolicy } from './policy.ts'
import type { Row } from './row.ts'

// How soon somebody else's registry is answered that tells of a push, also where all of many bundles look because of it; and how long
// it takes from the beginning of a push to such a registry until the release is served here. Absolute, since these are latencies of our own.

const token = 'a-token-of-both-sides'
const linked = 2_000
const deliveries = 30
const goalAnswerMs = 100
const pushes = 100
const goalServedMs = { p50: 250, p99: 1_000 }

export async function* run(): AsyncGenerator<Row> {
  yield await measureAnswers()
  yield await measurePushes()
}

/** One after the other: the looks that one begins are under way when the next comes. */
async function measureAnswers(): Promise<Row> {
  const fleet = await prepareFleet({ count: linked, bytesEach: 1024, schedule: '1h' })
  try {
    await fleet.startUpstream()
    const bundles = Object.entries(fleet.config.bundles).map(([name, bundle]) => {
      return [name, { ...(bundle as object), webhooks: ['ci'] }]
    })
    const webhooks = { ci: { type: 'generic', token } }
    const config = { bundles: Object.fromEntries(bundles) as object, webhooks, server: { ready_timeout: '10ms' } }
    const server = await startLongshore({ folder: fleet.folder, config })
    const times: number[] = []
    for (let count = 0; count < deliveries; count++) {
      const startedAt = performance.now()
      const headers = { Authorization: `Bearer ${token}` }
      const answer = await server.fetch('/v1/webhooks/ci', { method: 'POST', headers })
      const { looking } = (await answer.json()) as { looking: string[] }
      if (looking.length !== linked) throw new Error(`${looking.length} look, not ${linked}`)
      times.push(performance.now() - startedAt)
    }
    const sorted = times.toSorted((a, b) => a - b)
    const [p50, most] = [sorted[deliveries / 2]!, sorted.at(-1)!]
    return {
      what: `a webhook's answer, ${linked} bundles being looked at because of it and the ones before`,
      ours: `p50 ${p50.toFixed(0)} ms, most ${most.toFixed(0)} ms`,
      beside: '',
      goal: `≤ ${goalAnswerMs} ms`,
      holds: most <= goalAnswerMs,
    }
  } finally {
    await stopAllProcesses()
    fleet.remove()
  }
}

async function measurePushes(): Promise<Row> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/v1/webhooks/hub`
  const headers = { Authorization: [`Bearer ${token}`] }
  const registry = await startDistributionV3({ notify: [{ url, headers }] })
  const client = openClient()
  try {
    await pushPolicy(client, registry, 'first')
    const store = { type: 'oci', repository: `${registry.host}/${policies}` }
    const server = await startLongshore({
      port,
      config: {
        bundles: { authz: { store, schedule: '1h', webhooks: ['hub'] } },
        webhooks: { hub: { type: 'registry', token } },
      },
    })
    const times: number[] = []
    let etag = await served(server, '')
    for (let number = 0; number < pushes; number++) {
      const startedAt = performance.now()
      const [next] = await Promise.all([served(server, etag), pushPolicy(client, registry, `version ${number}`)])
      times.push(performance.now() - startedAt)
      etag = next
    }
    const sorted = times.toSorted((a, b) => a - b)
    const [p50, p99] = [sorted[Math.floor(pushes * 0.5)]!, sorted[Math.floor(pushes * 0.99)]!]
    return {
      what: `push to distribution → served here, ${pushes} pushes`,
      ours: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      beside: '',
      goal: `p50 ≤ ${goalServedMs.p50} ms, p99 ≤ ${goalServedMs.p99} ms`,
      holds: p50 <= goalServedMs.p50 && p99 <= goalServedMs.p99,
    }
  } finally {
    await client.close()
    await stopAllProcesses()
    removeTempDirs()
  }
}

/** Waits, as OPA does, for another release than this one. */
async function served(server: Longshore, etag: string): Promise<string> {
  const headers = { 'If-None-Match': etag, Prefer: 'modes=snapshot;wait=30' }
  const answer = await server.fetch('/bundles/authz', { headers })
  await answer.arrayBuffer()
  if (answer.status !== 200) throw new Error(`waited in vain for another release than ${etag}: ${answer.status}`)
  return answer.headers.get('etag')!
}
