import type { Clock } from '../lib/clock.ts'
import { IntegrityError, LongshoreError, RemoteError } from '../lib/errors.ts'
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

const notHttp = new Set(['HTTPParserError', 'UND_ERR_HEADERS_OVERFLOW', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'])
const lost = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])
const tlsCodes = /^(?:CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERR_TLS_|HOSTNAME_MISMATCH|ERR_SSL_|EPROTO)/

const untrusted = 'nobody whom we trust signed its certificate'

/** Instead of advice for whoever wrote the program. */
const tlsWords: Record<string, string> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS',
}

/** Says in our words what undici, Node or OpenSSL could not do. What is no failure of the line passes as it is. */
export function explainFailure(error: unknown, host: string, what: string): unknown {
  if (!(error instanceof Error) || error instanceof LongshoreError) return error
  // What `AbortSignal.timeout` gives has a number for a code.
  const code = error.name === 'TimeoutError' ? 'TIMEOUT' : codeOf(error)
  if (code === undefined) return error
  const at = { host, cause: error }
  if (/TIMEOUT|ETIMEDOUT/.test(code)) {
    return new RemoteError('timeout', `cannot ${what}: ${host} did not answer in time (${code})`, {
      ...at,
      retryable: true,
    })
  }
  if (tlsCodes.test(code)) return explainTls(error, { code, host, what })
  if (notHttp.has(code)) {
    return new RemoteError('protocol', `cannot ${what}: ${host} does not speak HTTP properly: ${error.message}`, at)
  }
  const had = lost.has(code) ? 'lost the' : 'no'
  const { why, hint } = reasonOf(error, code, host)
  return new RemoteError('network', `cannot ${what}: ${had} connection to ${host}: ${why}`, {
    ...at,
    retryable: true,
    ...(hint === undefined ? {} : { hint }),
  })
}

function explainTls(error: Error, { code, host, what }: { code: string; host: string; what: string }): RemoteError {
  const isPlain = code === 'EPROTO' || code.includes('WRONG_VERSION') || code.includes('PACKET_LENGTH')
  const isOld = code.includes('EXPIRED') || code.includes('NOT_YET')
  // OpenSSL's message has a thread and a place of its own code in it.
  const why = tlsWords[code] ?? (error as { reason?: string }).reason ?? error.message
  return new RemoteError('network', `cannot ${what}: no secure connection to ${host}: ${why} (${code})`, {
    host,
    cause: error,
    hint: isPlain
      ? `If ${host} speaks plain HTTP, set plain_http for it under registries.`
      : isOld
        ? `Renew the certificate of ${host}, or set the clock of this machine.`
        : `If ${host} has a certificate of your own authority, set ca for it under registries.`,
  })
}

function reasonOf(error: Error, code: string, host: string): { why: string; hint: string | undefined } {
  // Undici has no code of its own for it.
  const refused = /^Proxy response \((\d+)\)/.exec(error.message)?.[1]
  if (refused !== undefined) {
    const hint = `See whether the proxy that HTTPS_PROXY names lets us go to ${host}, or name that in NO_PROXY.`
    return { why: `the proxy answered ${refused}`, hint }
  }
  const why = error.message.includes(code) ? error.message : `${error.message} (${code})`.trim()
  return { why, hint: hintFor(code, host) }
}

function hintFor(code: string, host: string): string | undefined {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `Check how ${host} is spelled, and that this machine can look it up; behind a proxy, set HTTPS_PROXY.`
  }
  if (code === 'ECONNREFUSED') return `Nothing listens there: check host and port, and that the registry runs.`
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') {
    return `Check that ${host} can be reached from here; behind a proxy, set HTTPS_PROXY.`
  }
  return undefined
}

function codeOf(error: Error): string | undefined {
  const own = (error as { code?: unknown }).code
  if (typeof own === 'string') return own
  // undici gives these no code.
  if (error.name === 'HTTPParserError') return error.name
  // Several addresses were tried.
  if (error instanceof AggregateError)
    return error.errors.map((one) => codeOf(one as Error)).find((code) => code !== undefined)
  return error.cause instanceof Error ? codeOf(error.cause) : undefined
}
