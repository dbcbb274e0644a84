/** The parts of Nomad's JSON that are looked at; what else there is goes back as it came. https://developer.hashicorp.com/nomad/api-docs/json-jobs */
export interface Job {
  ID: string
  Version: number
  /** Changes whenever somebody registers the job. */
  JobModifyIndex: number
  Stop: boolean
  /** It ran well once, as its deployment said. */
  Stable: boolean
  Meta: Record<string, string> | null
  TaskGroups: TaskGroup[] | null
}

export interface TaskGroup {
  Name: string
  Tasks: Task[] | null
}

export interface Task {
  Name: string
  /** When it runs beside the others. https://developer.hashicorp.com/nomad/docs/job-specification/lifecycle */
  Lifecycle?: { Hook: string } | null
  [key: string]: unknown
}

/** https://developer.hashicorp.com/nomad/api-docs/evaluations */
export interface Evaluation {
  ID: string
  Status: 'blocked' | 'pending' | 'complete' | 'failed' | 'canceled'
  StatusDescription: string
  JobModifyIndex?: number
  /** By group: why allocations could not be placed. */
  FailedTGAllocs: Record<string, PlacementMetric> | null
}

export interface PlacementMetric {
  NodesEvaluated: number
  ConstraintFiltered: Record<string, number> | null
  DimensionExhausted: Record<string, number> | null
}

/** https://developer.hashicorp.com/nomad/api-docs/deployments */
export interface NomadDeployment {
  ID: string
  JobVersion: number
  /** The `JobModifyIndex` of the job that it brings about. */
  JobSpecModifyIndex: number
  Status: string
  StatusDescription: string
}

/** https://developer.hashicorp.com/nomad/api-docs/allocations */
export interface Allocation {
  ID: string
  JobVersion: number
  DesiredStatus: string
  ClientStatus: string
  FollowupEvalID?: string
  NextAllocation?: string
  TaskGroup: string
  TaskStates: Record<string, TaskState> | null
}

export interface TaskState {
  State: 'pending' | 'running' | 'dead'
  Events: { Type: string; DisplayMessage: string }[] | null
}

/** Of an answer: what it holds, and the index that a change of it comes after. */
export interface Indexed<T> {
  value: T
  index: string
}
