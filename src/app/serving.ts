import type { Content } from '../content/content.ts'
import { isCorrupt, removeIfDamaged } from '../content/damage.ts'
import { Limit } from '../lib/limit.ts'
import { StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { BundleTable } from '../server/bundles/table.ts'
import type { State } from '../state/state.ts'

export interface ServingOptions {
  table: BundleTable
  content: Content
  state: State
  logger: Logger
  /** A larger bundle is read from disk for each request. */
  maxMemoryBytes: number
}

/** Puts releases on the table that answers are made from, in the order in which they came. */
export interface Serving {
  /**
   * The newest release of each bundle, and the digests of those before it, from which a rollback is told. Returns the
   * bundles whose bytes are lost or damaged: these are not served before they are fetched again.
   */
  restore(releases: readonly Release[]): Promise<string[]>
  /** Nothing happens when it is served already, or a newer one is. */
  activate(release: Release): void
  /** Once every release of the bundle that was activated so far is served. */
  settled(bundle: string): Promise<void>
}

/** Of each of what may be thousands of bundles. A client that is asked to roll back had one of the last few. */
const rememberedReleases = 100
/** What is more than the ceiling is let go only when it was read. */
const restoredAtOnce = 4

export function createServing({ table, content, state, logger, maxMemoryBytes }: ServingOptions): Serving {
  const chains = new Map<string, Promise<void>>()

  /** False when its bytes cannot be had: then what was served before stays. */
  async function put(release: Release, read: (digest: Digest, size: number) => Promise<Buffer | undefined>) {
    const { bundle, bundleDigest, size } = release
    const entry = table.get(bundle)
    if (entry === undefined || (entry.release?.number ?? 0) >= release.number) return true
    try {
      const bytes = bundleDigest === null ? undefined : await read(bundleDigest, size)
      table.activate({ release, bytes })
      logger.debug({ bundle, release: release.number, digest: bundleDigest }, 'serving')
      return true
    } catch (error) {
      const message = 'a release cannot be served: its bytes cannot be read'
      logger.error({ err: error, bundle, release: release.number }, message)
      if (isCorrupt(error) && bundleDigest !== null) await discard(bundleDigest)
      return false
    }
  }

  async function read(digest: Digest, size: number): Promise<Buffer | undefined> {
    return size <= maxMemoryBytes ? content.bytes(digest, maxMemoryBytes) : undefined
  }

  /** What stays on disk is read too: nobody knows what happened to it since it was written. */
  async function readAgain(digest: Digest, size: number): Promise<Buffer | undefined> {
    const bytes = await read(digest, size)
    if (bytes !== undefined || (await content.verify(digest))) return bytes
    throw new StorageError('corrupt', `the ${size} bytes stored as ${digest} hash to something else`)
  }

  async function discard(digest: Digest): Promise<void> {
    await removeIfDamaged(content, digest).catch((error: unknown) => {
      logger.error({ err: error, digest }, 'a damaged blob cannot be removed')
    })
  }

  async function remember(bundle: string): Promise<void> {
    const releases = await state.bundles.releases(bundle, rememberedReleases)
    const digests = releases.map(({ bundleDigest }) => bundleDigest).filter((digest) => digest !== null)
    table.remember(bundle, digests.reverse())
  }

  return {
    async restore(releases) {
      const configured = releases.filter(({ bundle }) => table.get(bundle) !== undefined)
      const limit = new Limit(restoredAtOnce)
      const restored = configured.map(async (release) => {
        await remember(release.bundle)
        return limit.do(() => put(release, readAgain))
      })
      const isServed = await Promise.all(restored)
      for (const { bundle, number, version } of configured.filter((_, at) => isServed[at])) {
        logger.info({ bundle, release: number, version }, `serving release ${number} again, as before the start`)
      }
      return configured.filter((_, at) => !isServed[at]).map(({ bundle }) => bundle)
    },
    activate(release) {
      const before = chains.get(release.bundle) ?? Promise.resolve()
      chains.set(
        release.bundle,
        before.then(async () => void (await put(release, read))),
      )
    },
    settled: async (bundle) => chains.get(bundle),
  }
}
