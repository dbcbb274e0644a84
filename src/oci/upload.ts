import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import { backoffMs } from '../lib/retry.ts'
import type { Answer } from './answer.ts'
import { sendChunks } from './chunks.ts'
import { repositoryScope } from './scope.ts'
import { checkStored, sessionOf, storedInstead, withDigest, type Session } from './session.ts'
import { verified, verifiedBytes } from './stream.ts'
import type { Descriptor } from './target.ts'
import type { Call, Site, Transport } from './transport.ts'

export interface UploadOptions {
  transport: Transport
  site: Site
  clock: Clock
  random: () => number
}

/** Up to this a blob goes in one piece: a stream would cost more than what it carries. */
export const smallBytes = 16 * 1024
const nothing = new Uint8Array()
const octets = { 'content-type': 'application/octet-stream' }

/** Uploads of blobs to one repository. */
export class Uploads {
  readonly #options: UploadOptions
  /** Sessions that a registry opened when it was asked to mount, or sent a blob at once. */
  readonly #offered = new Map<string, Session>()
  /** False once the registry would not have it. */
  #takesAtOnce = true

  constructor(options: UploadOptions) {
    this.#options = options
  }

  /**
   * Sends a blob that is not there yet: in one piece, in chunks where that is too much. `isThere` is asked before it is sent
   * again: an answer may have been lost, not the blob.
   */
  async put(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    isThere: () => Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<void> {
    let inChunks = false
    for (let attempt = 1; ; attempt++) {
      const offered = this.#offered.get(descriptor.digest)
      this.#offered.delete(descriptor.digest)
      const session = offered ?? (await this.start(descriptor, signal))
      try {
        if (inChunks) await this.#chunked(session, descriptor, open, signal)
        else await this.#monolithic(session, descriptor, open, signal)
        return
      } catch (error) {
        await this.#cancel(session, descriptor)
        signal?.throwIfAborted()
        const isTooBig: boolean = !inChunks && hasStatus(error, 413)
        inChunks ||= isTooBig
        if (isTooBig || (offered !== undefined && hasStatus(error, 400, 404, 416))) continue
        await this.#pauseAfter(error, attempt, signal)
        if (await isThere()) return
      }
    }
  }

  /**
   * As `put`, for a small blob of which nobody knows whether it is there: it goes with the first request, where the registry takes
   * that, and who has it already says the same. Whatever stands against it is for `put` to find out, or to mend.
   * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#single-post
   */
  async putAtOnce(
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    isThere: () => Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<void> {
    const bytes = await verifiedBytes(open(), descriptor, `the source of ${descriptor.digest}`)
    if (this.#takesAtOnce && (await this.#atOnce(descriptor, bytes, signal))) return
    await this.put(descriptor, () => onePiece(bytes), isThere, signal)
  }

  async #atOnce(descriptor: Descriptor, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<boolean> {
    const call = {
      method: 'POST',
      url: this.#path(`?digest=${descriptor.digest}`),
      ok: [201, 202],
      body: bytes,
    } as const
    let answer: Answer
    try {
      answer = await this.#send(descriptor, { ...call, headers: octets, commits: true, retry: false, signal })
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof RemoteError)) throw error
      this.#takesAtOnce &&= error.retryable
      return false
    }
    await answer.discard()
    if (answer.status === 201) {
      checkStored(answer, descriptor)
      return true
    }
    // Many registries only ever open a session.
    this.#takesAtOnce = false
    this.#offered.set(descriptor.digest, this.#sessionOf(answer, descriptor))
    return false
  }

