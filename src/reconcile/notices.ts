import type { Clock } from '../lib/clock.ts'

/**
 * Distribution tells of a push before it moves the tag, and a store behind a cache may lag: what was noticed is looked at at once, and again
 * so many milliseconds later.
 */
export const againAfterMs = [100, 500, 3000]

/** Somebody said that there may be something new: who looks, and when. */
export class Notices {
  readonly #clock: Clock
  readonly #look: (name: string, trigger: string) => void
  readonly #timers = new Map<string, (() => void)[]>()

  constructor(clock: Clock, look: (name: string, trigger: string) => void) {
    this.#clock = clock
    this.#look = look
  }

  /** Said again, the looks that were to come later come later still. */
  notice(name: string, trigger: string): void {
    this.forget(name)
    this.#look(name, trigger)
    const last = againAfterMs.at(-1)
    const timers = againAfterMs.map((ms) =>
      this.#clock.after(ms, () => {
        if (ms === last) this.#timers.delete(name)
        this.#look(name, trigger)
      }),
    )
    this.#timers.set(name, timers)
  }

  forget(name: string): void {
    for (const cancel of this.#timers.get(name) ?? []) cancel()
    this.#timers.delete(name)
  }

  close(): void {
    for (const name of [...this.#timers.keys()]) this.forget(name)
  }
}
