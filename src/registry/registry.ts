import type { Content } from '../content/content.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeldom } from '../lib/seldom.ts'
import type { Digest } from '../oci/digest.ts'
import type { Source } from '../oci/target.ts'
import type { CatalogState } from '../state/state.ts'
import { Activity } from './activity.ts'
import { BytesCache } from './cache.ts'
import { createIndexes } from './indexes.ts'
import { defaultRegistryLimits } from './limits.ts'
import type { QuotaOf } from './quota.ts'
import { createRepository } from './repository.ts'
import { discard, type Shared } from './shared.ts'
import type { LocalRepository, Registry, RegistryLimits, RepositoryChange } from './types.ts'
import { UploadSessions } from './uploads.ts'

export interface RegistryOptions {
  content: Content
  catalog: CatalogState
  clock: Clock
  logger: Logger
  limits?: Partial<RegistryLimits>
  /** No limits unless said. */
  quotaOf?: QuotaOf
  /** Told how many bytes of content are held in memory when that changes. */
  onMemory?: (bytes: number) => void
  /** The content folder, in which each repository is an OCI image layout for other tools; without it none is written. */
  folder?: string
  /** Before anything in that folder is changed: throws where another process does so now. */
  mayWrite?: () => Promise<void>
}

/** A blob's use is noted no finer than this, so that most looks at a blob write nothing. */
const usedWithinMs = 60_000

/** Repositories that are not put together anew for each request. */
const maxOpened = 1_000

/** The built-in registry: changes are durable, and told to listeners, when a method resolves. */
export function createRegistry({ content, catalog, clock, logger, folder, ...options }: RegistryOptions): Registry {
  const limits = { ...defaultRegistryLimits, ...options.limits }
  const listeners = new Set<(change: RepositoryChange) => void>()
  const names = new WeakMap<Source, string>()
  const opened = new Map<string, LocalRepository>()
  const activity = new Activity(clock, limits.graceMs)
  const quotaOf = options.quotaOf ?? (() => undefined)
  const uploads = new UploadSessions({ content, catalog, clock, logger, limits, activity, quotaOf })
  const { mayWrite } = options
  const parts = { scratch: content.scratch, catalog, clock, logger, delayMs: limits.indexDelayMs }
  const indexes = folder === undefined ? undefined : createIndexes({ ...parts, folder, ...(mayWrite && { mayWrite }) })

  const shared: Shared = {
    content,
    catalog,
    clock,
    logger,
    isDamageDue: createSeldom(clock),
    activity,
    quotaOf,
    usedWithinMs: Math.min(usedWithinMs, limits.graceMs / 4),
    held: new BytesCache<Digest>(limits.contentCacheBytes, options.onMemory),
    cachedBlobBytes: limits.cachedBlobBytes,
    nameOf: (source) => names.get(source),
    changed(change) {
      indexes?.refresh()
      for (const listener of listeners) tell(listener, change, logger)
    },
  }

  // What the process before us did not come to write.
  indexes?.refresh()

  return {
    uploads,
    hold: (repository) => activity.begin(repository),
    quietBefore: (repository) => activity.quietBefore(repository),
    repository(name): LocalRepository {
      const known = opened.get(name)
      if (known !== undefined) return known
      const repository = createRepository(name, shared)
      names.set(repository, name)
      if (opened.size >= maxOpened) opened.clear()
      opened.set(name, repository)
      return repository
    },
    repositories: (page) => catalog.repositories(page),
    hasRepository: (name) => catalog.hasRepository(name),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    forget: (digest) => shared.held.delete(digest),
    refreshIndexes: () => indexes?.refresh(),
    discard: (digest) => discard(digest, shared),
    async close() {
      await uploads.close()
      await indexes?.close()
    },
  }
}

/** The change stands, whatever a listener makes of it. */
function tell(listener: (change: RepositoryChange) => void, change: RepositoryChange, logger: Logger): void {
  try {
    listener(change)
  } catch (error) {
    logger.error({ err: error, repository: change.repository }, 'a listener failed on a change of a repository')
  }
}
