import type { Deployer, Removal } from '../deployers/deployer.ts'
import type { Clock } from '../lib/clock.ts'
import { logFields } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import { OneMore } from '../lib/one-more.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Left } from '../model/placement.ts'
import type { Release } from '../model/release.ts'
import type { State } from '../state/state.ts'
import { AttemptLog } from './attempt-log.ts'
import type { Decisions } from './decisions.ts'
import { pauseMs, storagePauseMs } from './place-retry.ts'
import { tookTooLong } from './place-words.ts'

export interface DepartureContext {
  state: Pick<State, 'bundles' | 'placements' | 'lease'>
  clock: Clock
  random: () => number
  logger: Logger
  /** For what places say. */
  redactor: Pick<Redactor, 'redact'>
  decisions: Pick<Decisions, 'holdOf'>
  /** How long one attempt may take before it counts as failed. */
  deadlineMs: number
  /** Nothing of it is there any more. */
  gone(left: Left): void
}

const retry = { maxAttempts: null, maxIntervalMs: 600_000 }
const dropped = new Error('the place is back in the config, or is kept')

/** What one bundle left at a place: takes it away, and keeps trying. */
export class Departure {
  left: Left
  readonly deployer: Deployer
  readonly #context: DepartureContext
  readonly #logger: Logger
  readonly #flight: OneMore<void>
  readonly #stop = new AbortController()
  #cancelTimer: (() => void) | undefined

  /** `queue` decides when it is this one's turn. */
  constructor(
    left: Left,
    deployer: Deployer,
    context: DepartureContext,
    queue: (run: () => Promise<void>) => Promise<void>,
  ) {
    this.left = left
    this.deployer = deployer
    this.#context = context
    this.#logger = context.logger.child({ bundle: left.bundle, place: left.place })
    this.#flight = new OneMore((begin) =>
      queue(async () => {
        begin()
        await this.#attempt()
      }),
    )
  }

  /** What was persisted says when; one that was given up is tried once more. */
  begin(): void {
    const { nextAttemptAt } = this.left
    if (nextAttemptAt === null) this.wake()
    else this.#wakeAt(nextAttemptAt)
  }

  wake(): void {
    this.#cancelTimer?.()
    if (this.#stop.signal.aborted) return
    this.#flight.ask().catch((error: unknown) => {
      this.#logger.error({ err: error }, 'what was taken away could not be recorded; it is tried again')
      this.#wakeIn(storagePauseMs)
    })
  }

  async close(): Promise<void> {
    this.#cancelTimer?.()
    this.#stop.abort(dropped)
    await this.#flight.idle()
  }

  async #attempt(): Promise<void> {
    const { state, clock, redactor, decisions, deadlineMs } = this.#context
    const { bundle, deployed } = this.left
    if (this.#stop.signal.aborted || decisions.holdOf(bundle) !== null) return
    const log = new AttemptLog(clock, redactor)
    const late = new AbortController()
    const cancelDeadline = clock.after(deadlineMs, () => late.abort(tookTooLong(this.deployer, deadlineMs)))
    try {
      const started = { ...this.left, attempts: this.left.attempts + 1, nextAttemptAt: null, lastError: null }
      await state.placements.saveLeft(started, clock.now(), [])
      this.left = started
      const signal = AbortSignal.any([this.#stop.signal, late.signal])
      await this.deployer.remove!(await this.#removal((text) => log.say(text)), signal)
      await state.placements.forget(this.left, clock.now(), log.lines)
      this.#logger.info({ release: deployed }, `taken away: ${this.deployer.name}`)
      this.#context.gone(this.left)
    } catch (error) {
      // Begun again at the next start, unless it is back.
      if (this.#stop.signal.aborted) return
      await this.#failed(late.signal.aborted ? late.signal.reason : error, log)
    } finally {
      cancelDeadline()
    }
  }

  /** Of releases whose bytes are gone their line in the history stays. */
  async #removal(say: Removal['say']): Promise<Removal> {
    const { state } = this.#context
    const { bundle, place, form, path, deployed } = this.left
    const numbers = new Set([...(await state.placements.puts(bundle, place)), ...(deployed === null ? [] : [deployed])])
    const releases: Release[] = []
    for (const number of numbers) {
      const release = await state.bundles.release(bundle, number)
      if (release !== undefined) releases.push(release)
    }
    return { bundle, place, form: form as Removal['form'], path, releases, say, check: () => state.lease.check() }
  }

  async #failed(error: unknown, log: AttemptLog): Promise<void> {
    const { state, clock, random } = this.#context
    const lastError = error instanceof Error ? error.message : String(error)
    const waitMs = pauseMs(this.left.attempts, error, retry, random)
    const nextAttemptAt = waitMs === null ? null : clock.now() + waitMs
    this.#logger.warn(logFields(error), `what stayed at ${this.left.place} could not be taken away: ${lastError}`)
    const failed = { ...this.left, lastError, nextAttemptAt }
    await state.placements.saveLeft(failed, clock.now(), log.lines)
    this.left = failed
    if (nextAttemptAt !== null) this.#wakeAt(nextAttemptAt)
  }

  #wakeAt(at: number): void {
    this.#wakeIn(Math.min(Math.max(0, at - this.#context.clock.now()), retry.maxIntervalMs))
  }

  #wakeIn(ms: number): void {
    this.#cancelTimer?.()
    if (!this.#stop.signal.aborted) this.#cancelTimer = this.#context.clock.after(ms, () => this.wake())
  }
}
