import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLongshore, type Longshore } from '../test/support/longshore.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { prepareFleet } from './fleet.ts'
import type { Row } from './row.ts'

// What it costs to look at many bundles that do not change, each once a minute, in a real registry: requests, and processor time.

const count = 2_000
const everySeconds = 60
/** The first look at each asks the state what it knows; what is measured is what it costs from then on. */
const settleMs = 70_000
const windowMs = 30_000
/** Of one core. */
const goalShare = 0.05

export async function* run(): AsyncGenerator<Row> {
  const schedule = `${everySeconds}s`
  const fleet = await prepareFleet({ count, bytesEach: 1024, schedule })
  const upstream = await fleet.startUpstream()
  try {
    const { folder, config } = fleet
    const server = await startLongshore({ folder, config: { ...config, server: { ready_timeout: '10ms' } } })
    await sleep(settleMs)
    const before = { looks: await requests(upstream), cpuMs: cpuMsOf(server) }
    await sleep(windowMs)
    const looks = (await requests(upstream)) - before.looks
    const msEach = (cpuMsOf(server) - before.cpuMs) / looks
    const share = (msEach * count) / everySeconds / 1000
    const done = await server.metric('longshore_looks_total', { outcome: 'unchanged' })
    yield {
      what: `${count} bundles looked at every ${everySeconds} s, nothing new: processor time`,
      ours: `${(share * 100).toFixed(1)} % of a core (${msEach.toFixed(2)} ms each, ${looks} in ${windowMs / 1000} s)`,
      beside: '',
      goal: `≤ ${goalShare * 100} %`,
      holds: share <= goalShare,
    }
    const asked = await requests(upstream)
    yield {
      what: 'requests for each look',
      ours: (asked / done).toFixed(2),
      beside: '',
      goal: '1',
      // One or two may be under way between the two counts.
      holds: Math.abs(asked - done) <= 5,
    }
  } finally {
    await stopAllProcesses()
    fleet.remove()
  }
}

function requests(upstream: Longshore): Promise<number> {
  return upstream.metric('longshore_http_requests_total', { route: 'v2' })
}

/** User and system, of all threads; a tick is 10 ms. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuMsOf({ process }: Longshore): number {
  const [user, system] = readFileSync(`/proc/${process.pid}/stat`, 'utf8').split(') ')[1]!.split(' ').slice(11, 13)
  return (Number(user) + Number(system)) * 10
}
