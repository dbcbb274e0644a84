import type { Clock } from './clock.ts'
import type { Logger } from './logger.ts'

/** Whatever opens something pushes its closing here; closing runs in reverse order, once, within a bound. */
export class Lifecycle {
  readonly #closers: { name: string; close: () => unknown }[] = []
  #closing: Promise<void> | undefined

  defer(name: string, close: () => unknown): void {
    this.#closers.push({ name, close })
  }

  /** Never rejects: what fails to close, or not in time, is logged and left. */
  close(clock: Clock, logger: Logger, boundMs: number): Promise<void> {
    this.#closing ??= this.#closeAll(clock, logger, clock.monotonic() + boundMs)
    return this.#closing
  }

  async #closeAll(clock: Clock, logger: Logger, deadline: number): Promise<void> {
    for (const { name, close } of this.#closers.reverse()) {
      const done = Promise.resolve()
        .then(close)
        .then(
          () => true,
          (error: unknown) => {
            logger.warn({ err: error, part: name }, `closing ${name} failed`)
            return true
          },
        )
      const stopTimer = new AbortController()
      const late = clock.sleep(Math.max(0, deadline - clock.monotonic()), stopTimer.signal).then(
        () => false,
        () => true,
      )
      if (!(await Promise.race([done, late]))) logger.warn({ part: name }, `${name} did not close in time`)
      stopTimer.abort()
    }
  }
}
