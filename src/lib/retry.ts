export interface Backoff {
  firstMs: number
  factor: number
  capMs: number
}

/** The first try is attempt 1; full jitter: anything between 0 and the ceiling. */
export function backoffMs(attempt: number, backoff: Backoff, random: () => number): number {
  return Math.round(random() * Math.min(backoff.capMs, backoff.firstMs * backoff.factor ** (attempt - 1)))
}
