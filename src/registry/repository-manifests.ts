import type { Digest } from '../oci/digest.ts'
import { isStored } from '../content/damage.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import { checkManifest, descriptorOf } from './manifests.ts'
import { discardIfDamaged, notFound, type Shared } from './shared.ts'
import type { LocalRepository } from './types.ts'

export type ManifestMethods = Pick<
  LocalRepository,
  'head' | 'manifest' | 'put' | 'isWhole' | 'removeManifest' | 'removeTag' | 'tagPage' | 'listReferrers'
>

export function manifestMethods(name: string, shared: Shared): ManifestMethods {
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
      const removed = await catalog.removeManifest(name, digest, clock.now())
      if (removed === undefined) return false
      held.delete(digest)
      for (const tag of removed.tags.length > 0 ? removed.tags : [null]) {
        changed({ repository: name, action: 'delete', tag, digest })
      }
      return true
    },

    async removeTag(tag) {
      const digest = await catalog.removeTag(name, tag, clock.now())
      if (digest === undefined) return false
      changed({ repository: name, action: 'delete', tag, digest })
      return true
    },

    tagPage: (page) => catalog.tags(name, page),
    listReferrers: async (subject, artifactType) =>
      (await catalog.referrers(name, subject, artifactType)).map(descriptorOf),
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
