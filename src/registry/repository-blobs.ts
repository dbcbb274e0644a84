import type { BlobInfo, ByteRange, IngestOptions } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { quotaExceeded } from '../state/quota.ts'
import { leftOf, withinQuota } from './quota.ts'
import { discardIfDamaged, notFound, type Shared } from './shared.ts'
import type { LocalRepository } from './types.ts'

export type BlobMethods = Pick<
  LocalRepository,
  'statBlob' | 'readBlob' | 'heldBlob' | 'smallBlob' | 'blobFile' | 'ingestBlob' | 'mount' | 'removeBlob'
>

export function blobMethods(name: string, shared: Shared): BlobMethods {
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
export async function* read(
  name: string,
  digest: Digest,
  shared: Shared,
  range?: ByteRange,
): AsyncIterable<Uint8Array> {
  try {
    yield* shared.content.read(digest, range)
  } catch (error) {
    await discardIfDamaged(error, name, digest, shared)
    throw error
  }
}

/** Stored, and in this repository, before a collection can come in between. */
export async function ingest(
  name: string,
  shared: Shared,
  source: AsyncIterable<Uint8Array>,
  options: IngestOptions,
): Promise<BlobInfo> {
  const { content, catalog, clock, activity, quotaOf } = shared
  const end = activity.begin(name)
  try {
    const allowed = await withinQuotaOf(name, shared, source, options)
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
  { digest, size = 0 }: IngestOptions,
): Promise<AsyncIterable<Uint8Array>> {
  const maxBytes = quotaOf(name)
  if (maxBytes === undefined) return source
  if (digest !== undefined && (await catalog.blob(name, digest)) !== undefined) return source
  const left = await leftOf(catalog, name, maxBytes)
  // Not even asked for.
  if (size > left) throw quotaExceeded(name, maxBytes, maxBytes - left + size)
  return withinQuota(source, left, { repository: name, maxBytes })
}
