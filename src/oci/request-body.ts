import { Readable } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'

/** Bytes that can be sent again: a retry, a redirect or a new token calls `open` once more. */
export interface StreamBody {
  open: () => AsyncIterable<Uint8Array>
  /** Bytes that `open` gives. */
  size: number
}

export interface SendingOptions {
  clock: Clock
  host: string
  what: string
  /** How long the other side may take no byte. */
  stallMs: number
  /** How long it may take to answer after the last byte. */
  commitMs: number
  abort: (reason: Error) => void
}

/** One sending of a body. undici's own time-outs do not see that a slow upload still moves. */
export interface Sending {
  readable: Readable
  /** What the source itself threw: not the line's fault, and not to be retried as if it were. */
  failure: () => unknown
  stop: () => void
}

export function startSending(body: StreamBody, options: SendingOptions): Sending {
  const { clock, host, what } = options
  let failure: unknown
  let stopTimer: (() => void) | undefined
  const watch = (ms: number, waitingFor: string) => {
    stopTimer?.()
    stopTimer = clock.after(ms, () =>
      options.abort(new RemoteError('timeout', `cannot ${what}: ${host} ${waitingFor}`, { host, retryable: true })),
    )
  }
  async function* guarded() {
    try {
      for await (const chunk of body.open()) {
        watch(options.stallMs, 'took no more bytes')
        yield chunk
        stopTimer?.()
      }
      watch(options.commitMs, 'did not answer after the last byte')
    } catch (error) {
      failure = error
      throw error
    }
  }
  const readable = Readable.from(guarded(), { objectMode: false })
  // Who sends it hears of `failure`, or gave it up.
  readable.on('error', () => undefined)
  return { readable, failure: () => failure, stop: () => stopTimer?.() }
}
