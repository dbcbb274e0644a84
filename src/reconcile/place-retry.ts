import { FinalError, RemoteError } from '../lib/errors.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import type { Retry } from './types.ts'

const firstWaitMs = 1000

/** Where our own storage failed, a full disk for one: then it is not written down when the next attempt is. */
export const storagePauseMs = 30_000

/** Whether a release that was tried so often has had all its attempts. */
export function isLast(attempts: number, { maxAttempts }: Retry): boolean {
  return attempts >= (maxAttempts ?? Infinity)
}

/** It failed so often that nobody is asked there for a while. */
export function isLeftAlone(error: unknown): boolean {
  return error instanceof RemoteError && error.code === 'circuit_open'
}

/**
 * How long to wait after this many attempts: as long as the place asked for, where it did, but never longer than any wait is.
 * Null where it is given up.
 */
export function pauseMs(attempts: number, error: unknown, retry: Retry, random: () => number): number | null {
  if (error instanceof FinalError || isLast(attempts, retry)) return null
  const capMs = retry.maxIntervalMs
  const backoff: Backoff = { firstMs: Math.min(firstWaitMs, capMs), factor: 2, capMs }
  const askedMs = error instanceof RemoteError ? (error.retryAfterMs ?? 0) : 0
  return Math.round(Math.max(backoffMs(attempts, backoff, random), Math.min(askedMs, capMs)))
}
