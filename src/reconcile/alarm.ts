import type { Clock } from '../lib/clock.ts'
import { nextLookAt, type Schedule } from '../lib/schedule.ts'

/** When to look, in milliseconds since the epoch. */
export interface Due {
  at: number
  /** A time of day comes when the clock shows it, however that is set; any other so long after it was decided. */
  isTimeOfDay: boolean
}

const longestTimerMs = 86_400_000
/** How soon it is noticed that somebody set the clock, or that the machine slept, where a time of day is waited for. */
const clockCheckMs = 60_000
/** What the two clocks differ by is measured twice, and one of them is slewed. */
const slackMs = 1_000

/** Rings once, at the time that it was set to last. */
export class Alarm {
  /** Null while it is not set. */
  at: number | null = null
  readonly #clock: Clock
  readonly #random: () => number
  #cancelTimer: (() => void) | undefined

  constructor({ clock, random }: { clock: Clock; random: () => number }) {
    this.#clock = clock
    this.#random = random
  }

  set({ at, isTimeOfDay }: Due, schedule: Schedule, ring: () => void): void {
    this.cancel()
    this.at = at
    const clock = this.#clock
    const due = clock.monotonic() + Math.max(0, at - clock.now())
    const leftMs = isTimeOfDay ? this.#watchClock(schedule) : () => due - clock.monotonic()
    const longestMs = isTimeOfDay ? clockCheckMs : longestTimerMs
    const wait = (left: number) => {
      this.#cancelTimer = clock.after(Math.max(0, Math.min(left, longestMs)), () => {
        const still = leftMs()
        if (still > 0) wait(still)
        else ring()
      })
    }
    wait(leftMs())
  }

  cancel(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.at = null
  }

  /** How long it is until `at`, whatever the clock says by then; put back, it may show a time of the schedule that is sooner. */
  #watchClock(schedule: Schedule): () => number {
    const clock = this.#clock
    let offset = clock.now() - clock.monotonic()
    return () => {
      const now = clock.now()
      const shift = now - clock.monotonic() - offset
      offset += shift
      if (shift < -slackMs) this.at = Math.min(this.at!, nextLookAt(schedule, now, this.#random) ?? Infinity)
      return this.at! - now
    }
  }
}
