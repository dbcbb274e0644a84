/** A controller that others can abort too. */
export interface Linked {
  readonly signal: AbortSignal
  abort(reason: unknown): void
  /** Lets go of the others: to be called when what it was for is over. */
  unlink(): void
}

/**
 * Aborted when one of `others` is, with its reason. `AbortSignal.any` does that too, but without an end: what it leaves behind
 * on signals that live long costs a small request as much as the request itself.
 */
export function linkTo(...others: (AbortSignal | undefined)[]): Linked {
  const controller = new AbortController()
  const links: (() => void)[] = []
  for (const other of others) {
    if (other === undefined) continue
    if (other.aborted) {
      controller.abort(other.reason)
      break
    }
    const stop = () => controller.abort(other.reason)
    other.addEventListener('abort', stop, { once: true })
    links.push(() => other.removeEventListener('abort', stop))
  }
  return {
    signal: controller.signal,
    abort: (reason) => controller.abort(reason),
    unlink: () => {
      for (const cut of links.splice(0)) cut()
    },
  }
}
