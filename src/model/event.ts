/**
 * Something that happened to a bundle, or that a person decided. Numbered in the order in which it became durable, in the very
 * transaction that made it so.
 */
export interface Event {
  /** 1, 2, 3, …: never reused. */
  seq: number
  /** Milliseconds since the epoch. */
  at: number
  type: EventType
  /** `*` where it is about all of them. */
  bundle: string
  /** A key of the config's `deployers`; null where it is about the bundle. */
  place: string | null
  /** Who decided it; null for what happened by itself. */
  by: string | null
  /**
   * By type, all optional: `release`, `version`, `digest`, `reason`, `error`, `attempt`, `nextAttemptAt`, `on`, `pin`; of a deployment
   * also what was there before (`from`, `fromVersion`), since when it is under way (`begunAt`, `tookMs`), how often it failed (`failures`), and what goes there
   * instead (`next`, `nextVersion`).
   */
  data: Record<string, unknown>
}

export const eventTypes = [
  'release.created',
  'release.approved',
  'look.refused',
  'look.failed',
  'look.recovered',
  'deployment.started',
  'deployment.succeeded',
  'deployment.failed',
  'deployment.forced',
  'deployment.overtaken',
  'deployment.drifted',
  'prune.started',
  'prune.succeeded',
  'prune.failed',
  'bundle.pinned',
  'bundle.unpinned',
  'auto_deploy.changed',
  'deployments.held',
  'deployments.resumed',
] as const

export type EventType = (typeof eventTypes)[number]
