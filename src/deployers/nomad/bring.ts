import type { Clock } from '../../lib/clock.ts'
import { LongshoreError, RemoteError } from '../../lib/errors.ts'
import type { NomadApi } from './api.ts'
import { demandJob, hasValues, metaKey, withValues, type Values } from './job.ts'
import { deploymentOf, judge, wordsOf, type Judgement } from './judge.ts'
import type { NomadDeployerConfig } from './schema.ts'
import type { Job } from './types.ts'

export interface Bringing {
  api: NomadApi
  config: NomadDeployerConfig
  values: Values
  /** The job restarts even if it has the values already. */
  isForced: boolean
  /** The same for each try. */
  key: string
  name: string
  host: string
  clock: Clock
  signal: AbortSignal
  say: (text: string) => void
  /** Before the job is registered: throws where that is another longshore's to do. */
  check: () => Promise<void>
  /** What is waited for, for who has waited long enough. */
  waiting: (why: string) => void
}

/** Somebody who registers the job faster than that means to. */
const mostConflicts = 10
/** An agent that has just been started does not know its tokens yet. */
const mostDenials = 30
/** While Nomad cannot be asked, and between two tries to register. */
const pauseMs = 1_000

/** Registers the job with the values, unless it is there already, and follows it to its end. Throws what Nomad says where that is none. */
export async function bringJob(work: Bringing): Promise<void> {
  for (let conflicts = 0; ;) {
    const job = await readJob(work)
    const mark = await markFor(work, job)
    if (mark === undefined) return follow(work, job.JobModifyIndex)
    const registered = await register(work, withValues(job, work.config, work.values, mark), job)
    if (registered !== undefined) return follow(work, registered)
    if (++conflicts > mostConflicts) throw crowded(work)
    await work.clock.sleep(pauseMs, work.signal)
  }
}

/** What the job is to be marked with when it is registered; undefined where it is on its way already. */
async function markFor({ api, config, values, isForced, key }: Bringing, job: Job): Promise<string | null | undefined> {
  const mark = job.Meta?.[metaKey]
  const isMarked = mark === key || mark?.startsWith(`${key}#`) === true
  if (!hasValues(job, config, values)) return isForced ? key : null
  if (isForced && !isMarked) return key
  const { is } = await judge(api, job)
  // Nomad leaves alone what has not changed, and what has failed.
  return is === 'failed' ? `${key}#${job.JobModifyIndex}` : undefined
}

/** Undefined where somebody else was faster, or where nobody knows whether it came to that: then the job is to be read again. */
async function register(work: Bringing, changed: Job, { JobModifyIndex, Version }: Job): Promise<number | undefined> {
  await work.check()
  try {
    const index = await work.api.register(changed, JobModifyIndex)
    work.say(`registered job ${changed.ID}, whose version was ${Version}: ${describe(work.values)}`)
    return index
  } catch (error) {
    if (!(error instanceof RemoteError)) throw error
    const now = await readJob(work)
    if (now.JobModifyIndex === JobModifyIndex) throw error
    work.say(`the job changed meanwhile: ${error.message}`)
    return undefined
  }
}

/** Level-triggered: each time that something has changed, all of it is looked at anew, whoever changed it. */
async function follow(work: Bringing, registered: number): Promise<void> {
  let index = registered
  for (;;) {
    const job = await readJob(work)
    if (job.JobModifyIndex !== index) {
      if (!hasValues(job, work.config, work.values)) throw await overtaken(work, index, job)
      work.say(`somebody registered version ${job.Version} of the job, which has the same values: following that`)
      index = job.JobModifyIndex
    }
    const judged = await patiently(work, () => judge(work.api, job))
    if (judged.is === 'done') return work.say(`version ${job.Version} of job ${job.ID} is there`)
    if (judged.is === 'running') await wait(work, judged)
    else {
      const after = await readJob(work)
      // It went back in the same moment, and that says more.
      if (after.JobModifyIndex === index) throw failed(work, judged.why)
    }
  }
}

/** Another version came in the place of the one that was registered: Nomad went back, or somebody else had another wish. */
async function overtaken(work: Bringing, index: number, now: Job): Promise<LongshoreError> {
  const { value } = await patiently(work, () => work.api.deployments())
  const deployment = deploymentOf({ JobModifyIndex: index }, value)
  if (deployment?.Status !== 'failed') {
    const message = `somebody registered version ${now.Version} of job ${now.ID} meanwhile, with other values`
    return new RemoteError('conflict', message, { host: work.host })
  }
  const why = await patiently(work, () => wordsOf(work.api, deployment))
  work.say(`${why}: waiting for version ${now.Version}, which has the older values`)
  const back = await settled(work, now.JobModifyIndex)
  const end = back.is === 'done' ? 'runs' : back.is === 'failed' ? `failed too: ${back.why}` : 'came in between'
  return failed(work, `${why}; version ${now.Version} with the older values ${end}`)
}

/** How what Nomad went back to ended; where somebody else came in between, that is not ours to follow. */
async function settled(work: Bringing, index: number): Promise<Judgement> {
  for (;;) {
    const job = await readJob(work)
    const judged = await patiently(work, () => judge(work.api, job))
    if (job.JobModifyIndex !== index || judged.is !== 'running') return judged
    await wait(work, judged)
  }
}

async function wait(work: Bringing, { why, until }: Extract<Judgement, { is: 'running' }>): Promise<void> {
  work.waiting(why)
  await patiently(work, () => work.api.change(until.changes, until.index))
}

async function readJob(work: Bringing): Promise<Job> {
  const { config, host } = work
  return demandJob(await patiently(work, () => work.api.job()), config.job, host)
}

/** An agent that restarts, or elects itself, comes back: until then there is nothing to be done but to ask again. */
async function patiently<T>(work: Bringing, ask: () => Promise<T>): Promise<T> {
  for (let denials = 0; ;) {
    try {
      return await ask()
    } catch (error) {
      work.signal.throwIfAborted()
      if (!(error instanceof RemoteError)) throw error
      if (!error.retryable && (error.code !== 'denied' || ++denials > mostDenials)) throw error
      work.waiting(error.message)
      await work.clock.sleep(pauseMs, work.signal)
    }
  }
}

function failed({ name }: Bringing, why: string): LongshoreError {
  return new LongshoreError('deployment_failed', `${name}: ${why}`)
}

function crowded({ config, host }: Bringing): RemoteError {
  return new RemoteError('conflict', `job ${config.job} was registered by others ${mostConflicts} times in a row`, {
    host,
    hint: 'Look who else registers it.',
  })
}

function describe(values: Values): string {
  return Object.entries(values)
    .map(([path, value]) => `${path} = ${value}`)
    .join(', ')
}
