interface Flight<T> {
  promise: Promise<T>
  begun: boolean
}

/**
 * A run at a time: whoever asks while one waits to begin joins it, whoever asks after it has begun causes exactly one more,
 * and all who ask meanwhile get that one's result. `run` calls `begin` when it first looks at what may have changed.
 */
export class OneMore<T> {
  readonly #run: (begin: () => void) => Promise<T>
  #now: Flight<T> | undefined
  #next: PromiseWithResolvers<T> | undefined

  constructor(run: (begin: () => void) => Promise<T>) {
    this.#run = run
  }

  get running(): boolean {
    return this.#now?.begun ?? false
  }

  ask(): Promise<T> {
    if (this.#now === undefined) return this.#start()
    if (!this.#now.begun) return this.#now.promise
    this.#next ??= Promise.withResolvers<T>()
    return this.#next.promise
  }

  /** When nothing runs and nobody waits. */
  async idle(): Promise<void> {
    while (this.#now !== undefined) await this.#now.promise.catch(() => undefined)
  }

  #start(): Promise<T> {
    const flight: Flight<T> = { begun: false, promise: Promise.resolve() as Promise<never> }
    this.#now = flight
    flight.promise = this.#run(() => {
      flight.begun = true
    }).finally(() => this.#ended())
    return flight.promise
  }

  #ended(): void {
    this.#now = undefined
    const next = this.#next
    if (next === undefined) return
    this.#next = undefined
    this.#start().then(next.resolve, next.reject)
  }
}
