import { isStored } from '../content/damage.ts'
import { IntegrityError } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, RawManifest, Source } from '../oci/target.ts'
import { blobMethods, ingest, read, type BlobMethods } from './repository-blobs.ts'
import { manifestMethods, type ManifestMethods } from './repository-manifests.ts'
import { notFound, type Shared } from './shared.ts'
import type { LocalRepository } from './types.ts'

const pageLength = 1_000

export function createRepository(name: string, shared: Shared): LocalRepository {
  const local = { ...blobMethods(name, shared), ...manifestMethods(name, shared) }
  return { name, repositoryName: name, ...local, ...sinkMethods(name, shared, local) }
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
