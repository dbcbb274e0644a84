import type { Content } from '../content/content.ts'
import type { Logger } from '../lib/logger.ts'
import type { Release } from '../model/release.ts'
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
  /** The newest release of each bundle, and the digests of those before it, from which a rollback is told. */
  restore(releases: readonly Release[]): Promise<void>
  activate(release: Release): void
  /** Once every release of the bundle that was activated so far is served. */
  settled(bundle: string): Promise<void>
}

const rememberedReleases = 1000

export function createServing({ table, content, state, logger, maxMemoryBytes }: ServingOptions): Serving {
  const chains = new Map<string, Promise<void>>()

  async function put(release: Release): Promise<void> {
    const { bundle, bundleDigest, size } = release
    if (table.get(bundle) === undefined) return
    try {
      const isHeld = bundleDigest !== null && size <= maxMemoryBytes
      const bytes = isHeld ? await content.bytes(bundleDigest, maxMemoryBytes) : undefined
      table.activate({ release, bytes })
      logger.debug({ bundle, release: release.number, digest: bundleDigest }, 'serving')
    } catch (error) {
      logger.error(
        { err: error, bundle, release: release.number },
        'a release cannot be served: its bytes cannot be read',
      )
    }
  }

  async function remember(bundle: string): Promise<void> {
    const releases = await state.bundles.releases(bundle, rememberedReleases)
    const digests = releases.map(({ bundleDigest }) => bundleDigest).filter((digest) => digest !== null)
    table.remember(bundle, digests.reverse())
  }

  return {
    async restore(releases) {
      const configured = releases.filter(({ bundle }) => table.get(bundle) !== undefined)
      await Promise.all(
        configured.map(async (release) => {
          await remember(release.bundle)
          await put(release)
        }),
      )
      for (const { bundle, number, version } of configured) {
        logger.info({ bundle, release: number, version }, `serving release ${number} again, as before the start`)
      }
    },
    activate(release) {
      const before = chains.get(release.bundle) ?? Promise.resolve()
      chains.set(
        release.bundle,
        before.then(() => put(release)),
      )
    },
    settled: async (bundle) => chains.get(bundle),
  }
}
