import { isCorrupt } from '../content/damage.ts'
import { Limit } from '../lib/limit.ts'
import type { Logger } from '../lib/logger.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { BundleTable } from '../server/bundles/table.ts'
import type { ServedBundle } from '../server/types.ts'

export interface RestoredOptions {
  table: BundleTable
  logger: Logger
  /** Verified bytes; undefined for what stays on disk, verified too. */
  read: (digest: Digest, size: number) => Promise<Buffer | undefined>
  /** Takes damaged bytes away. */
  discard: (bundle: string, digest: Digest) => Promise<void>
}

/** What is served from disk since the start, and is to be read. */
export interface Restored {
  /** In the background. `lost` is told of a bundle whose bytes are lost or damaged, and which is not served any more. */
  load(releases: readonly Release[], lost: (bundle: string) => void): void
  /** Once what was restored of the bundle is read. */
  settled(bundle: string): Promise<void> | undefined
  close(): Promise<void>
}

/** What is more than the ceiling on memory is let go only when it was read. */
const loadedAtOnce = 4
/** The table is replaced once for so many. */
const pageLength = 50

export function createRestored({ table, logger, read, discard }: RestoredOptions): Restored {
  const loads = new Map<string, Promise<void>>()
  let loading: Promise<void> = Promise.resolve()
  let isClosed = false

  /** Undefined for what is not to be put on the table. */
  async function check(release: Release, lost: (bundle: string) => void): Promise<ServedBundle | undefined> {
    const { bundle, bundleDigest, size } = release
    if (isClosed || bundleDigest === null || !isCurrent(release)) return undefined
    try {
      return { release, bytes: await read(bundleDigest, size) }
    } catch (error) {
      if (isClosed) return undefined
      if (isCorrupt(error)) await discard(bundle, bundleDigest)
      if (!isCurrent(release)) return undefined
      logger.error({ err: error, bundle, release: release.number }, 'a release is served no more: its bytes are lost')
      table.withdraw(bundle)
      lost(bundle)
      return undefined
    }
  }

  async function loadPage(releases: readonly Release[], lost: (bundle: string) => void): Promise<void> {
    const limit = new Limit(loadedAtOnce)
    const checked = await Promise.all(releases.map((release) => limit.do(() => check(release, lost))))
    table.activate(...checked.filter((one) => one !== undefined).filter(({ release }) => isCurrent(release)))
  }

  function isCurrent({ bundle, number }: Release): boolean {
    return table.get(bundle)?.release?.number === number
  }

  return {
    load(releases, lost) {
      for (let at = 0; at < releases.length; at += pageLength) {
        const page = releases.slice(at, at + pageLength)
        loading = loading.then(() => loadPage(page, lost))
        for (const { bundle } of page) loads.set(bundle, loading)
      }
    },
    settled: (bundle) => loads.get(bundle),
    async close() {
      isClosed = true
      await loading
    },
  }
}
