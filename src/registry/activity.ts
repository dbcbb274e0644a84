import type { Clock } from '../lib/clock.ts'

interface Begun {
  /** On the wall clock, as uses of blobs are noted. */
  startedAt: number
  /** On the clock that only goes up; null while it goes on. */
  endedAt: number | null
}

/**
 * When something came into which repository. A push or a fetch may take longer than the grace period: what was used since
 * shortly before it began stays until a grace period after it has ended.
 */
export class Activity {
  readonly #clock: Clock
  readonly #graceMs: number
  /** By repository, those that ended in the order of their end. */
  readonly #begun = new Map<string, Begun[]>()

  constructor(clock: Clock, graceMs: number) {
    this.#clock = clock
    this.#graceMs = graceMs
  }

  /** Returns how to end it. */
  begin(repository: string): () => void {
    const own: Begun = { startedAt: this.#clock.now(), endedAt: null }
    this.#begun.set(repository, [...this.#recent(repository), own])
    return () => {
      own.endedAt = this.#clock.monotonic()
      // What began no earlier and is over is covered by this one.
      const rest = this.#recent(repository).filter(
        (other) => other === own || other.endedAt === null || other.startedAt < own.startedAt,
      )
      this.#begun.set(repository, rest)
    }
  }

  /** What was used before this moment is nobody's who is or was just at work there. Milliseconds since the epoch. */
  quietBefore(repository: string): number {
    const recent = this.#recent(repository)
    if (recent.length === 0) this.#begun.delete(repository)
    return Math.min(this.#clock.now(), ...recent.map(({ startedAt }) => startedAt)) - this.#graceMs
  }

  #recent(repository: string): Begun[] {
    const since = this.#clock.monotonic() - this.#graceMs
    return (this.#begun.get(repository) ?? []).filter(({ endedAt }) => endedAt === null || endedAt >= since)
  }
}
