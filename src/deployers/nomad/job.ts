import { ConfigError, RemoteError } from '../../lib/errors.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import type { Deploy } from '../deployer.ts'
import { fill } from '../../lib/template.ts'
import { read, write } from './path.ts'
import type { NomadDeployerConfig } from './schema.ts'
import type { Job, Task } from './types.ts'

/** Changed by a deploy that a person asked for, and where the same has to be tried again: an unchanged job would not restart. */
export const metaKey = 'longshore_deploy'

/** Values by path. */
export type Values = Readonly<Record<string, string>>

type Wanted = Pick<NomadDeployerConfig, 'set' | 'task' | 'group'>

/** What the task is to have. The digest is the one that the store has: Nomad fetches it from there. */
export function valuesOf({ set }: Pick<Wanted, 'set'>, { release, place, origin }: Deploy): Values {
  const { bundle, number, version, sourceDigest: digest } = release
  const words = { repository: origin, version, digest, bundle, place, release: String(number) }
  // What is followed by its digest has no name besides.
  const plain = (template: string) =>
    isDigest(version) ? template.replaceAll(':{version}@{digest}', '@{digest}') : template
  return Object.fromEntries(Object.entries(set).map(([path, template]) => [path, fill(plain(template), words)]))
}

/** Whether a job is what is wanted, in all that `values` speak of. */
export function hasValues(job: Job, wanted: Wanted, values: Values): boolean {
  const task = findTask(job, wanted)
  return task !== undefined && Object.entries(values).every(([path, value]) => read(task, path) === value)
}

/** The digest that one of the paths holds now. */
export function digestIn(job: Job, wanted: Wanted): Digest | null {
  const task = findTask(job, wanted)
  const texts = Object.keys(wanted.set).map((path) => (task === undefined ? undefined : read(task, path)))
  const found = texts.map((text) => /sha256:[0-9a-f]{64}/.exec(typeof text === 'string' ? text : '')?.[0])
  return (found.find((digest) => digest !== undefined) ?? null) as Digest | null
}

/** The same job with these values, and nothing else changed but the mark, where there is one. Throws where the task cannot be told. */
export function withValues(job: Job, wanted: Wanted, values: Values, mark: string | null): Job {
  const changed = structuredCloneOf(job)
  const task = demandTask(changed, wanted)
  for (const [path, value] of Object.entries(values)) write(task, path, value)
  return mark === null ? changed : { ...changed, Meta: { ...changed.Meta, [metaKey]: mark } }
}

/** Throws RemoteError where the job is gone or stopped. */
export function demandJob(job: Job | undefined, name: string, host: string): Job {
  if (job === undefined) {
    throw new RemoteError('not_found', `there is no job ${name}`, {
      host,
      hint: 'Nothing was registered: run the job again (`nomad job run`), or look whether namespace and region are right.',
    })
  }
  if (!job.Stop) return job
  throw new RemoteError('not_found', `the job ${name} was stopped`, {
    host,
    hint: 'Nothing was registered: start the job again, or take the place out of the config.',
  })
}

function demandTask(job: Job, wanted: Wanted): Task {
  const task = findTask(job, wanted)
  if (task !== undefined) return task
  const groups = tasksOf(job, { ...wanted, group: undefined }).map(({ group }) => group)
  const others = (job.TaskGroups ?? []).flatMap(({ Name, Tasks }) => (Tasks ?? []).map((one) => `${Name}/${one.Name}`))
  if (wanted.group === undefined && groups.length > 1) {
    throw new ConfigError(`the task ${wanted.task} of job ${job.ID} is in the groups ${groups.join(', ')}`, {
      hint: 'Say which with `group`.',
    })
  }
  const name = wanted.group === undefined ? wanted.task : `${wanted.group}/${wanted.task}`
  throw new ConfigError(`job ${job.ID} has no task ${name}`, { hint: `It has ${others.join(', ')}.` })
}

/** Undefined where there is none, or where more than one could be meant. */
function findTask(job: Job, wanted: Pick<Wanted, 'task' | 'group'>): Task | undefined {
  const found = tasksOf(job, wanted)
  return found.length === 1 ? found[0]!.task : undefined
}

function tasksOf(job: Job, { task, group }: Pick<Wanted, 'task' | 'group'>): { group: string; task: Task }[] {
  return (job.TaskGroups ?? [])
    .filter(({ Name }) => group === undefined || Name === group)
    .flatMap(({ Name, Tasks }) => (Tasks ?? []).map((one) => ({ group: Name, task: one })))
    .filter((one) => one.task.Name === task)
}

/** `structuredClone` does not know numbers that are kept as they are written. */
function structuredCloneOf<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  if (Array.isArray(value)) return value.map(structuredCloneOf) as T
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structuredCloneOf(item)])) as T
}
