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
/**
 * What is due within the same quarter of a second rings together, so that hundreds of looks a minute find the processor awake and
 * its caches warm: each costs half as much then.
 */
const togetherMs = 250
/** Where it is sooner, a quarter of a second more would be felt. */
const soonMs = 10_000

/** Rings once, at the time that it was set to last, or up to a quarter of a second later. */
export class Alarm {
  /** Null while it is not set. */
  at: number | null = null
  readonly #clock: Clock
  readonly #random: () => number
  #cancelTimer: (() => void) | undefined
  /** Of a time of day. */
  #schedule: Schedule | undefined
  /** By the monotonic clock. */
  #due = 0
  /** What the clock showed more than the monotonic one. */
  #offset = 0
  #ring: () => void = () => undefined

  constructor({ clock, random }: { clock: Clock; random: () => number }) {
    this.#clock = clock
    this.#random = random
  }

  set({ at, isTimeOfDay }: Due, schedule: Schedule, ring: () => void): void {
    this.cancel()
    const now = this.#clock.now()
    const monotonic = this.#clock.monotonic()
    this.at = at
    this.#due = together(monotonic, Math.max(0, at - now))
    this.#offset = now - monotonic
    this.#schedule = isTimeOfDay ? schedule : undefined
    this.#ring = ring
    this.#wait(this.#leftMs())
  }

  cancel(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    this.at = null
  }

  #wait(leftMs: number): void {
    const longestMs = this.#schedule === undefined ? longestTimerMs : clockCheckMs
    this.#cancelTimer = this.#clock.after(Math.max(0, Math.min(leftMs, longestMs)), () => {
      const still = this.#leftMs()
      if (still > 0) this.#wait(still)
      else this.#ring()
    })
  }

  /** How long it is until `at`; of a time of day, whatever the clock says by then: put back, it may show one that is sooner. */
  #leftMs(): number {
    const monotonic = this.#clock.monotonic()
    if (this.#schedule === undefined) return this.#due - monotonic
    const now = this.#clock.now()
    const shift = now - monotonic - this.#offset
    this.#offset += shift
    if (shift < -slackMs) this.at = Math.min(this.at!, nextLookAt(this.#schedule, now, this.#random) ?? Infinity)
    return this.at! - now
  }
}

function together(monotonic: number, delayMs: number): number {
  const due = monotonic + delayMs
  return delayMs < soonMs ? due : Math.ceil(due / togetherMs) * togetherMs
}
