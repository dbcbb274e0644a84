import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { prepareFleet, type FleetOptions } from './fleet.ts'
import type { Row } from './row.ts'

// What it costs to look at many bundles that do not change, each once a minute, in a real registry: requests, bytes, and
// processor time.

const count = 2_000
const everySeconds = 60
/** The first look at each asks the state what it knows; what is measured is what it costs from then on. */
const settleMs = 70_000
const windowMs = 30_000
/** Of one core. */
const goalShare = 0.05
/** The answer to a HEAD, or that a list of tags did not change. */
const goalBytes = 1024

export async function* run(): AsyncGenerator<Row> {
  yield* measure('', { count, bytesEach: 1024, schedule: `${everySeconds}s` }, 1)
  const tagged = { every: 10, tags: 1_000 }
  const what = `, a tenth of them by a range of ${tagged.tags} tags`
  yield* measure(what, { count, bytesEach: 1024, schedule: `${everySeconds}s`, tagged }, 1 + 1 / tagged.every)
}

async function* measure(which: string, options: FleetOptions, requestsEach: number): AsyncGenerator<Row> {
  const fleet = await prepareFleet(options)
  const upstream = await fleet.startUpstream()
  try {
    const { folder, config } = fleet
    const server = await startLongshore({ folder, config: { ...config, server: { ready_timeout: '10ms' } } })
    await sleep(settleMs)
    const before = await countsOf(server, upstream)
    await sleep(windowMs)
    const after = await countsOf(server, upstream)
    const looks = after.looks - before.looks
    const msEach = (after.cpuMs - before.cpuMs) / looks
    const share = (msEach * count) / everySeconds / 1000
    yield {
      what: `${count} bundles looked at every ${everySeconds} s${which}, nothing new: processor time`,
      ours: `${(share * 100).toFixed(1)} % of a core (${msEach.toFixed(2)} ms each, ${looks} in ${windowMs / 1000} s)`,
      beside: '',
      goal: `≤ ${goalShare * 100} %`,
      holds: share <= goalShare,
    }
    const requests = after.requests - before.requests
    yield {
      what: `requests for each look${which}`,
      ours: (requests / looks).toFixed(2),
      beside: '',
      goal: `${requestsEach}`,
      // A few may be under way at each count, and which of the bundles come in the window is chance.
      holds: Math.abs(requests / looks - requestsEach) <= 0.05,
    }
    yield {
      what: `bytes received for each look${which}, heads of the answers included`,
      ours: ((after.bytes - before.bytes) / looks).toFixed(0),
      beside: '',
      goal: `≤ ${goalBytes}`,
      holds: (after.bytes - before.bytes) / looks <= goalBytes,
    }
  } finally {
    await stopAllProcesses()
    fleet.remove()
  }
}

async function countsOf(server: Longshore, upstream: Longshore) {
  const [requests, looks] = await Promise.all([
    upstream.metric('longshore_http_requests_total', { route: 'v2' }),
    server.metric('longshore_looks_total', { outcome: 'unchanged' }),
  ])
  return { requests, looks, cpuMs: cpuMsOf(server), bytes: bytesReadBy(server) }
}

/** From sockets and files; a look without change reads no file. https://man7.org/linux/man-pages/man5/proc_pid_io.5.html */
function bytesReadBy({ process }: Longshore): number {
  return Number(/^rchar: ([0-9]+)$/m.exec(readFileSync(`/proc/${process.pid}/io`, 'utf8'))![1])
}

/** User and system, of all threads; a tick is 10 ms. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuMsOf({ process }: Longshore): number {
  const [user, system] = readFileSync(`/proc/${process.pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13)
  return (Number(user) + Number(system)) * 10
}
