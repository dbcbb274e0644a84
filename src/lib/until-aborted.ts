/** The signal ends the waiting, not what is waited for. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    const leave = () => signal.removeEventListener('abort', stop)
    promise.then(
      (value) => {
        leave()
        resolve(value)
      },
      (error: Error) => {
        leave()
        reject(error)
      },
    )
  })
}
