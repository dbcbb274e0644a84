import type { Clock } from '../lib/clock.ts'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { backoffMs } from '../lib/retry.ts'
import type { Answer } from './answer.ts'
import { sendChunks } from './chunks.ts'
import { nextHop } from './redirect.ts'
import { repositoryScope } from './scope.ts'
import { verified, verifiedBytes } from './stream.ts'
import type { Descriptor } from './target.ts'
import type { Site, Transport } from './transport.ts'

export interface UploadOptions {
  transport: Transport
  site: Site
  clock: Clock
  random: () => number
}

/** Where the registry wants the bytes. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs */
export interface Session {
  url: URL
  minChunkBytes: number
}

/** Up to this a blob goes in one piece: a stream would cost more than what it carries. */
const smallBytes = 16 * 1024

/** Uploads of blobs to one repository. */
export class Uploads {
  readonly #options: UploadOptions
  /** Sessions that a registry opened when it was asked to mount. */
  readonly #offered = new Map<string, Session>()

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
        if (isTooBig || (offered !== undefined && hasStatus(error, 404))) continue
        await this.#pauseAfter(error, attempt, signal)
        if (await isThere()) return
      }
    }
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
    const { site, transport } = this.#options
    const query = `mount=${descriptor.digest}&from=${encodeURIComponent(from)}`
    const answer = await transport.send(site, {
      method: 'POST',
      url: `/v2/${site.repository}/blobs/uploads/?${query}`,
      what: `mount ${descriptor.digest} from ${from} in ${site.host}/${site.repository}`,
      lane: 'metadata',
      scopes: [repositoryScope(site.repository, 'pull', 'push'), repositoryScope(from, 'pull')],
      ok: [201, 202],
      body: new Uint8Array(),
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
    const { site, transport } = this.#options
    const answer = await transport.send(site, {
      method: 'POST',
      url: `/v2/${site.repository}/blobs/uploads/`,
      what: this.#what(descriptor),
      lane: 'metadata',
      scopes: this.#scopes(),
      ok: [202],
      body: new Uint8Array(),
      signal,
    })
    await answer.discard()
    return this.#sessionOf(answer, descriptor)
  }

  async #monolithic(
    session: Session,
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { site, transport } = this.#options
    const what = this.#what(descriptor)
    const { size } = descriptor
    const source = `the source of ${descriptor.digest}`
    const body =
      size <= smallBytes
        ? await verifiedBytes(open(), descriptor, source)
        : { open: () => verified(open(), descriptor, source), size }
    const answer = await transport.send(site, {
      method: 'PUT',
      url: withDigest(session.url, descriptor),
      what,
      lane: 'upload',
      scopes: this.#scopes(),
      ok: [200, 201, 204],
      headers: { 'content-type': 'application/octet-stream' },
      body,
      commits: true,
      // A session that was cut off may hold a part of the blob: the next try opens another.
      retry: false,
      signal,
    })
    await answer.discard()
    checkStored(answer, descriptor)
  }

  async #chunked(
    session: Session,
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    const { site, transport } = this.#options
    const send = (method: 'PATCH' | 'GET', url: URL, headers: Record<string, string>, body?: Uint8Array) =>
      transport.send(site, {
        method,
        url,
        what: this.#what(descriptor),
        lane: method === 'PATCH' ? 'upload' : 'metadata',
        scopes: this.#scopes(),
        ok: method === 'PATCH' ? [202, 201, 204, 416] : [204, 200, 202],
        headers,
        ...(body === undefined ? {} : { body }),
        retry: method === 'GET',
        signal,
      })
    const end = await sendChunks(
      session,
      descriptor,
      () => verified(open(), descriptor, `the source of ${descriptor.digest}`),
      {
        limits: site.limits,
        host: site.host,
        what: this.#what(descriptor),
        send,
        sessionOf: (answer, before) =>
          answer.header('location') === undefined ? before : this.#sessionOf(answer, descriptor).url,
      },
    )
    const answer = await transport.send(site, {
      method: 'PUT',
      url: withDigest(end, descriptor),
      what: this.#what(descriptor),
      lane: 'upload',
      scopes: this.#scopes(),
      ok: [200, 201, 204],
      body: new Uint8Array(),
      commits: true,
      retry: false,
      signal,
    })
    await answer.discard()
    checkStored(answer, descriptor)
  }

  /** Best effort, also when the caller has given up: registries end sessions by themselves, after days. */
  async #cancel(session: Session, descriptor: Descriptor): Promise<void> {
    const { site, transport } = this.#options
    const signal = AbortSignal.timeout(site.limits.cancelMs)
    try {
      const call = {
        lane: 'metadata',
        scopes: this.#scopes(),
        ok: [200, 202, 204, 404, 405],
        retry: false,
        signal,
      } as const
      const answer = await transport.send(site, {
        method: 'DELETE',
        url: session.url,
        what: this.#what(descriptor),
        ...call,
      })
      await answer.discard()
    } catch {
      // What went wrong before this is what the caller hears of.
    }
  }

  #sessionOf(answer: Answer, descriptor: Descriptor): Session {
    const { host, origin } = this.#options.site
    const what = this.#what(descriptor)
    if ((answer.header('location') ?? '') === '') {
      const message = `cannot ${what}: ${host} opened an upload, but did not say where: its answer has no Location`
      throw new RemoteError('protocol', message, { host, status: answer.status })
    }
    const minimum = Number(answer.header('oci-chunk-min-length') ?? 0)
    const location = behindProxy(answer.header('location'), origin)
    return {
      url: nextHop(answer.url, location, { host, what }),
      minChunkBytes: Number.isSafeInteger(minimum) ? minimum : 0,
    }
  }

  #what({ digest }: Descriptor): string {
    return `push blob ${digest} to ${this.#options.site.host}/${this.#options.site.repository}`
  }

  #scopes(): string[] {
    return [repositoryScope(this.#options.site.repository, 'pull', 'push')]
  }
}

function hasStatus(error: unknown, status: number): boolean {
  return error instanceof RemoteError && error.status === status
}

/** Appended as text: writing the query anew breaks signatures in it. */
function withDigest(url: URL, { digest }: Descriptor): string {
  return `${url.href}${url.search === '' ? '?' : '&'}digest=${digest}`
}

/** A registry behind a proxy that ends TLS and does not say so names itself with http: it is still the same one. */
export function behindProxy(location: string | undefined, origin: string): string | undefined {
  const own = new URL(origin)
  if (location === undefined || own.protocol !== 'https:' || !location.startsWith(`http://${own.hostname}`))
    return location
  const named = URL.parse(location)
  const isOwn = named?.hostname === own.hostname && (named.port === '' || named.port === own.port)
  return isOwn ? `${origin}${named.pathname}${named.search}` : location
}

function checkStored(answer: Answer, descriptor: Descriptor): void {
  const stored = storedInstead(answer, descriptor)
  if (stored === undefined) return
  throw new IntegrityError(
    'digest_mismatch',
    `${answer.url.host} stored ${stored} when it was sent ${descriptor.digest}`,
  )
}

/** The digest that the registry says it has now, where it is another of the same algorithm. */
function storedInstead(answer: Answer, { digest }: Descriptor): string | undefined {
  const stored = answer.header('docker-content-digest')
  const isOther = stored !== undefined && stored !== digest && stored.startsWith(digest.slice(0, 7))
  return isOther ? stored.slice(0, 100) : undefined
}
