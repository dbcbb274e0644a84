import type { SentError } from './errors.ts'

/** The worker's first message. */
export interface WorkerStart {
  /** The folder of `state.db` and `lock.db`. */
  path: string
  contentId: string
  /** There is content already: a state without a table is not a new one, but what somebody left of it. */
  mustExist?: boolean
}

/** `name` is `catalog.blob`, `facts.get`, …; without a name: close, or copy into the file `snapshot`. */
export type Request =
  { id: number; name: string; args: unknown[] } | { id: number; snapshot: string } | { id: number; close: true }

export type Reply = { id: number; result: unknown } | { id: number; error: SentError }

/** The worker's first reply says whether it could start. */
export const startId = 0
