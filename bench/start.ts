import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { isAnswering } from '../test/support/http.ts'
import { programPath } from '../test/support/longshore.ts'
import { freePort } from '../test/support/ports.ts'
import { stopAllProcesses } from '../test/support/process.ts'
import { removeTempDirs, tempDir } from '../test/support/temp.ts'
import { prepareFleet, type Fleet } from './fleet.ts'
import { median } from './rates/compare.ts'
import type { Row } from './row.ts'

// How long a restart takes with many bundles, from the start of the process to the first answer, what the process holds
// when it has settled, and what it asks of the registry that they all follow meanwhile.

const count = 1_000
const bytesEach = 10 * 1024
/** The first, whose code is compiled anew, is not counted. */
const starts = 6
/** Between two tries to connect. */
const pollMs = 2
/** By then the young generation may grow again, see `lib/heap.ts`. */
const settleMs = 20_000
const goals = { startMs: 500, residentBytes: 100_000_000 }
/** In a third of the first interval come a third of the looks, and a few more by chance. */
const mostLooks = count * 0.5

export async function* run(): AsyncGenerator<Row> {
  const fleet = await prepareFleet({ count, bytesEach, schedule: '60s' })
  const upstream = await fleet.startUpstream()
  try {
    const bare = await measureBare(upstream.url)
    const times: number[] = []
    let memory: Memory = { residentMiB: NaN, ownMiB: NaN, filesMiB: NaN }
    for (let at = 0; at < starts; at++) {
      const server = await start(fleet)
      times.push(server.tookMs)
      if (at === starts - 1) {
        await sleep(settleMs)
        memory = memoryOf(server.child)
      }
      server.child.kill('SIGTERM')
      await once(server.child, 'exit')
    }
    const looks = await upstream.metric('longshore_http_requests_total', { route: 'v2' })
    const middle = median(times.slice(1))
    yield {
      what: `${count} bundles of 10 KiB: from the start of the process to the first 200`,
      ours: `${middle.toFixed(0)} ms (median of ${starts - 1})`,
      beside: '',
      goal: `≤ ${goals.startMs} ms`,
      holds: middle <= goals.startMs,
    }
    yield {
      what: `resident memory ${settleMs / 1000} s later, all threads`,
      ours: describe(memory),
      beside: `a bare Node that listens, asks and has SQLite in a thread: ${describe(bare)}`,
      goal: `≤ ${goals.residentBytes / 1_000_000} MB`,
      holds: memory.residentMiB * 1024 ** 2 <= goals.residentBytes,
    }
    yield {
      what: `what ${starts} restarts and ${settleMs / 1000} s asked of the registry that they follow`,
      ours: `${looks} requests`,
      beside: '',
      goal: `≤ ${mostLooks}`,
      holds: looks <= mostLooks,
    }
  } finally {
    await stopAllProcesses()
    fleet.remove()
    removeTempDirs()
  }
}

async function start({ folder, config, names }: Fleet): Promise<{ child: ChildProcess; tookMs: number }> {
  const port = await freePort()
  const file = join(folder, 'longshore.json')
  writeFileSync(
    file,
    JSON.stringify({ ...config, content: { path: './data' }, server: { listen: `127.0.0.1:${port}` } }),
  )
  const startedAt = performance.now()
  // As a service manager starts it: certificates that our own environment adds for Node would cost it 2 MiB.
  const { PATH, HOME } = process.env
  const child = spawn(process.execPath, [programPath, 'serve', '-c', file], { stdio: 'ignore', env: { PATH, HOME } })
  const url = `http://127.0.0.1:${port}/bundles/${names.at(-1)!}`
  while (child.exitCode === null) {
    // A try to connect costs little of the processor that the start needs, a request in vain more.
    if ((await isAnswering(port)) && (await isServed(url))) return { child, tookMs: performance.now() - startedAt }
    await sleep(pollMs)
  }
  throw new Error(`longshore ended with ${child.exitCode}`)
}

async function isServed(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(url)
    await body.dump()
    return statusCode === 200
  } catch {
    return false
  }
}

/** What there is to hold before a line of longshore runs. */
async function measureBare(upstream: string): Promise<Memory> {
  const folder = tempDir('bare')
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, NODE_COMPILE_CACHE: join(folder, 'cache') }
  const url = `${upstream}/health/live`
  let memory: Memory | undefined
  // Its code, too, is compiled in a start that does not count.
  for (const [index, forMs] of [5_000, settleMs].entries()) {
    const args = [join(import.meta.dirname, 'idle/bare.ts'), url, join(folder, `${index}.db`)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'], env })
    await sleep(forMs)
    memory = memoryOf(child)
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  return memory!
}

interface Memory {
  /** All of it. */
  residentMiB: number
  /** What no file has. */
  ownMiB: number
  /** Of programs and libraries: the system has each once, whoever uses it. */
  filesMiB: number
}

function describe({ residentMiB, ownMiB, filesMiB }: Memory): string {
  return `${residentMiB.toFixed(0)} MiB: ${ownMiB.toFixed(0)} its own, ${filesMiB.toFixed(0)} pages of Node's program`
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
function memoryOf({ pid }: ChildProcess): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024
  return { residentMiB: read('VmRSS'), ownMiB: read('RssAnon'), filesMiB: read('RssFile') }
}
