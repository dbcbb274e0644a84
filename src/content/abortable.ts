/** The same chunks, but an abort ends the wait for the next one at once: a source may be silent for ever. */
export async function* abortable<T>(source: AsyncIterable<T>, signal: AbortSignal | undefined): AsyncIterable<T> {
  if (signal === undefined) {
    yield* source
    return
  }
  signal.throwIfAborted()
  const iterator = source[Symbol.asyncIterator]()
  let stop: (reason: Error) => void = () => undefined
  const onAbort = () => {
    stop(signal.reason as Error)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stop = reject
        iterator.next().then(resolve, reject)
      })
      if (next.done === true) return
      yield next.value
      signal.throwIfAborted()
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: it waits for the chunk that we no longer wait for.
    iterator.return?.().catch(() => undefined)
  }
}
