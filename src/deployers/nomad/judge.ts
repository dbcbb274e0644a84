import type { Listed, NomadApi } from './api.ts'
import type { Allocation, Evaluation, Job, NomadDeployment, PlacementMetric } from './types.ts'

/** How far Nomad is with a job as it was registered last. `why`: what it waits for, or what went wrong, in Nomad's own words. */
export type Judgement =
  | { is: 'done' }
  | { is: 'running'; why: string; until: { changes: Listed; index: string } }
  | { is: 'failed'; why: string }

const ended = new Set(['successful', 'failed', 'cancelled'])

/** Asks for as much as is needed to tell: evaluations, its own deployment, and where it has none, allocations. */
export async function judge(api: NomadApi, job: Job): Promise<Judgement> {
  const deployments = await api.deployments()
  const deployment = deploymentOf(job, deployments.value)
  if (deployment !== undefined && ended.has(deployment.Status)) {
    if (deployment.Status === 'successful') return { is: 'done' }
    return { is: 'failed', why: await wordsOf(api, deployment) }
  }
  const evaluations = await api.evaluations()
  const ours = evaluations.value.filter(({ JobModifyIndex }) => JobModifyIndex === job.JobModifyIndex)
  const blocked = ours.find(({ Status }) => Status === 'blocked')
  const noRoom = blocked === undefined ? '' : `: ${placementOf(blocked)}`
  if (deployment !== undefined) {
    const why = `${deployment.StatusDescription}${noRoom}`
    return { is: 'running', why, until: { changes: 'deployments', index: deployments.index } }
  }
  const until = { changes: 'evaluations', index: evaluations.index } as const
  if (ours.some(({ Status }) => Status === 'pending')) return { is: 'running', why: 'it is not evaluated yet', until }
  // It is made before its evaluation is over: it may have come between the two questions.
  if (deploymentOf(job, (await api.deployments()).value) !== undefined) return judge(api, job)
  if (blocked !== undefined) return { is: 'running', why: `Nomad finds no room for it${noRoom}`, until }
  const failed = ours.find(({ Status }) => Status === 'failed' || Status === 'canceled')
  if (failed !== undefined && !ours.some(({ Status }) => Status === 'complete')) {
    return { is: 'failed', why: `its evaluation ${failed.Status}: ${failed.StatusDescription}` }
  }
  return judgeAllocations(api, job)
}

/** Of this very registration; a job's older ones say nothing of it. */
export function deploymentOf(
  { JobModifyIndex }: Pick<Job, 'JobModifyIndex'>,
  deployments: readonly NomadDeployment[],
): NomadDeployment | undefined {
  return deployments.find(({ JobSpecModifyIndex }) => JobSpecModifyIndex === JobModifyIndex)
}

/** Jobs of type batch and system have no deployments, and services only where `update` says so. */
async function judgeAllocations(api: NomadApi, job: Job): Promise<Judgement> {
  const { value, index } = await api.allocations()
  const ours = value.filter(({ JobVersion, DesiredStatus }) => JobVersion === job.Version && DesiredStatus === 'run')
  const bad = ours.find(
    ({ ClientStatus, FollowupEvalID = '', NextAllocation = '' }) =>
      (ClientStatus === 'failed' || ClientStatus === 'lost') && FollowupEvalID === '' && NextAllocation === '',
  )
  if (bad !== undefined) return { is: 'failed', why: `an allocation ${bad.ClientStatus}: ${eventsOf(bad)}` }
  const isWaiting = ours.some(
    (allocation) =>
      allocation.ClientStatus === 'pending' ||
      allocation.ClientStatus === 'unknown' ||
      (allocation.FollowupEvalID ?? '') !== '' ||
      isStarting(allocation, job),
  )
  if (!isWaiting) return { is: 'done' }
  return { is: 'running', why: 'an allocation is not running yet', until: { changes: 'allocations', index } }
}

/** An allocation counts as running as soon as one of its tasks does, while another may fail to start. Some begin only when the others end. */
function isStarting({ TaskGroup, TaskStates }: Allocation, { TaskGroups }: Job): boolean {
  const tasks = TaskGroups?.find(({ Name }) => Name === TaskGroup)?.Tasks ?? []
  return tasks.some(({ Name, Lifecycle }) => TaskStates?.[Name]?.State === 'pending' && Lifecycle?.Hook !== 'poststop')
}

/** What the deployment says, and what its allocations say to it. */
export async function wordsOf(api: NomadApi, { JobVersion, StatusDescription }: NomadDeployment): Promise<string> {
  const { value } = await api.allocations()
  const events = value.filter((allocation) => allocation.JobVersion === JobVersion).map(eventsOf)
  const [first] = events.filter((text) => text !== '')
  return first === undefined ? StatusDescription : `${StatusDescription} (${first})`
}

const telling = new Set([
  'Driver Failure',
  'Failed Artifact Download',
  'Terminated',
  'Not Restarting',
  'Alloc Unhealthy',
])
const mostEvents = 3

function eventsOf({ TaskStates }: Allocation): string {
  const lines = Object.entries(TaskStates ?? {}).flatMap(([task, { Events }]) =>
    (Events ?? []).filter(({ Type }) => telling.has(Type)).map((event) => `${task}: ${event.DisplayMessage}`),
  )
  return [...new Set(lines)].slice(-mostEvents).join('; ')
}

function placementOf({ FailedTGAllocs, StatusDescription }: Evaluation): string {
  const groups = Object.entries(FailedTGAllocs ?? {}).map(([group, metric]) => `${group}: ${reasonsOf(metric)}`)
  return groups.length === 0 ? StatusDescription : groups.join('; ')
}

function reasonsOf({ NodesEvaluated, ConstraintFiltered, DimensionExhausted }: PlacementMetric): string {
  const counted = (what: string, counts: Record<string, number> | null) =>
    Object.entries(counts ?? {}).map(([name, nodes]) => `${what} ${name} on ${nodes} of ${NodesEvaluated} nodes`)
  const reasons = [...counted('constraint', ConstraintFiltered), ...counted('exhausted', DimensionExhausted)]
  return reasons.length === 0 ? `no node fits, of ${NodesEvaluated}` : reasons.join(', ')
}
