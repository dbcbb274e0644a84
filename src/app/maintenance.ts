import type { Config } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import { LongshoreError } from '../lib/errors.ts'
import { Limit } from '../lib/limit.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { nextLookAt } from '../lib/schedule.ts'
import { counted, formatSize } from '../lib/units.ts'
import { backUp, type BackedUp } from '../registry/backup.ts'
import { collect, defaultCollectLimits, type Collected } from '../registry/collect.ts'
import { verifyContent, type Verified, type VerifyOptions } from '../registry/verify.ts'
import type { Storage } from './storage.ts'

export interface MaintenanceOptions extends Storage {
  /** What is in force. */
  config: () => Config
  clock: Clock
  random: () => number
  logger: Logger
  metrics: Pick<Metrics, 'collected'>
}

/** Work on the folder as a whole: one at a time. */
export interface Maintenance {
  collect(options: { dryRun: boolean; signal?: AbortSignal }): Promise<Collected>
  /** State and blobs together, into a new folder of this machine. */
  backUp(options: { to: string; signal?: AbortSignal }): Promise<BackedUp>
  /** Hashes every blob, and takes away what is damaged. */
  verify(options: { signal?: AbortSignal }): Promise<Verified>
  /** How far the verification is that runs now; null when none does. */
  verifying(): { blobs: number; bytes: number } | null
  /** Breaks off what is under way, and waits until it has stopped. */
  close(): Promise<void>
}

const lastFact = 'collectedAt'
/** After a start, and after a failure. */
const soonMs = { min: 600_000, spread: 3_000_000 }
/** The clock may be set: how late that is noticed at most. */
const longestTimerMs = 3_600_000

/** Collects as the config's schedule says, and when it is asked to. */
export function createMaintenance(options: MaintenanceOptions): Maintenance {
  const { clock, logger, metrics, state } = options
  const turn = new Limit(1)
  const stop = new AbortController()
  let cancelTimer: (() => void) | undefined
  const verification = createVerification(options)

  async function run(dryRun: boolean, signal: AbortSignal): Promise<Collected> {
    const startedAt = clock.monotonic()
    try {
      const collected = await collectStorage(options, options.config(), { dryRun, signal })
      if (!dryRun) {
        await state.facts.set(lastFact, String(clock.now()))
        metrics.collected('done', { ...collected, seconds: (clock.monotonic() - startedAt) / 1000 })
      }
      return collected
    } catch (error) {
      if (!dryRun && !signal.aborted) metrics.collected('failed')
      throw error
    }
  }

  function inTurn<T>(work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
    return turn.do(() => work(either), either)
  }

  async function arm(): Promise<void> {
    try {
      const at = await nextCollectionAt(options)
      if (at !== null && !stop.signal.aborted) wait(at)
    } catch (error) {
      if (stop.signal.aborted) return
      logger.error({ err: error }, 'the next collection could not be scheduled; it is tried again')
      cancelTimer = clock.after(soonMs.min, () => void arm())
    }
  }

  /** Until then by the clock; set back, it does not take longer for that. */
  function wait(at: number, due = clock.monotonic() + at - clock.now()): void {
    const leftMs = () => Math.min(at - clock.now(), due - clock.monotonic())
    cancelTimer = clock.after(Math.min(Math.max(0, leftMs()), longestTimerMs), () => {
      if (leftMs() > 0) wait(at, due)
      else void scheduled()
    })
  }

  async function scheduled(): Promise<void> {
    try {
      const { files, bytes, releases, manifests, blobs, left } = await inTurn((signal) => run(false, signal))
      const took = { files, bytes, releases, manifests, blobs, left }
      logger.info({ audit: true, who: 'schedule', action: 'gc', ...took }, describeCollected(files, bytes))
    } catch (error) {
      if (stop.signal.aborted) return
      const code = error instanceof LongshoreError ? error.code : 'internal'
      logger.error({ err: error, code }, 'collecting what nobody needs failed; it is tried again')
    }
    await arm()
  }

  void arm()

  return {
    collect: ({ dryRun, signal }) => inTurn((either) => run(dryRun, either), signal),
    backUp: ({ to, signal }) => inTurn((either) => backUpStorage(options, options.config(), to, either), signal),
    verify: ({ signal }) => inTurn(verification.run, signal),
    verifying: () => verification.seen(),
    async close() {
      cancelTimer?.()
      stop.abort(new Error('shutting down'))
      await turn.do(() => Promise.resolve())
    },
  }
}

/** `off` means never by itself; what was missed while nobody was here is made up for soon. */
async function nextCollectionAt({ config, clock, random, state }: MaintenanceOptions): Promise<number | null> {
  const { schedule } = config().content.gc
  const last = Number((await state.facts.get(lastFact)) ?? 0)
  const next = nextLookAt(schedule, last === 0 ? clock.now() : Math.min(last, clock.now()), random)
  const soon = clock.now() + soonMs.min + Math.round(random() * soonMs.spread)
  return next === null ? null : last === 0 && schedule.kind === 'interval' ? soon : Math.max(next, soon)
}

/** Tells how far it is. */
function createVerification(options: MaintenanceOptions) {
  let seen: { blobs: number; bytes: number } | null = null
  const run = async (signal: AbortSignal): Promise<Verified> => {
    seen = { blobs: 0, bytes: 0 }
    try {
      const verified = await verifyStorage(options, { signal, progress: (now) => (seen = now) })
      for (const { digest, message } of verified.findings) options.logger.error({ digest }, `verified: ${message}`)
      return verified
    } finally {
      seen = null
    }
  }
  return { run, seen: () => seen }
}

/** What the log says; `files` blobs of together `bytes` are gone. */
function describeCollected(files: number, bytes: number): string {
  return files === 0
    ? 'collected: nothing to remove'
    : `collected: ${counted(files, 'blob')} removed, ${formatSize(bytes)} freed`
}

/** No collection may run meanwhile. */
export function backUpStorage(
  { content, state, clock }: Storage & { clock: Clock },
  config: Pick<Config, 'content'>,
  to: string,
  signal?: AbortSignal,
): Promise<BackedUp> {
  return backUp({ folder: config.content.path, content, state, clock }, to, signal)
}

/** No collection may run meanwhile. */
export function verifyStorage(
  { content, state, registry, clock }: Storage & { clock: Clock },
  options: VerifyOptions,
): Promise<Verified> {
  return verifyContent({ content, catalog: state.catalog, registry, clock }, options)
}

/** One collection of what is open here. `isAlone`: nobody else reads or writes meanwhile. */
export function collectStorage(
  { content, state, registry, clock, logger }: Storage & { clock: Clock; logger: Logger },
  config: Pick<Config, 'bundles' | 'content'>,
  options: { dryRun: boolean; signal?: AbortSignal; isAlone?: boolean },
): Promise<Collected> {
  const { graceMs, untaggedMs } = config.content.gc
  const pauses = options.isAlone === true ? { pauseMs: 0, settleMs: 0 } : defaultCollectLimits
  const keep = new Map(config.bundles.map((bundle) => [bundle.name, bundle.pull ? bundle.keep : 1]))
  const parts = { content, collection: state.collection, registry, clock, logger, limits: { graceMs, ...pauses } }
  return collect(parts, { ...options, keep, untaggedMs })
}
