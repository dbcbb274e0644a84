/** Time, injected, so that tests need not wait. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when somebody sets the clock. */
  now(): number
  /** Milliseconds that only ever go up; for durations and deadlines. */
  monotonic(): number
  /** Calls `run` once after `ms`. Does not hold the process open. The returned function cancels it. */
  after(ms: number, run: () => void): () => void
  /** Resolves after `ms`, rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

const longestTimerMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, withinTimer(ms))
    timer.unref()
    return () => clearTimeout(timer)
  },
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const stop = () => {
        clearTimeout(timer)
        reject(signal?.reason as Error)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }, withinTimer(ms))
      signal?.addEventListener('abort', stop, { once: true })
    })
  },
}

function withinTimer(ms: number): number {
  return Math.min(Math.max(0, ms), longestTimerMs)
}
