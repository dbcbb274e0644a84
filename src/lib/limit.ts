import { linkTo } from './linked.ts'

/** Runs at most so many at once; the rest wait in the order in which they came. */
export class Limit {
  readonly #max: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(max: number) {
    this.#max = max
  }

  /** Rejects with the signal's reason when it is aborted before `run` has begun. */
  async do<T>(run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal)
    try {
      return await run()
    } finally {
      this.#leave()
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#running < this.#max) {
      this.#running += 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        reject(signal?.reason as Error)
      }
      this.#waiting.push(enter)
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  /** Whoever waits takes the place over, so that nobody slips in between. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#running -= 1
    else next()
  }
}

/** At most so many at once for each key: what hangs under one does not hold up the others. */
export class LimitByKey {
  readonly #max: number
  readonly #limits = new Map<string, { limit: Limit; users: number }>()

  constructor(max: number) {
    this.#max = max
  }

  async do<T>(key: string, run: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const one = this.#limits.get(key) ?? { limit: new Limit(this.#max), users: 0 }
    this.#limits.set(key, one)
    one.users += 1
    try {
      return await one.limit.do(run, signal)
    } finally {
      one.users -= 1
      if (one.users === 0) this.#limits.delete(key)
    }
  }
}

/**
 * Like `Promise.all`, `atOnce` at a time, but when one fails it waits for those that have begun to end before it rejects: nothing
 * goes on behind the caller's back. `run` gets a signal that is aborted then.
 */
export async function allOrNone<T>(
  items: readonly T[],
  run: (item: T, signal: AbortSignal) => Promise<void>,
  { signal, atOnce = items.length }: { signal?: AbortSignal | undefined; atOnce?: number } = {},
): Promise<void> {
  if (items.length === 0) return
  const stop = linkTo(signal)
  const rest = items.values()
  let failure: { error: unknown } | undefined
  const work = async () => {
    for (const item of rest) {
      try {
        stop.signal.throwIfAborted()
        await run(item, stop.signal)
      } catch (error) {
        failure ??= { error }
        stop.abort(error)
        return
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work))
  stop.unlink()
  if (failure !== undefined) throw failure.error
}
