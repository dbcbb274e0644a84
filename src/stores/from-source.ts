import type { Logger } from '../lib/logger.ts'
import { copy } from '../oci/copy.ts'
import { createdOf } from '../oci/created.ts'
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

const mostTimes = 10_000

/** A store over one repository in OCI's sense, wherever it is: at a registry, in a folder, in our own registry. */
export function storeFrom({ open, logger, ...about }: SourceStore): Store {
  /** By digest: what is there under a digest does not change. Null where it does not say. Most bundles never ask. */
  let times: Map<string, number | null> | undefined

  return {
    ...about,
    open,

    /** One HEAD: registries do not count it as a pull. */
    async resolve(exact, signal) {
      signal.throwIfAborted()
      const version = 'tag' in exact ? exact.tag : exact.digest
      const descriptor = await (await open()).head(version, signal)
      return descriptor && { version, fingerprint: descriptor.digest }
    },

    async versions(signal) {
      signal.throwIfAborted()
      return Array.fromAsync((await open()).tags(signal))
    },

    async createdAt({ fingerprint }, { platform, signal }) {
      signal.throwIfAborted()
      const known = times?.get(fingerprint)
      if (known !== undefined) return known ?? undefined
      const at = await createdOf(await open(), fingerprint, { platform, signal })
      times ??= new Map()
      if (times.size >= mostTimes) times.clear()
      times.set(fingerprint, at ?? null)
      return at
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
