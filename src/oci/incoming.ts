import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { borrow } from '../lib/lent.ts'
import { largeReadBytes } from './receiving.ts'

/**
 * What may wait for whoever reads it before the line is told to wait, until all of it was read. It is as much as one read of a
 * socket: undici asks for the next one before it parses, so with less each turn would add to what waits in the socket.
 */
const mostHeldBytes = largeReadBytes

interface Begun {
  resolve: (incoming: Incoming) => void
  reject: (error: unknown) => void
}

/**
 * The answer to one request as it comes in, piece by piece. undici's own `request` makes a stream of every answer, which for a
 * small one costs as much as all the rest. https://undici.nodejs.org/#/docs/api/Dispatcher?id=parameter-dispatchhandler
 */
export class Incoming implements Dispatcher.DispatchHandler {
  status = 0
  headers: IncomingHttpHeaders = {}
  readonly #signal: AbortSignal
  readonly #begun: Begun
  readonly #stop = () => this.#giveUp(this.#signal.reason as Error)
  #controller: Dispatcher.DispatchController | undefined
  #chunks: Uint8Array[] = []
  #heldBytes = 0
  /** How much may still pass by, once nobody wants it. */
  #passingBytes: number | undefined
  /** Set when nothing more comes; without an error, everything came. */
  #ended: { error?: Error } | undefined
  #wake: () => void = () => undefined

  private constructor(signal: AbortSignal, begun: Begun) {
    this.#signal = signal
    this.#begun = begun
    signal.addEventListener('abort', this.#stop)
  }

  /** Resolves with the head of the answer; rejects with what undici says, or with the reason of the signal, which ends the body too. */
  static of(dispatcher: Dispatcher, options: Dispatcher.DispatchOptions, signal: AbortSignal): Promise<Incoming> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      dispatcher.dispatch(options, new Incoming(signal, { resolve, reject }))
    })
  }

  /** Whether the whole body is here, or went by. */
  get isComplete(): boolean {
    return this.#ended !== undefined && this.#ended.error === undefined
  }

  /** The next piece of the body; undefined at its end. Throws what cut it off. */
  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.#heldBytes -= chunk.length
        if (this.#heldBytes === 0) this.#goOn()
        return chunk
      }
      if (this.#ended?.error !== undefined) throw this.#ended.error
      if (this.#ended !== undefined) return undefined
      await this.#news()
    }
  }

  /** Lets the rest pass by, so that the connection can be used again; ends the connection where that is more than `maxBytes`. */
  async pass(maxBytes: number): Promise<void> {
    this.#passingBytes = maxBytes - this.#heldBytes
    this.#chunks = []
    if (this.#passingBytes < 0 || Number(this.headers['content-length'] ?? 0) > maxBytes) this.destroy()
    this.#goOn()
    while (this.#ended === undefined) await this.#news()
  }

  /** Nothing more is wanted: where something is still to come, the connection ends. */
  destroy(): void {
    if (this.#ended === undefined) this.#giveUp(new Error('nobody wants the rest'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Given up while it waited for a connection.
    if (this.#ended?.error !== undefined) controller.abort(this.#ended.error)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // Others come before the answer: `103 Early Hints`.
    if (status < 200) return
    this.status = status
    this.headers = headers
    this.#begun.resolve(this)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#ended !== undefined) return
    if (this.#passingBytes !== undefined) {
      this.#passingBytes -= chunk.length
      if (this.#passingBytes < 0) this.destroy()
      return
    }
    borrow(chunk)
    this.#chunks.push(chunk)
    this.#heldBytes += chunk.length
    if (this.#heldBytes >= mostHeldBytes) controller.pause()
    this.#wake()
  }

  onResponseEnd(): void {
    this.#end({})
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#end({ error })
  }

  #giveUp(error: Error): void {
    if (this.#ended !== undefined) return
    this.#chunks = []
    this.#end({ error })
    this.#controller?.abort(error)
  }

  #end(ended: { error?: Error }): void {
    if (this.#ended !== undefined) return
    this.#ended = ended
    this.#signal.removeEventListener('abort', this.#stop)
    this.#begun.reject(ended.error)
    this.#wake()
  }

  #goOn(): void {
    if (this.#controller?.paused === true) this.#controller.resume()
  }

  #news(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }
}