  /** Waits before the next try; throws the error where there is none. */
  async #pauseAfter(error: unknown, attempt: number, signal: AbortSignal | undefined): Promise<void> {
    const { clock, random, site } = this.#options
    const { limits } = site
    if (!(error instanceof RemoteError) || !error.retryable || attempt >= limits.tries) throw error
    const backoff = { firstMs: limits.backoffFirstMs, factor: limits.backoffFactor, capMs: limits.backoffCapMs }
    const waitMs = Math.max(backoffMs(attempt, backoff, random), error.retryAfterMs ?? 0)
    if (waitMs > limits.waitBudgetMs) throw error
    await clock.sleep(waitMs, signal)
  }

  /** True when the registry took the blob from `from`; a session that it opened instead is used by the next `put`. */
  async mount(descriptor: Descriptor, from: string, signal?: AbortSignal): Promise<boolean> {
    const { host, repository } = this.#options.site
    const answer = await this.#send(descriptor, {
      method: 'POST',
      url: this.#path(`?mount=${descriptor.digest}&from=${encodeURIComponent(from)}`),
      what: `mount ${descriptor.digest} from ${from} in ${host}/${repository}`,
      lane: 'metadata',
      scopes: [repositoryScope(repository, 'pull', 'push'), repositoryScope(from, 'pull')],
      ok: [201, 202],
      body: nothing,
      signal,
    })
    await answer.discard()
    if (answer.status === 202) this.#offered.set(descriptor.digest, this.#sessionOf(answer, descriptor))
    // Whoever mounted something else did not mount this.
    return answer.status === 201 && storedInstead(answer, descriptor) === undefined
  }

  /** Whether the registry waits for the bytes of a blob that it could not mount. */
  isOffered({ digest }: Descriptor): boolean {
    return this.#offered.has(digest)
  }

  async start(descriptor: Descriptor, signal?: AbortSignal): Promise<Session> {
    const call = { method: 'POST', url: this.#path(), lane: 'metadata', ok: [202], body: nothing, signal } as const
    const answer = await this.#send(descriptor, call)
    await answer.discard()
    return this.#sessionOf(answer, descriptor)
  }

  async #monolithic(
    session: Session,
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { size } = descriptor
    const source = `the source of ${descriptor.digest}`
    const body =
      size <= smallBytes
        ? await verifiedBytes(open(), descriptor, source)
        : { open: () => verified(open(), descriptor, source), size }
    await this.#finish(session.url, descriptor, { headers: octets, body, signal })
  }

  async #chunked(
    session: Session,
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { limits, host } = this.#options.site
    const send = (method: 'PATCH' | 'GET', url: URL, headers: Record<string, string>, body?: Uint8Array) =>
      this.#send(descriptor, {
        method,
        url,
        lane: method === 'PATCH' ? 'upload' : 'metadata',
        ok: method === 'PATCH' ? [202, 201, 204, 416] : [204, 200, 202],
        headers,
        ...(body === undefined ? {} : { body }),
        retry: method === 'GET',
        signal,
      })
    const checked = () => verified(open(), descriptor, `the source of ${descriptor.digest}`)
    const end = await sendChunks(session, descriptor, checked, {
      limits,
      host,
      what: this.#what(descriptor),
      send,
      sessionOf: (answer, before) =>
        answer.header('location') === undefined ? before : this.#sessionOf(answer, descriptor).url,
    })
    await this.#finish(end, descriptor, { body: nothing, signal })
  }

  async #finish(url: URL, descriptor: Descriptor, parts: Partial<Call>): Promise<void> {
    const answer = await this.#send(descriptor, {
      method: 'PUT',
      url: withDigest(url, descriptor),
      ok: [200, 201, 204],
      commits: true,
      // A session that was cut off may hold a part of the blob: the next try opens another.
      retry: false,
      ...parts,
    })
    await answer.discard()
    checkStored(answer, descriptor)
  }

  /** Best effort, also when the caller has given up: registries end sessions by themselves, after days. */
  async #cancel({ url }: Session, descriptor: Descriptor): Promise<void> {
    const signal = AbortSignal.timeout(this.#options.site.limits.cancelMs)
    const call = { method: 'DELETE', url, lane: 'metadata', ok: [200, 202, 204, 404, 405], retry: false } as const
    try {
      const answer = await this.#send(descriptor, { ...call, signal })
      await answer.discard()
    } catch {
      // What went wrong before this is what the caller hears of.
    }
  }

  #send(descriptor: Descriptor, call: Pick<Call, 'method' | 'url' | 'ok'> & Partial<Call>): Promise<Answer> {
    const { site, transport } = this.#options
    const scopes = [repositoryScope(site.repository, 'pull', 'push')]
    return transport.send(site, { what: this.#what(descriptor), lane: 'upload', scopes, ...call })
  }

  #path(query = ''): string {
    return `/v2/${this.#options.site.repository}/blobs/uploads/${query}`
  }

  #sessionOf(answer: Answer, descriptor: Descriptor): Session {
    return sessionOf(answer, this.#options.site, this.#what(descriptor))
  }

  #what({ digest }: Descriptor): string {
    return `push blob ${digest} to ${this.#options.site.host}/${this.#options.site.repository}`
  }
}

function hasStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof RemoteError && error.status !== undefined && statuses.includes(error.status)
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes)
}
