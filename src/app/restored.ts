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
  /** Throws StorageError `corrupt` where the stored bytes are gone, or not what they were. */
  verify: (digest: Digest, size: number) => Promise<void>
  /** Verified bytes; undefined for what stays on disk. */
  read: (digest: Digest, size: number) => Promise<Buffer | undefined>
  /** Takes damaged bytes away. */
  discard: (bundle: string, digest: Digest) => Promise<void>
}

/** What is served from disk since the start: nobody knows what happened to it since it was written, nor who wants it. */
export interface Restored {
  /** In the background. `lost` is told of a bundle whose bytes are lost or damaged, and which is not served any more. */
  check(releases: readonly Release[], lost: (bundle: string) => void): void
  /** It was asked for: it is in memory soon. */
  hold(bundle: string): void
  /** Once what was restored of the bundle is checked, and held if it was asked for. */
  settled(bundle: string): Promise<unknown> | undefined
  close(): Promise<void>
}

const readAtOnce = 4
/**
 * What was read waits for what is being read, up to so much: the table is copied once for all of it, and not once for each of the
 * thousands of bundles that are asked for after a start. Until then they are served from disk.
 */
const together = { bundles: 256, bytes: 16 * 1024 ** 2 }
/** So many are told to be checked at once. */
const pageLength = 50

export function createRestored({ table, logger, verify, read, discard }: RestoredOptions): Restored {
  const underWay = new Map<string, Promise<unknown>>()
  /** What nobody has asked for. */
  const resting = new Map<string, Release>()
  const holding = new Limit(readAtOnce)
  const arrived = createArrived(table, isCurrent)
  let checking: Promise<void> = Promise.resolve()
  let isClosed = false

  async function check(release: Release, lost: (bundle: string) => void): Promise<void> {
    const { bundle, bundleDigest, size } = release
    if (isClosed || bundleDigest === null || !isCurrent(release)) return
    try {
      await verify(bundleDigest, size)
    } catch (error) {
      if (isClosed) return
      if (isCorrupt(error)) await discard(bundle, bundleDigest)
      if (!isCurrent(release)) return
      logger.error({ err: error, bundle, release: release.number }, 'a release is served no more: its bytes are lost')
      table.withdraw(bundle)
      lost(bundle)
    }
  }

  async function checkPage(releases: readonly Release[], lost: (bundle: string) => void): Promise<void> {
    const limit = new Limit(readAtOnce)
    await Promise.all(releases.map((release) => limit.do(() => check(release, lost))))
  }

  /** Settles when it is on the table, or stays on disk. */
  async function readInto(release: Release, digest: Digest): Promise<void> {
    arrived.expect()
    try {
      const bytes = await holding.do(async () =>
        isClosed || !isCurrent(release) ? undefined : read(digest, release.size),
      )
      await arrived.add(bytes === undefined ? undefined : { release, bytes })
    } catch (error) {
      void arrived.add(undefined)
      // It is tried again when it is asked for again; damage is found by who checks it, or answers with it.
      if (isCurrent(release)) resting.set(release.bundle, release)
      const { bundle, number } = release
      logger.warn({ err: error, bundle, release: number }, 'a release is not held in memory: its bytes cannot be read')
    }
  }

  function isCurrent({ bundle, number }: Release): boolean {
    return table.get(bundle)?.release?.number === number
  }

  return {
    check(releases, lost) {
      for (let at = 0; at < releases.length; at += pageLength) {
        const page = releases.slice(at, at + pageLength)
        checking = checking.then(() => checkPage(page, lost))
        for (const release of page) {
          underWay.set(release.bundle, checking)
          resting.set(release.bundle, release)
        }
      }
    },
    hold(bundle) {
      const release = resting.get(bundle)
      if (release === undefined || release.bundleDigest === null) return
      const { bundleDigest } = release
      resting.delete(bundle)
      underWay.set(bundle, Promise.all([underWay.get(bundle), readInto(release, bundleDigest)]))
    },
    settled: (bundle) => underWay.get(bundle),
    async close() {
      isClosed = true
      await Promise.all(underWay.values())
    },
  }
}

interface Arrived {
  /** One more is being read. */
  expect(): void
  /** It was, or came to nothing. Settles when it is on the table. */
  add(served: ServedBundle | undefined): Promise<void>
}

function createArrived(table: BundleTable, isCurrent: (release: Release) => boolean): Arrived {
  let expected = 0
  let bytes = 0
  let batch: ServedBundle[] = []
  let put = Promise.withResolvers<void>()

  function flush(): void {
    if (batch.length > 0) table.activate(...batch.filter(({ release }) => isCurrent(release)))
    put.resolve()
    batch = []
    bytes = 0
    put = Promise.withResolvers()
  }

  return {
    expect: () => void expected++,
    async add(served) {
      expected--
      if (served !== undefined) {
        batch.push(served)
        bytes += served.bytes?.length ?? 0
      }
      const { promise } = put
      if (expected === 0 || batch.length >= together.bundles || bytes >= together.bytes) flush()
      if (served !== undefined) await promise
    },
  }
}
