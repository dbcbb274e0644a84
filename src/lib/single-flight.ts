/** Calls with the same key that come while one is under way share its result. */
export class SingleFlight<T> {
  /** Undefined while there are none: thousands of bundles have one of these. */
  #flights: Map<string, Promise<T>> | undefined

  do(key: string, run: () => Promise<T>): Promise<T> {
    const flight = this.#flights?.get(key)
    if (flight !== undefined) return flight
    const started = run().finally(() => this.#landed(key))
    this.#flights ??= new Map()
    this.#flights.set(key, started)
    return started
  }

  #landed(key: string): void {
    this.#flights?.delete(key)
    if (this.#flights?.size === 0) this.#flights = undefined
  }
}
