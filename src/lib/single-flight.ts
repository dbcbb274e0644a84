/** Calls with the same key that come while one is under way share its result. */
export class SingleFlight<T> {
  readonly #flights = new Map<string, Promise<T>>()

  do(key: string, run: () => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key)
    if (flight !== undefined) return flight
    const started = run().finally(() => this.#flights.delete(key))
    this.#flights.set(key, started)
    return started
  }
}
