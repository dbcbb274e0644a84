// Runs the cases of one property after the other, in a thread that can be ended when a case never does.
import { Session, type Profiler } from 'node:inspector/promises'
import { parentPort, workerData } from 'node:worker_threads'
import fc from 'fast-check'
import type { Group } from '../../test/fuzz/property.ts'

export interface Task {
  group: string
  name: string
  seed: number
  cases: number
  path?: string
}

export interface Done {
  failed: boolean
  message: string
}

/** `counter`: cases begun, for who watches. */
export interface WorkerSettings {
  counter: SharedArrayBuffer
  coverage: boolean
}

const { counter, coverage } = workerData as WorkerSettings
const begun = new Int32Array(counter)
const session = coverage ? await startCoverage() : undefined
const { groups } = (await import('../../test/fuzz/groups.ts')) as { groups: Record<string, Group> }

parentPort!.on('message', (task: Task | 'coverage') => {
  const answer = task === 'coverage' ? takeCoverage() : run(task)
  answer.then(
    (value) => parentPort!.postMessage(value),
    (error: unknown) => parentPort!.postMessage({ failed: true, message: String(error) }),
  )
})

async function run({ group, name, seed, cases, path }: Task): Promise<Done> {
  const found = groups[group]?.properties.find((one) => one.name === name)
  if (found === undefined) return { failed: true, message: `there is no property ${group}: ${name}` }
  const counted = Object.create(found.property, {
    run: {
      value: (value: unknown) => {
        Atomics.add(begun, 0, 1)
        return found.property.run(value)
      },
    },
  }) as typeof found.property
  const details = await fc.check(counted, { numRuns: cases, seed, ...(path === undefined ? {} : { path }) })
  const { errorInstance: error } = details
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { failed: details.failed, message: `${await fc.asyncDefaultReportMessage(details)}\n${why}` }
}

async function startCoverage(): Promise<Session> {
  const opened = new Session()
  opened.connect()
  await opened.post('Profiler.enable')
  await opened.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return opened
}

async function takeCoverage(): Promise<Profiler.ScriptCoverage[]> {
  const { result } = await session!.post('Profiler.takePreciseCoverage')
  return result
}
