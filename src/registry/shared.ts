import type { Content } from '../content/content.ts'
import { isCorrupt, removeIfDamaged } from '../content/damage.ts'
import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { Source } from '../oci/target.ts'
import type { CatalogState } from '../state/state.ts'
import type { Activity } from './activity.ts'
import type { BytesCache } from './cache.ts'
import type { QuotaOf } from './quota.ts'
import type { RepositoryChange } from './types.ts'

/** What the repositories of one registry share. */
export interface Shared {
  content: Content
  catalog: CatalogState
  clock: Clock
  logger: Logger
  /** Whether a damaged blob is to be told of again. */
  isDamageDue: (digest: Digest) => boolean
  activity: Activity
  quotaOf: QuotaOf
  /** A blob's use is noted no finer than this. */
  usedWithinMs: number
  /** Bytes of manifests and small blobs, verified when they were read. */
  held: BytesCache<Digest>
  /** A larger blob is not held. */
  cachedBlobBytes: number
  /** Called when a change is durable. */
  changed: (change: RepositoryChange) => void
  /** The name of a repository of this same registry; undefined for any other source. */
  nameOf: (source: Source) => string | undefined
}

/** What was found wrong is taken away: then who asks whether it is here is told no, and it comes again. */
export async function discardIfDamaged(error: unknown, name: string, digest: Digest, shared: Shared): Promise<void> {
  const { logger } = shared
  if (!isCorrupt(error)) return
  try {
    const isGone = await discard(digest, shared)
    logger[shared.isDamageDue(digest) ? 'error' : 'debug'](
      { err: error, repository: name, digest },
      isGone ? 'a stored blob is damaged or gone' : 'a blob was read wrong',
    )
  } catch (failed) {
    logger.error({ err: failed, repository: name, digest }, 'a damaged blob cannot be removed')
  }
}

export function discard(digest: Digest, { content, held }: Shared): Promise<boolean> {
  held.delete(digest)
  return removeIfDamaged(content, digest)
}

export function notFound(repository: string, reference: string): RemoteError {
  const separator = isDigest(reference) ? '@' : ':'
  return new RemoteError('not_found', `${repository}${separator}${reference} is not in the built-in registry`, {
    host: 'built-in registry',
    status: 404,
  })
}
