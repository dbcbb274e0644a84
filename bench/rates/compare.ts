import { readdirSync, readFileSync } from 'node:fs'
import { component } from '../../test/support/components.ts'
import { execOk } from '../../test/support/exec.ts'
import { onClientCore } from './servers.ts'

/** One kind of request to one server. */
export interface Target {
  /** What it is called in the result. */
  name: string
  url: string
  pid: number
  headers: readonly string[]
}

const connections = 16
const seconds = 1

export interface Measured {
  name: string
  /** Requests per second. */
  rate: number
  /** Processor time of the server for each request, of all its threads, in microseconds. */
  cpuUs: number
}

/**
 * How many requests a second each of them answers, in short rounds, in which all have their turn, so that a slow moment of the
 * machine meets each. Medians; `ratio` is our rate's share of theirs, by rounds.
 */
export async function compareRates(
  ours: Target,
  others: readonly Target[],
  rounds: number,
): Promise<Measured & { others: (Measured & { ratio: number })[] }> {
  const targets = [ours, ...others]
  const results = targets.map((target) => ({ target, runs: [] as Run[] }))
  for (const target of targets) await run(target)
  for (let round = 0; round < rounds; round++) {
    for (const { target, runs } of round % 2 === 0 ? results : results.toReversed()) runs.push(await run(target))
  }
  const [own, ...theirs] = results
  return {
    ...summary(own!),
    others: theirs.map((other) => ({
      ...summary(other),
      ratio: median(own!.runs.map(({ rate }, round) => rate / other.runs[round]!.rate)),
    })),
  }
}

interface Run {
  rate: number
  cpuUs: number
}

function summary({ target, runs }: { target: Target; runs: Run[] }): Measured {
  return {
    name: target.name,
    rate: median(runs.map(({ rate }) => rate)),
    cpuUs: median(runs.map(({ cpuUs }) => cpuUs)),
  }
}

/** One run of wrk, on a core of its own. Throws when anything was answered with an error. */
async function run({ name, url, headers, pid }: Target): Promise<Run> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, ...headers.flatMap((header) => ['-H', header]), url]
  const [command, ...rest] = [...onClientCore, component('wrk'), ...args]
  const before = cpuUsOf(pid)
  const { stdout } = await execOk(command, rest)
  const spent = cpuUsOf(pid) - before
  const [, rate] = /Requests\/sec:\s+([\d.]+)/.exec(stdout) ?? []
  const [, count] = /(\d+) requests in/.exec(stdout) ?? []
  if (rate === undefined || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`${name} failed at ${url}:\n${stdout}`)
  return { rate: Number(rate), cpuUs: spent / Number(count) }
}

/** Of a process, its threads and its children. https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat */
function cpuUsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`
  const threads = readdirSync(tasks).map(
    (thread) => Number(readFileSync(`${tasks}/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1000,
  )
  const children = readFileSync(`${tasks}/${pid}/children`, 'utf8')
    .split(' ')
    .filter((child) => child.trim() !== '')
  return [...threads, ...children.map((child) => cpuUsOf(Number(child)))].reduce((sum, each) => sum + each, 0)
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}
