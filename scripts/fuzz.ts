// The long form of the property tests of test/fuzz: `node scripts/fuzz.ts`, a million cases of each. Says the seed and the shrunk case
// of what fails, and with which seed to go on. All of it takes about two hours of one core, no property more than twenty minutes; on a
// machine that is shared, two of it side by side: `--only 'config: '` is more than half.
// Where it ends without a word (a status of 134 or 139), a case has ended the process: one of the property after the last that is named.
//   --cases 100000      of each property
//   --only 'oci: Link'  properties whose name holds the text
//   --seed 7            the first seed; each 10,000 cases use the next one
//   --path 3:1          replays one case, with the seed that was printed
//   --seconds 600       at most, for each property; an hour, unless said
//   --coverage          says which branches of the parsers ran; fails where a file has less than 90 %
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Profiler } from 'node:inspector'
import fc from 'fast-check'
import { groups } from '../test/fuzz/groups.ts'
import type { Property } from '../test/fuzz/property.ts'
import { branchesOf } from './fuzz/branches.ts'
import type { Done, Task, WorkerSettings } from './fuzz/worker.ts'

const batch = 10_000
/** No case may take this long: its property has its own, lower limit, which a hang never comes to. */
const hangMs = 15_000
const leastCovered = 0.9

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    only: { type: 'string', default: '' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 30) },
    path: { type: 'string' },
    seconds: { type: 'string', default: '3600' },
    coverage: { type: 'boolean', default: false },
  },
})
const [cases, firstSeed, seconds] = [Number(values.cases), Number(values.seed), Number(values.seconds)]
const counter = new Int32Array(new SharedArrayBuffer(4))
let thread = startThread()
let failures = 0

for (const [group, { properties }] of Object.entries(groups)) {
  for (const property of properties) {
    if (`${group}: ${property.name}`.includes(values.only)) await fuzz(group, property)
  }
}
if (values.coverage) reportCoverage(await ask<Profiler.ScriptCoverage[]>('coverage'))
await thread.terminate()
console.log(failures === 0 ? 'nothing found' : `${failures} failed`)
if (failures > 0) process.exitCode = 1

function startThread(): Worker {
  const workerData: WorkerSettings = { counter: counter.buffer, coverage: values.coverage }
  return new Worker(join(import.meta.dirname, 'fuzz/worker.ts'), { workerData })
}

async function fuzz(group: string, { name }: Property): Promise<void> {
  const startedMs = performance.now()
  let seed = firstSeed
  for (let left = cases; left > 0; left -= batch, seed++) {
    const task = {
      group,
      name,
      seed,
      cases: Math.min(batch, left),
      ...(values.path !== undefined && { path: values.path }),
    }
    const done = await runWatched(task)
    if (done.failed) {
      failures++
      console.log(`FAILED ${group}: ${name}\n${done.message}`)
      console.log(`again: node scripts/fuzz.ts --only '${group}: ${name}' --seed ${seed} --cases ${task.cases}\n`)
      return
    }
    if (left > batch && (performance.now() - startedMs) / 1000 > seconds) {
      console.log(
        `stopped ${group}: ${name} after ${cases - left + batch} of ${cases} cases; go on with --seed ${seed + 1}`,
      )
      return
    }
  }
  const took = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`ok      ${group}: ${name} (${cases} cases, seeds ${firstSeed} to ${seed - 1}, ${took} s)`)
}

/** A thread in which nothing begins any more is ended, and the case that it hangs in is made again here, only to be shown. */
async function runWatched(task: Task): Promise<Done> {
  Atomics.store(counter, 0, 0)
  const { promise: hung, resolve } = Promise.withResolvers<Done>()
  let seen = -1
  const watch = setInterval(() => {
    const now = Atomics.load(counter, 0)
    if (now === seen) resolve(hangOf(task, now))
    seen = now
  }, hangMs)
  try {
    const done = await Promise.race([ask<Done>(task), hung])
    if (done.message.startsWith('hangs')) {
      await thread.terminate()
      thread = startThread()
    }
    return done
  } finally {
    clearInterval(watch)
  }
}

function hangOf({ group, name, seed }: Task, begun: number): Done {
  const { property } = groups[group]!.properties.find((one) => one.name === name)!
  const arbitrary = fc.sample(property, { seed, numRuns: begun })
  return {
    failed: true,
    message: `hangs in case ${begun} of seed ${seed}: ${fc.stringify(arbitrary.at(-1)).slice(0, 5000)}`,
  }
}

function ask<T>(message: Task | 'coverage'): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const asked = thread.once('message', resolve).once('error', reject)
  asked.postMessage(message)
  return promise.finally(() => asked.off('message', resolve).off('error', reject))
}

function reportCoverage(scripts: Profiler.ScriptCoverage[]): void {
  const files = Object.values(groups).flatMap((group) => group.files)
  const found = branchesOf(scripts, files)
  for (const { file, covered, total, missed } of found) {
    const percent = total === 0 ? 100 : (covered / total) * 100
    console.log(
      `${percent.toFixed(1).padStart(5)} %  ${file} (${covered}/${total})${missed.length === 0 ? '' : `, not in lines ${missed.join(', ')}`}`,
    )
  }
  const [covered, total] = [
    found.reduce((sum, one) => sum + one.covered, 0),
    found.reduce((sum, one) => sum + one.total, 0),
  ]
  console.log(`branches of the parsers: ${((covered / total) * 100).toFixed(1)} % (${covered} of ${total})`)
  const poor = found.filter((one) => one.covered < leastCovered * one.total)
  for (const { file } of poor)
    console.log(`FAILED ${file} has less than ${leastCovered * 100} % of its branches covered`)
  if (poor.length > 0) process.exitCode = 1
}
