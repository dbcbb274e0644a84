import type { Clock } from '../../src/lib/clock.ts'

interface Timer {
  at: number
  run: () => void
}

/** A clock that stands still until told to go on. */
export class FakeClock implements Clock {
  #now: number
  #monotonic = 0
  #timers: Timer[] = []

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  monotonic(): number {
    return this.#monotonic
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#monotonic + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const cancel = this.after(ms, resolve)
      signal?.addEventListener('abort', () => {
        cancel()
        reject(signal.reason as Error)
      })
    })
  }

  /** How long until the next timer is due; undefined when none waits. */
  nextInMs(): number | undefined {
    if (this.#timers.length === 0) return undefined
    return Math.min(...this.#timers.map((timer) => timer.at)) - this.#monotonic
  }

  /** Runs every timer that falls due within `ms`, in order, letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms
    for (;;) {
      await settle()
      const next = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#move(Math.max(next.at, this.#monotonic))
      next.run()
    }
    // What ran meanwhile may have taken longer.
    this.#move(Math.max(end, this.#monotonic))
    await settle()
  }

  /** As when the whole process stands still for a while: timers that fall due meanwhile are late. */
  stall(ms: number): void {
    this.#move(this.#monotonic + ms)
  }

  /** As when somebody sets the clock, back with a negative number: nothing that lasts is longer or shorter for it. */
  jump(ms: number): void {
    this.#now += ms
  }

  #move(to: number): void {
    this.#now += to - this.#monotonic
    this.#monotonic = to
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
