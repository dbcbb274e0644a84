import type { Content } from '../content/content.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Digest } from '../oci/digest.ts'
import type { CollectionState } from '../state/state.ts'
import { sweep } from './collect-files.ts'
import type { Registry } from './types.ts'

export interface CollectOptions {
  /** Changes nothing, and lists what would go. */
  dryRun: boolean
  /** How many releases of each configured bundle are kept; of others all that are there. */
  keep: ReadonlyMap<string, number>
  /** Where others push, a manifest that no tag needs stays this long after it was put, or last needed; null: for ever. */
  untaggedMs: number | null
  signal?: AbortSignal
}

/** What a collection let go, or would. */
export interface Collected {
  dryRun: boolean
  /** Releases whose bytes are no longer kept. */
  releases: number
  /** Manifests of `bundles/NAME` that no release needs, and of other repositories that no tag does. */
  manifests: number
  /** Blobs that left a repository, once for each. */
  blobs: number
  /** Blobs that no repository has any more: their files are gone … */
  files: number
  /** … and this is what that frees. */
  bytes: number
  /** What stays on disk. */
  left: { files: number; bytes: number }
  /** With `dryRun`: what would go, and why; at most `maxItems`. */
  items: CollectedItem[]
}

export interface CollectedItem {
  what: 'manifest' | 'blob' | 'file'
  digest: Digest
  /** Bytes. */
  size: number
  /** Which one it leaves; null for a file. */
  repository: string | null
  /** For a person. */
  reason: string
}

export interface CollectorParts {
  content: Content
  collection: CollectionState
  registry: Pick<Registry, 'quietBefore' | 'refreshIndexes' | 'forget'>
  clock: Clock
  logger: Logger
  limits: CollectLimits
}

export interface CollectLimits {
  /** A file that came this recently stays. */
  graceMs: number
  /** Between two pages: whoever else wants the disk or the catalog comes first. */
  pauseMs: number
  /** Between finding that nobody has a blob and removing its file: who read the catalog just before has opened it by then. */
  settleMs: number
}

export const defaultCollectLimits: Omit<CollectLimits, 'graceMs'> = { pauseMs: 5, settleMs: 2_000 }

export const maxItems = 10_000
/** What one operation of the state looks at: a few milliseconds of its thread. */
export const pageLength = 200
/** The same for manifests, of which each may hang together with others. */
export const manifestPageLength = 50

/** What the parts of one collection share. */
export interface Collection extends CollectorParts {
  options: CollectOptions
  collected: Collected
  /** In a dry run: how many rows of each digest would be gone. */
  dropped: Map<Digest, number>
  note(item: CollectedItem): void
  /** Called between pages. Throws the signal's reason. */
  rest(): Promise<void>
}

/**
 * Lets go of what nobody needs: first in the catalog, page by page, each in one transaction that looks again whether it is so,
 * then files that no repository has. Only one may run at a time. Ends between two pages when the signal is aborted: what is
 * gone by then is gone for good reason.
 */
export async function collect(parts: CollectorParts, options: CollectOptions): Promise<Collected> {
  const collection = begin(parts, options)
  let after = ''
  for (;;) {
    const repositories = await parts.collection.repositories({ after, limit: pageLength })
    for (const repository of repositories) await collectRepository(collection, repository)
    if (repositories.length < pageLength) break
    after = repositories.at(-1)!
  }
  if (!options.dryRun && collection.collected.manifests > 0) parts.registry.refreshIndexes()
  await sweep(collection)
  return collection.collected
}

function begin(parts: CollectorParts, options: CollectOptions): Collection {
  const { clock, limits } = parts
  const collected: Collected = {
    ...{ dryRun: options.dryRun, releases: 0, manifests: 0, blobs: 0, files: 0, bytes: 0 },
    left: { files: 0, bytes: 0 },
    items: [],
  }
  const dropped = new Map<Digest, number>()
  return {
    ...parts,
    options,
    collected,
    dropped,
    note(item) {
      parts.logger.debug(item, `collecting a ${item.what}: ${item.reason}`)
      if (!options.dryRun) return
      if (item.what !== 'file') dropped.set(item.digest, (dropped.get(item.digest) ?? 0) + 1)
      if (collected.items.length < maxItems) collected.items.push(item)
    },
    async rest() {
      options.signal?.throwIfAborted()
      if (limits.pauseMs > 0) await clock.sleep(limits.pauseMs, options.signal)
    },
  }
}

const releasePrefix = 'bundles/'

async function collectRepository(collection: Collection, repository: string): Promise<void> {
  const unnamed = repository.startsWith(releasePrefix)
    ? await collectReleases(collection, repository)
    : await collectUntagged(collection, repository)
  const { collection: state, registry, options, collected } = collection
  let after: Digest | null | '' = ''
  while (after !== null) {
    await collection.rest()
    const page: Awaited<ReturnType<typeof state.dropBlobs>> = await state.dropBlobs(repository, {
      ...{ after, limit: pageLength, dryRun: options.dryRun },
      usedBefore: registry.quietBefore(repository),
    })
    for (const { digest, size, usedAt, named } of page.blobs) {
      if (named > (unnamed.get(digest) ?? 0)) continue
      collected.blobs++
      const reason = `no manifest of ${repository} names it, and it was last used ${new Date(usedAt).toISOString()}`
      collection.note({ what: 'blob', digest, size, repository, reason })
    }
    after = page.next
  }
}

/** In a dry run: how many manifests that would be gone name each digest. */
type Unnamed = Map<Digest, number>

/** In the repositories that we alone write, manifests are there for the sake of releases. */
async function collectReleases(collection: Collection, repository: string): Promise<Unnamed> {
  const { collection: state, registry, options, collected } = collection
  const bundle = repository.slice(releasePrefix.length)
  const keep = options.keep.get(bundle)
  await collection.rest()
  const releases = keep === undefined ? [] : await state.dropReleases(bundle, { keep, dryRun: options.dryRun })
  collected.releases += releases.length
  return collectManifests(collection, repository, {
    ...{ bundle, without: options.dryRun ? releases : [] },
    before: () => registry.quietBefore(repository),
    reason: `no release of ${bundle} that is kept needs it`,
  })
}

/** Where others push: only if the config says so, since somebody may use them by their digest. */
async function collectUntagged(collection: Collection, repository: string): Promise<Unnamed> {
  const { registry, clock, options } = collection
  const { untaggedMs } = options
  if (untaggedMs === null) return new Map()
  return collectManifests(collection, repository, {
    ...{ bundle: null, without: [] },
    before: () => Math.min(registry.quietBefore(repository), clock.now() - untaggedMs),
    reason: `no tag of ${repository} and no kept release needs it`,
  })
}

interface Unneeded {
  bundle: string | null
  without: readonly number[]
  before: () => number
  reason: string
}

async function collectManifests(
  collection: Collection,
  repository: string,
  { before, reason, ...need }: Unneeded,
): Promise<Unnamed> {
  const { collection: state, options, collected } = collection
  const unnamed: Unnamed = new Map()
  let after: Digest | null | '' = ''
  while (after !== null) {
    await collection.rest()
    const page: Awaited<ReturnType<typeof state.dropManifests>> = await state.dropManifests(repository, {
      ...{ after, limit: manifestPageLength, dryRun: options.dryRun },
      ...{ ...need, before: before() },
    })
    for (const { digest, size } of page.manifests) {
      collected.manifests++
      collection.note({ what: 'manifest', digest, size, repository, reason })
    }
    for (const digest of page.names) unnamed.set(digest, (unnamed.get(digest) ?? 0) + 1)
    after = page.next
  }
  return unnamed
}
