import type { Logger } from '../lib/logger.ts'
import { copy } from '../oci/copy.ts'
import type { Source } from '../oci/target.ts'
import type { Store } from './store.ts'

export interface SourceStore {
  name: string
  address: string
  watches?: string
  /** Opened for each use: what is there may have come only since. */
  open: () => Promise<Source>
  logger: Logger
}

/** A store over one repository in OCI's sense, wherever it is: at a registry, in a folder, in our own registry. */
export function storeFrom({ open, logger, ...about }: SourceStore): Store {
  return {
    ...about,

    /** One HEAD: registries do not count it as a pull. */
    async resolve(follow, signal) {
      signal.throwIfAborted()
      const version = 'tag' in follow ? follow.tag : follow.digest
      const descriptor = await (await open()).head(version, signal)
      return descriptor && { version, fingerprint: descriptor.digest }
    },

    /** By the digest that was resolved: a tag that moves meanwhile is the next look's. */
    async fetch({ fingerprint }, into, { platform, signal }) {
      signal.throwIfAborted()
      const { mediaType, digest, size, bytes } = await copy(await open(), fingerprint, into, {
        platform,
        referrers: true,
        onMissedReferrers: (error) =>
          logger.warn({ err: error, store: about.name }, `what refers to ${fingerprint} was not taken along`),
        signal,
      })
      return { manifest: { mediaType, digest, size }, bytes: bytes + size }
    },
  }
}
