import type { Clock } from '../../lib/clock.ts'

/** Remembers failed attempts by key, so that the next ones can be made to wait; forgets after a while. */
export interface Slowdown {
  /** Counts a failure; returns how many there were lately, this one included. */
  fail(key: string): number
  /** How long the next attempt is to wait. */
  delayMs(key: string): number
  forget(key: string): void
}

export const freeFailures = 3
const firstDelayMs = 200
const maxDelayMs = 5_000
const rememberedMs = 600_000
const maxKeys = 10_000

export function createSlowdown(clock: Clock): Slowdown {
  // In the order of the last failure: the first is the oldest.
  const failures = new Map<string, { count: number; until: number }>()

  function recent(key: string): number {
    const entry = failures.get(key)
    return entry === undefined || entry.until < clock.monotonic() ? 0 : entry.count
  }

  return {
    fail(key) {
      const count = recent(key) + 1
      failures.delete(key)
      failures.set(key, { count, until: clock.monotonic() + rememberedMs })
      if (failures.size > maxKeys) failures.delete(failures.keys().next().value!)
      return count
    },
    delayMs(key) {
      const count = recent(key)
      return count < freeFailures ? 0 : Math.min(maxDelayMs, firstDelayMs * 2 ** (count - freeFailures))
    },
    forget(key) {
      failures.delete(key)
    },
  }
}
