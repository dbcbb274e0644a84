import type { Clock } from '../lib/clock.ts'
import { IntegrityError } from '../lib/errors.ts'
import { release } from '../lib/lent.ts'
import type { Incoming } from './incoming.ts'

/** What is read and thrown away rather than giving up a connection. */
const dumpBytes = 128 * 1024

export interface AnswerOptions {
  incoming: Incoming
  url: URL
  redirected: boolean
  /** For messages, as in "cannot …". */
  what: string
  host: string
  clock: Clock
  /** How long the rest of a body that nobody needs may take. */
  drainMs: number
  /** Turns what undici throws into a RemoteError. */
  explain: (error: unknown) => unknown
  /** Called once, with the number of bytes of the body that came. */
  onEnd: (bytes: number) => void
}

/** An HTTP answer whose body has to be read by exactly one of `bytes`, `stream` and `discard`: until then it holds a slot. */
export class Answer {
  readonly status: number
  /** Where it came from, after redirects. */
  readonly url: URL
  /** Whether it came from somewhere else than the registry. */
  readonly redirected: boolean
  readonly #headers: Incoming['headers']
  readonly #options: AnswerOptions
  #received = 0
  #ended = false
  #onEnd: () => void = () => undefined

  constructor(options: AnswerOptions) {
    this.status = options.incoming.status
    this.url = options.url
    this.redirected = options.redirected
    this.#headers = options.incoming.headers
    this.#options = options
  }

  /** Called once, when the body is done with, after the one of the options; the newest listener counts. */
  onEnd(listener: () => void): void {
    this.#onEnd = listener
  }

  /** The first value; `name` in lower case. */
  header(name: string): string | undefined {
    const value = this.#headers[name]
    return Array.isArray(value) ? value[0] : value
  }

  headers(name: string): string[] {
    const value = this.#headers[name]
    return value === undefined ? [] : Array.isArray(value) ? value : [value]
  }

  /** Content-Length; undefined where there is none that counts. */
  length(): number | undefined {
    const text = this.header('content-length')
    return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
  }

  /** `gzip`, where somebody packed what was to come as it is. */
  encoding(): string | undefined {
    const encoding = this.header('content-encoding')?.trim().slice(0, 50)
    return encoding === '' || encoding?.toLowerCase() === 'identity' ? undefined : encoding
  }

  /** The body, at most `maxBytes` of it: with `cut`, the beginning of a longer one; without, IntegrityError `size_mismatch`. */
  async bytes(maxBytes: number, { cut = false } = {}): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) {
        size += chunk.length
        chunks.push(chunk)
        if (size <= maxBytes) continue
        if (cut) break
        const { what, host } = this.#options
        throw new IntegrityError(
          'size_mismatch',
          `cannot ${what}: ${host} answered with more than the ${maxBytes} bytes that are allowed`,
        )
      }
    } finally {
      this.#close()
    }
    const all = Buffer.concat(chunks)
    for (const chunk of chunks) release(chunk)
    return all.subarray(0, maxBytes)
  }

  /** What an error says, as far as it comes soon. Never throws: its status is worth more than its words. */
  async beginning(maxBytes: number): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    let size = 0
    const stop = this.#endSoon()
    try {
      for await (const chunk of this.stream()) {
        chunks.push(chunk)
        size += chunk.length
        if (size >= maxBytes) break
      }
    } catch {
      // What came before is what there is.
    } finally {
      stop()
    }
    return Buffer.concat(chunks).subarray(0, maxBytes)
  }

  async *stream(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) yield chunk
    } finally {
      this.#close()
    }
  }

  /** Reads what little there is, so that the connection can be used again. Never throws. */
  async discard(): Promise<void> {
    const { incoming } = this.#options
    if (!incoming.isComplete) {
      const stop = this.#endSoon()
      await incoming.pass(dumpBytes)
      stop()
    }
    this.#close()
  }

  /** A body may come a byte at a time, and no other time-out sees that. */
  #endSoon(): () => void {
    const { clock, drainMs, incoming } = this.#options
    return clock.after(drainMs, () => incoming.destroy())
  }

  async #next(): Promise<Uint8Array | undefined> {
    try {
      const chunk = await this.#options.incoming.next()
      this.#received += chunk?.length ?? 0
      return chunk
    } catch (error) {
      throw this.#options.explain(error)
    }
  }

  #close(): void {
    this.#options.incoming.destroy()
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.onEnd(this.#received)
    this.#onEnd()
  }
}
