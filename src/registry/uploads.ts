import { randomUUID } from 'node:crypto'
import type { Content, Partial } from '../content/content.ts'
import type { Clock } from '../lib/clock.ts'
import { RemoteError, StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { counted } from '../lib/units.ts'
import type { Digest } from '../oci/digest.ts'
import type { CatalogState } from '../state/state.ts'
import type { Activity } from './activity.ts'
import { leftOf, withinQuota, type QuotaOf } from './quota.ts'
import type { RegistryLimits, Uploads } from './types.ts'

interface Session {
  repository: string
  partial: Partial
  /** On the clock that only goes up. */
  touchedAt: number
  /** Whether an append is under way. */
  busy: boolean
  cancelled: AbortController
  /** What else the push has brought stays until this is called, and a while longer; undefined once it was. */
  end: (() => void) | undefined
}

interface Parts {
  content: Content
  catalog: CatalogState
  clock: Clock
  logger: Logger
  limits: Pick<RegistryLimits, 'maxUploads' | 'uploadIdleMs'>
  activity: Activity
  quotaOf: QuotaOf
}

type Chunk = Parameters<Uploads['append']>[3]

/** The sessions of this process: after a restart their ids are unknown, and clients begin again. */
export class UploadSessions implements Uploads {
  readonly #parts: Parts
  readonly #sessions = new Map<string, Session>()
  // Sessions that are being made count too, or many at once would pass the ceiling; and uploads that have none.
  #others = 0
  #stopTimer: (() => void) | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  enter(): () => void {
    const { maxUploads } = this.#parts.limits
    if (this.#sessions.size + this.#others >= maxUploads) throw tooMany(maxUploads)
    this.#others++
    return () => {
      this.#others--
    }
  }

  async start(repository: string): Promise<string> {
    const { content, clock, activity } = this.#parts
    await this.#dropExpired()
    const started = this.enter()
    try {
      await this.#left(repository)
      const id = randomUUID()
      const partial = await content.startPartial()
      const cancelled = new AbortController()
      const end = activity.begin(repository)
      this.#sessions.set(id, { repository, partial, touchedAt: clock.monotonic(), busy: false, cancelled, end })
      this.#watch()
      return id
    } finally {
      started()
    }
  }

  async status(repository: string, id: string): Promise<number | undefined> {
    const session = this.#find(repository, id)
    if (session === undefined) return undefined
    session.touchedAt = this.#parts.clock.monotonic()
    return session.partial.size
  }

  async append(repository: string, id: string, source: AsyncIterable<Uint8Array>, chunk: Chunk) {
    const session = this.#find(repository, id)
    if (session === undefined) return undefined
    const { partial, cancelled } = session
    if (session.busy || (chunk.offset ?? partial.size) !== partial.size) return { size: partial.size, outOfOrder: true }
    session.busy = true
    session.end ??= this.#parts.activity.begin(repository)
    try {
      const signal = AbortSignal.any([cancelled.signal, ...(chunk.signal === undefined ? [] : [chunk.signal])])
      const quota = await this.#left(repository)
      const allowed =
        quota === undefined ? source : withinQuota(source, quota.left - partial.size, { repository, ...quota })
      await partial.append(allowed, { maxBytes: chunk.maxBytes, signal })
    } catch (error) {
      // Who is refused seldom says that it is over: what the repository has would be kept for it, and with that the way out.
      if (error instanceof StorageError && error.code === 'quota_exceeded') this.#end(session)
      throw error
    } finally {
      session.busy = false
      session.touchedAt = this.#parts.clock.monotonic()
    }
    return { size: partial.size, outOfOrder: false }
  }

  async finish(repository: string, id: string, digest: Digest) {
    const session = this.#find(repository, id)
    if (session === undefined) return undefined
    if (session.busy) throw stillReceiving(id)
    this.#sessions.delete(id)
    const { catalog, clock, quotaOf } = this.#parts
    try {
      return await session.partial.finish(digest, (blob) =>
        catalog.addBlob(repository, blob, clock.now(), quotaOf(repository)),
      )
    } finally {
      this.#end(session)
    }
  }

  async cancel(repository: string, id: string): Promise<boolean> {
    const session = this.#find(repository, id)
    if (session === undefined) return false
    await this.#drop(id, session)
    return true
  }

  async close(): Promise<void> {
    this.#stopTimer?.()
    const cut = this.#sessions.size
    for (const [id, session] of this.#sessions) await this.#drop(id, session)
    if (cut === 0) return
    const message = `stopped before ${counted(cut, 'upload')} had ended: they have to begin again`
    this.#parts.logger.info({ uploads: cut }, message)
  }

  /** Throws StorageError `quota_exceeded` when nothing is left; undefined where there is no limit. */
  async #left(repository: string): Promise<{ maxBytes: number; left: number } | undefined> {
    const { catalog, quotaOf } = this.#parts
    const maxBytes = quotaOf(repository)
    return maxBytes === undefined ? undefined : { maxBytes, left: await leftOf(catalog, repository, maxBytes) }
  }

  #find(repository: string, id: string): Session | undefined {
    const session = this.#sessions.get(id)
    return session?.repository === repository && !this.#isExpired(session) ? session : undefined
  }

  #isExpired({ busy, touchedAt }: Session): boolean {
    return !busy && this.#parts.clock.monotonic() - touchedAt >= this.#parts.limits.uploadIdleMs
  }

  #end(session: Session): void {
    session.end?.()
    session.end = undefined
  }

  async #drop(id: string, session: Session): Promise<void> {
    this.#sessions.delete(id)
    this.#end(session)
    session.cancelled.abort(cancelledError(id))
    await session.partial.cancel()
  }

  async #dropExpired(): Promise<void> {
    for (const [id, session] of this.#sessions) if (this.#isExpired(session)) await this.#drop(id, session)
  }

  /** Looks once in a while for as long as there are sessions. */
  #watch(): void {
    if (this.#sessions.size === 0) return
    this.#stopTimer ??= this.#parts.clock.after(this.#parts.limits.uploadIdleMs, () => {
      this.#stopTimer = undefined
      void this.#dropExpired().then(
        () => {
          this.#watch()
        },
        (error: unknown) => {
          this.#parts.logger.warn({ err: error }, 'dropping an expired upload failed')
          this.#watch()
        },
      )
    })
  }
}

const host = 'built-in registry'

function tooMany(count: number): RemoteError {
  return new RemoteError('busy', `${count} uploads are under way, no more are taken`, {
    host,
    status: 503,
    retryable: true,
    hint: 'Try again later, or end uploads that are not used.',
  })
}

function stillReceiving(id: string): RemoteError {
  return new RemoteError('conflict', `upload ${id} still receives a chunk`, { host, status: 409 })
}

function cancelledError(id: string): RemoteError {
  return new RemoteError('conflict', `upload ${id} was cancelled`, { host, status: 409 })
}
