import type { BlobInfo, ByteRange, Content, IngestOptions } from '../content/content.ts'
import { isCorrupt, isStored, removeIfDamaged } from '../content/damage.ts'
import type { Clock } from '../lib/clock.ts'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import type { Descriptor, RawManifest, Source } from '../oci/target.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import type { CatalogState } from '../state/state.ts'
import type { Activity } from './activity.ts'
import type { BytesCache } from './cache.ts'
import { checkManifest, descriptorOf } from './manifests.ts'
import { leftOf, withinQuota, type QuotaOf } from './quota.ts'
import type { LocalRepository, RepositoryChange } from './types.ts'

/** What the repositories of one registry share. */
export interface Shared {
  content: Content
  catalog: CatalogState
  clock: Clock
  logger: Logger
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

const pageLength = 1_000

export function createRepository(name: string, shared: Shared): LocalRepository {
  const local = { ...blobMethods(name, shared), ...manifestMethods(name, shared) }
  return { name, repositoryName: name, ...local, ...sinkMethods(name, shared, local) }
}

type BlobMethods = Pick<
  LocalRepository,
  'statBlob' | 'readBlob' | 'heldBlob' | 'smallBlob' | 'blobFile' | 'ingestBlob' | 'mount' | 'removeBlob'
>

function blobMethods(name: string, shared: Shared): BlobMethods {
  const { content, catalog, clock, quotaOf, held, cachedBlobBytes } = shared

  async function statBlob(digest: Digest): Promise<{ size: number } | undefined> {
    const blob = await catalog.blob(name, digest)
    if (blob === undefined || !(await noteUse(name, digest, blob.usedAt, shared))) return undefined
    return { size: blob.size }
  }

  return {
    statBlob,
    readBlob: (digest, range) => read(name, digest, shared, range),
    heldBlob: (digest) => held.get(digest),
    async smallBlob({ digest, size }) {
      if (size > cachedBlobBytes) return undefined
      try {
        const bytes = await content.bytes(digest, cachedBlobBytes)
        held.set(digest, bytes)
        return bytes
      } catch (error) {
        await discardIfDamaged(error, name, digest, shared)
        throw error
      }
    },
    async blobFile(digest) {
      if ((await statBlob(digest)) === undefined) throw notFound(name, digest)
      try {
        return await content.file(digest)
      } catch (error) {
        await discardIfDamaged(error, name, digest, shared)
        throw error
      }
    },
    ingestBlob: (source, options) => ingest(name, shared, source, options),
    async mount(digest, options) {
      if ((await content.stat(digest)) === undefined) return false
      const mount = { digest, to: name, ...options }
      return (await catalog.mountBlob(mount, clock.now(), quotaOf(name))) !== undefined
    },
    async removeBlob(digest) {
      held.delete(digest)
      return catalog.removeBlob(name, digest)
    },
  }
}

/** False when the blob was collected meanwhile; whoever reads it after true finds it. */
async function noteUse(
  name: string,
  digest: Digest,
  usedAt: number,
  { catalog, clock, logger, usedWithinMs }: Shared,
): Promise<boolean> {
  if (clock.now() - usedAt < usedWithinMs) return true
  try {
    return await catalog.useBlob(name, digest, clock.now())
  } catch (error) {
    // It can be read all the same, from a disk that is full for one.
    logger.warn({ err: error, repository: name, digest }, 'the use of a blob could not be noted')
    return true
  }
}

/** Throws StorageError `corrupt` instead of the last bytes of a blob that the disk changed. */
async function* read(name: string, digest: Digest, shared: Shared, range?: ByteRange): AsyncIterable<Uint8Array> {
  try {
    yield* shared.content.read(digest, range)
  } catch (error) {
    await discardIfDamaged(error, name, digest, shared)
    throw error
  }
}

/** What was found wrong is taken away: then who asks whether it is here is told no, and it comes again. */
async function discardIfDamaged(error: unknown, name: string, digest: Digest, shared: Shared): Promise<void> {
  const { logger } = shared
  if (!isCorrupt(error)) return
  try {
    const isGone = await discard(digest, shared)
    logger.error(
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

/** Stored, and in this repository, before a collection can come in between. */
async function ingest(
  name: string,
  shared: Shared,
  source: AsyncIterable<Uint8Array>,
  options: IngestOptions,
): Promise<BlobInfo> {
  const { content, catalog, clock, activity, quotaOf } = shared
  const end = activity.begin(name)
  try {
    const allowed = await withinQuotaOf(name, shared, source, options.digest)
    const record = (blob: BlobInfo) => catalog.addBlob(name, blob, clock.now(), quotaOf(name))
    return await content.ingest(allowed, { ...options, record })
  } finally {
    end()
  }
}

/** One that is there already may come again. */
async function withinQuotaOf(
  name: string,
  { catalog, quotaOf }: Shared,
  source: AsyncIterable<Uint8Array>,
  digest: Digest | undefined,
): Promise<AsyncIterable<Uint8Array>> {
  const maxBytes = quotaOf(name)
  if (maxBytes === undefined) return source
  if (digest !== undefined && (await catalog.blob(name, digest)) !== undefined) return source
  return withinQuota(source, await leftOf(catalog, name, maxBytes), { repository: name, maxBytes })
}

type ManifestMethods = Pick<
  LocalRepository,
  'head' | 'manifest' | 'put' | 'isWhole' | 'removeManifest' | 'removeTag' | 'tagPage' | 'listReferrers'
>

function manifestMethods(name: string, shared: Shared): ManifestMethods {
  const { content, catalog, clock, held, quotaOf, changed } = shared

  /** One that goes while it is read is not there. */
  async function manifestBytes(digest: Digest, reference: string): Promise<Buffer> {
    try {
      return await content.bytes(digest, maxManifestBytes)
    } catch (error) {
      if ((await catalog.manifest(name, digest)) === undefined) throw notFound(name, reference)
      await discardIfDamaged(error, name, digest, shared)
      throw error
    }
  }

  return {
    async head(reference) {
      const row = await catalog.manifest(name, reference)
      return row && descriptorOf(row)
    },

    async manifest(reference) {
      const row = await catalog.manifest(name, reference)
      if (row === undefined) throw notFound(name, reference)
      const cached = held.get(row.digest)
      const bytes = cached ?? (await manifestBytes(row.digest, reference))
      if (cached === undefined) held.set(row.digest, bytes)
      return { mediaType: row.mediaType, digest: row.digest, bytes }
    },

    async put(manifest, tags) {
      const { row, references } = checkManifest(manifest)
      let missing: Digest[] = []
      const record = async () => {
        missing = (await catalog.putManifest(name, row, references, tags, clock.now(), quotaOf(name))).missing
      }
      await content.ingest(once(manifest.bytes), { digest: row.digest, record })
      if (missing.length > 0) return { missing }
      for (const tag of tags.length > 0 ? tags : [null]) {
        changed({ repository: name, action: 'push', tag, digest: row.digest })
      }
      return { missing: [], subject: row.subject }
    },

    async isWhole(digest) {
      for (const { digest: part, size } of (await catalog.parts(name, digest)) ?? [{ digest, size: null }]) {
        if (size === null || !(await isStored(content, { digest: part, size }))) return false
      }
      return true
    },

    async removeManifest(digest) {
      const removed = await catalog.removeManifest(name, digest)
      if (removed === undefined) return false
      held.delete(digest)
      for (const tag of removed.tags.length > 0 ? removed.tags : [null]) {
        changed({ repository: name, action: 'delete', tag, digest })
      }
      return true
    },

    async removeTag(tag) {
      const digest = await catalog.removeTag(name, tag)
      if (digest === undefined) return false
      changed({ repository: name, action: 'delete', tag, digest })
      return true
    },

    tagPage: (page) => catalog.tags(name, page),
    listReferrers: async (subject, artifactType) =>
      (await catalog.referrers(name, subject, artifactType)).map(descriptorOf),
  }
}

/** What is left of `Sink`, for code that copies from anywhere to anywhere. */
function sinkMethods(name: string, shared: Shared, local: BlobMethods & ManifestMethods) {
  const { content, catalog, nameOf } = shared
  async function* blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    if ((await local.statBlob(descriptor.digest)) === undefined) throw notFound(name, descriptor.digest)
    yield* ofSize(descriptor, read(name, descriptor.digest, shared), signal)
  }

  return {
    blob,
    // What is stored here is known to be right most of the time: that it is verified costs nothing then.
    rawBlob: blob,

    async *tags(signal?: AbortSignal): AsyncIterable<string> {
      let after: string | undefined
      do {
        signal?.throwIfAborted()
        const page = await catalog.tags(name, { limit: pageLength, ...(after !== undefined && { after }) })
        yield* page
        after = page.length < pageLength ? undefined : page.at(-1)
      } while (after !== undefined)
    },

    referrers: (digest: Digest, options: { artifactType?: string } = {}) =>
      local.listReferrers(digest, options.artifactType),

    /** Not under another size: what a descriptor says of it is served to clients. */
    async hasBlob({ digest, size }: Descriptor): Promise<boolean> {
      const blob = await local.statBlob(digest)
      return blob?.size === size && isStored(content, { digest, size })
    },

    async putBlob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
      const { digest, size } = descriptor
      await ingest(name, shared, open(), { digest, size, ...(signal && { signal }) })
    },

    async mountBlob(descriptor: Descriptor, from: Source): Promise<boolean> {
      const neighbour = nameOf(from)
      if (neighbour === undefined || !(await local.mount(descriptor.digest, { from: neighbour }))) return false
      return (await local.statBlob(descriptor.digest))?.size === descriptor.size
    },

    async putManifest(manifest: RawManifest, tags: readonly string[]): Promise<void> {
      const { missing } = await local.put(manifest, tags)
      if (missing.length === 0) return
      throw new IntegrityError(
        'bad_manifest',
        `manifest ${manifest.digest} names what is not in repository ${name}: ${missing.slice(0, 5).join(', ')}`,
      )
    },

    async deleteManifest(digest: Digest): Promise<void> {
      if (!(await local.removeManifest(digest))) throw notFound(name, digest)
    },

    async deleteTag(tag: string): Promise<void> {
      if (!(await local.removeTag(tag))) throw notFound(name, tag)
    },
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function* ofSize(
  { digest, size }: Descriptor,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  let seen = 0
  for await (const chunk of source) {
    signal?.throwIfAborted()
    seen += chunk.byteLength
    if (seen <= size) yield chunk
  }
  if (seen !== size) throw new IntegrityError('size_mismatch', `blob ${digest} has ${seen} bytes, not ${size}`)
}

function notFound(repository: string, reference: string): RemoteError {
  const separator = isDigest(reference) ? '@' : ':'
  return new RemoteError('not_found', `${repository}${separator}${reference} is not in the built-in registry`, {
    host: 'built-in registry',
    status: 404,
  })
}
