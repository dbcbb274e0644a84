import type { Content } from '../content/content.ts'
import { isCorrupt, removeIfDamaged } from '../content/damage.ts'
import type { Clock } from '../lib/clock.ts'
import { StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { createSeldom } from '../lib/seldom.ts'
import { counted } from '../lib/units.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { BundleTable } from '../server/bundles/table.ts'
import { createRestored } from './restored.ts'
import type { State } from '../state/state.ts'

export interface ServingOptions {
  table: BundleTable
  content: Content
  state: State
  clock: Pick<Clock, 'monotonic'>
  logger: Logger
  /** A larger bundle is read from disk for each request. */
  maxMemoryBytes: number
}

/** Puts releases on the table that answers are made from, in the order in which they came. */
export interface Serving {
  /**
   * The newest release of each bundle, and the digests of those before it, from which a rollback is told: served at once, but
   * from disk, where each answer is checked while it is read.
   */
  restore(releases: readonly Release[]): Promise<void>
  /**
   * Reads what was restored, in the background. What is lost or damaged is not served any more, and told: it has to be fetched
   * again.
   */
  check(lost: (bundle: string) => void): void
  /** Has what was restored in memory from now on, where there is room: it was asked for. */
  hold(bundle: string): void
  /** Nothing happens when it is served already, or a newer one is. */
  activate(release: Release): void
  /** Once every release of the bundle that was activated so far is served, and what was restored is checked. */
  settled(bundle: string): Promise<void>
  /** Stops reading. */
  close(): Promise<void>
}

/** Of each of what may be thousands of bundles. A client that is asked to roll back had one of the last few. */
const rememberedReleases = 100

export function createServing(options: ServingOptions): Serving {
  const { table, content, state, clock, logger, maxMemoryBytes } = options
  const isDue = createSeldom(clock)
  const chains = new Map<string, Promise<void>>()
  const waiting: Release[] = []
  const restored = createRestored({ table, logger, verify, read, discard })

  /** When its bytes cannot be had, what was served before stays. */
  async function put(release: Release): Promise<void> {
    const { bundle, bundleDigest, size } = release
    const entry = table.get(bundle)
    if (entry === undefined || (entry.release?.number ?? 0) >= release.number) return
    try {
      const bytes = bundleDigest === null ? undefined : await read(bundleDigest, size)
      table.activate({ release, bytes })
      logger.debug({ bundle, release: release.number, digest: bundleDigest }, 'serving')
    } catch (error) {
      const message = 'a release cannot be served: its bytes cannot be read'
      const level = isDue(`${bundle}@${release.number}`) ? 'error' : 'debug'
      logger[level]({ err: error, bundle, release: release.number }, message)
      if (isCorrupt(error) && bundleDigest !== null) await discard(bundle, bundleDigest)
    }
  }

  async function read(digest: Digest, size: number): Promise<Buffer | undefined> {
    return size <= maxMemoryBytes ? content.bytes(digest, maxMemoryBytes) : undefined
  }

  async function verify(digest: Digest, size: number): Promise<void> {
    if (await content.verify(digest)) return
    throw new StorageError('corrupt', `the ${size} bytes stored as ${digest} hash to something else`)
  }

  async function discard(bundle: string, digest: Digest): Promise<void> {
    await removeIfDamaged(content, digest).catch((error: unknown) => {
      logger.error({ err: error, bundle, digest }, 'a damaged blob cannot be removed')
    })
  }

  async function rememberEarlier(): Promise<void> {
    const earlier = Map.groupBy(await state.bundles.earlierDigests(rememberedReleases), ({ bundle }) => bundle)
    for (const [bundle, releases] of earlier) {
      if (table.get(bundle) === undefined) continue
      table.remember(
        bundle,
        releases.map(({ digest }) => digest),
      )
    }
  }

  return {
    async restore(releases) {
      const configured = releases.filter(({ bundle }) => table.get(bundle) !== undefined)
      if (configured.length > 0) await rememberEarlier()
      table.activate(...configured.map((release) => ({ release, bytes: undefined })))
      for (const { bundle, number, version } of configured) {
        logger.debug({ bundle, release: number, version }, `serving release ${number} again`)
      }
      const bundles = configured.length
      if (bundles > 0) logger.info({ bundles }, `serving ${counted(bundles, 'bundle')} again, as before the start`)
      waiting.push(...configured)
    },
    check: (lost) => restored.check(waiting.splice(0), lost),
    hold: (bundle) => restored.hold(bundle),
    activate(release) {
      const before = chains.get(release.bundle) ?? Promise.resolve()
      chains.set(
        release.bundle,
        before.then(() => put(release)),
      )
    },
    async settled(bundle) {
      await Promise.all([chains.get(bundle), restored.settled(bundle)])
    },
    close: () => restored.close(),
  }
}
