import { isDeepStrictEqual } from 'node:util'
import type { Deploy, Deployer } from '../deployers/deployer.ts'
import type { Clock } from '../lib/clock.ts'
import { logFields } from '../lib/errors.ts'
import { OneMore } from '../lib/one-more.ts'
import type { Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Deployment, Plan } from '../model/deployment.ts'
import { obstacleOf } from '../model/explain.ts'
import type { PlaceStatus } from '../model/status.ts'
import type { Release } from '../model/release.ts'
import type { Source } from '../oci/target.ts'
import type { Registry } from '../registry/types.ts'
import type { State } from '../state/state.ts'
import type { Decisions } from './decisions.ts'
import { AttemptLog } from './attempt-log.ts'
import { settleMove, type Move } from './move.ts'
import { Attempt, type Site } from './place-attempt.ts'
import { planOf } from './place-plan.ts'
import { isLast, isLeftAlone, pauseMs, storagePauseMs } from './place-retry.ts'
import { anew, desiring, failed, found, isWhole, withFacts } from './place-row.ts'
import { deployOf } from './place-what.ts'
import { tookTooLong } from './place-words.ts'
import { sourceOf, type Origin } from './source.ts'
import type { PlaceSpec, ReconcileEvents } from './types.ts'

export interface DeployContext {
  state: State
  registry: Registry
  clock: Clock
  random: () => number
  logger: Logger
  /** For what places say. */
  redactor: Pick<Redactor, 'redact'>
  /** What persons decided. */
  decisions: Pick<Decisions, 'holdOf' | 'switchOf'>
  /** How long one attempt may take before it counts as failed. */
  deadlineMs: number
  deployed(event: ReconcileEvents['deployed'][0]): void
}

const dropped = new Error('the place left the config')
const newer = new Error('a newer release is to be there')

/** One bundle at one place: brings it to the desired release, and keeps trying. */
export class Place {
  row: Deployment
  readonly #context: DeployContext
  readonly #logger: Logger
  readonly #flight: OneMore<void>
  #spec: PlaceSpec
  #origin: Origin
  readonly #stop = new AbortController()
  #cancelTimer: (() => void) | undefined
  /** When it was last asked what it holds. */
  #askedAt = -Infinity
  /** Ends what is under way, where that may be. */
  #yield: (() => void) | undefined
  /** Nothing is known that is to be put there. */
  #onlyAsks = false
  /** The config names another place now: that this one holds nothing of ours is nobody else's doing. */
  #isElsewhere = false
  #move: { move: Move; pruner: Deployer | undefined } | undefined

  /** `queue` decides when it is this one's turn. */
  constructor(
    row: Deployment,
    { spec, origin }: { spec: PlaceSpec; origin: Origin },
    context: DeployContext,
    queue: (deployer: Deployer, run: () => Promise<void>) => Promise<void>,
  ) {
    this.row = row
    this.#spec = spec
    this.#origin = origin
    this.#context = context
    this.#logger = context.logger.child({ bundle: row.bundle, place: row.place })
    this.#flight = new OneMore((begin) =>
      queue(this.#spec.deployer, async () => {
        begin()
        await this.#attempt()
      }),
    )
  }

  /**
   * What was persisted says when: a place that failed keeps its time, unless the config names another one since; any other is
   * asked at once whether it is as it should be.
   */
  begin(current: number | null): void {
    this.row = found(this.#isElsewhere ? anew(this.row) : this.row)
    const { state, nextAttemptAt, desired, attempts } = this.row
    const isWaiting = state === 'failed' && !this.#isElsewhere
    if (current !== null && desired !== current) this.desire(current)
    else if (isWaiting && nextAttemptAt !== null) this.#wakeAt(nextAttemptAt)
    else if (!isWaiting || !isLast(attempts, this.#spec.retry)) this.wake()
  }

  /** What is there went another way than the config says now; undefined where it did not. */
  move(move: Move | undefined, pruner: Deployer | undefined): void {
    this.#move = move && { move, pruner }
    this.#isElsewhere = move !== undefined
  }

  /** Another deployer may mean another place: what it holds is asked again. */
  change(spec: PlaceSpec, origin: Origin): void {
    const { deployer, form, path, autoDeploy, drift } = this.#spec
    const isElsewhere = spec.deployer.address !== deployer.address || spec.form !== form || spec.path !== path
    this.#isElsewhere ||= isElsewhere
    const isRetried = !isDeepStrictEqual(spec.retry, this.#spec.retry)
    const isChanged = isRetried || spec.drift !== drift || (spec.autoDeploy && !autoDeploy)
    const isOther = isElsewhere || isChanged || spec.deployer !== deployer
    this.#spec = spec
    this.#origin = origin
    if (!isOther) return
    this.row = anew(this.row)
    this.wake()
  }

  /** From now on this release, and no longer an older one: also where the older one's retry waits. */
  desire(release: number): void {
    this.row = desiring(this.row, release)
    this.#yield?.()
    this.wake()
  }

  /** As `row` has it from the state: it goes there whatever is there already, and whether or not it would by itself. */
  force({ forced }: Deployment): void {
    this.row = anew({ ...this.row, forced })
    this.wake()
  }

  status(): PlaceStatus {
    const { bundle, place } = this.row
    const switched = this.#context.decisions.switchOf(bundle, place)
    return { ...this.row, autoDeploy: switched?.on ?? this.#spec.autoDeploy, switched }
  }

  /** What the next attempt would do, and why. The place is asked, nothing is changed. */
  async plan(signal: AbortSignal): Promise<Plan> {
    const { bundle, desired } = this.row
    const release = desired === null ? undefined : await this.#context.state.bundles.release(bundle, desired)
    // Nothing is done, so there is nothing to say.
    const what = release && this.#whatOf(release, await this.#sourceOf(release), () => undefined)
    const how = { deployer: this.#spec.deployer, hold: this.#context.decisions.holdOf(bundle) }
    return planOf(this.row, what, how, signal)
  }

  wake(): void {
    this.#onlyAsks = false
    this.#run()
  }

  /** Whether what we put there still is: asked at most once since `since`, and never while something is to be put there. */
  compare(since: number): void {
    // Later than now: somebody has set the clock back.
    const isAsked = this.#askedAt >= since && this.#askedAt <= this.#context.clock.now()
    if (this.#flight.running || !isWhole(this.row) || isAsked) return
    this.#onlyAsks = true
    this.#run()
  }

  #run(): void {
    this.#cancelTimer?.()
    if (this.#stop.signal.aborted) return
    this.#flight.ask().catch((error: unknown) => {
      // Only our own storage can fail here.
      this.#logger.error({ err: error }, 'a deployment could not be recorded; it is tried again')
      this.#wakeIn(storagePauseMs)
    })
  }

  async close(): Promise<void> {
    this.#cancelTimer?.()
    this.#stop.abort(dropped)
    await this.#flight.idle()
  }

  async #attempt(): Promise<void> {
    const { bundle, desired } = this.row
    const onlyAsks = this.#onlyAsks
    this.#onlyAsks = false
    const mayDeploy = this.#mayDeploy()
    const number = mayDeploy ? desired : isWhole(this.row) ? this.row.deployed : null
    if (number === null || this.#stop.signal.aborted) return
    const { state, clock, redactor, deadlineMs } = this.#context
    const release = await state.bundles.release(bundle, number)
    if (release === undefined) return
    const { deployer } = this.#spec
    const log = new AttemptLog(clock, redactor)
    const late = new AbortController()
    const cancelDeadline = clock.after(deadlineMs, () => late.abort(tookTooLong(deployer, deadlineMs)))
    if (deployer.yields === true) this.#yield = () => late.abort(newer)
    try {
      const signal = AbortSignal.any([this.#stop.signal, late.signal])
      const what = this.#whatOf(release, await this.#sourceOf(release), (text) => log.say(text))
      const attempt = new Attempt(this.#siteFor(release, log), what, deployer, signal)
      await (mayDeploy ? attempt.bringTo() : attempt.check())
      await this.#settleMove(what, signal)
    } catch (error) {
      // Begun again at the next start; the place may or may not have it by then.
      if (this.#stop.signal.aborted) return
      const why: unknown = late.signal.aborted ? late.signal.reason : error
      if (why === newer) return this.#logger.info({ release: number }, `release ${number} gives way to a newer one`)
      const wasTried = this.row.state === 'deploying'
      if (mayDeploy && (wasTried || !onlyAsks)) await this.#failed(release, why, log)
      else this.#notAsked(number, why)
    } finally {
      this.#yield = undefined
      cancelDeadline()
    }
  }

  /** It is there as the config says: the state is told, and what it left elsewhere goes. */
  async #settleMove(what: Deploy, signal: AbortSignal): Promise<void> {
    const pending = this.#move
    if (pending === undefined || this.#isElsewhere || this.row.deployed !== what.release.number) return
    await settleMove(pending.move, what, { ...pending, state: this.#context.state }, signal)
    if (this.#move === pending) this.#move = undefined
  }

  #notAsked(release: number, error: unknown): void {
    const { place } = this.row
    const why = error instanceof Error ? error.message : String(error)
    this.#logger.warn({ release, ...logFields(error) }, `${place} could not be asked what it holds: ${why}`)
  }

  #mayDeploy(): boolean {
    return obstacleOf(this.status(), this.#context.decisions.holdOf(this.row.bundle)) === undefined
  }

  #sourceOf(release: Release): Promise<Source> {
    return sourceOf(release, this.#origin, this.#context)
  }

  #whatOf(release: Release, source: Source, say: Deploy['say']): Deploy {
    const check = () => this.#context.state.lease.check()
    return deployOf(this.row, release, { spec: this.#spec, origin: this.#origin, source, say, check })
  }

  /** For one attempt: the config may name another place before its end. */
  #siteFor({ number: release }: Release, log: AttemptLog): Site {
    const { bundle, place: name } = this.row
    const spec = this.#spec
    const rowOf = () => this.row
    const isElsewhere = () => this.#isElsewhere
    return {
      get row() {
        return rowOf()
      },
      get isElsewhere() {
        return isElsewhere()
      },
      drift: spec.drift,
      logger: this.#logger,
      now: () => this.#context.clock.now(),
      mayDeploy: () => this.#mayDeploy(),
      asked: () => void (this.#askedAt = this.#context.clock.now()),
      log: () => log.lines,
      save: (row, lines) => this.#save(row, lines),
      ours: () => void (this.#isElsewhere &&= spec !== this.#spec),
      arrived: () => this.#context.deployed({ bundle, place: name, release, error: null }),
    }
  }

  async #failed({ number }: Release, error: unknown, log: AttemptLog): Promise<void> {
    const { clock, random } = this.#context
    const { bundle, place, desired } = this.row
    const lastError = error instanceof Error ? error.message : String(error)
    this.#logger.warn(
      { release: number, ...logFields(error) },
      `release ${number} could not be deployed to ${place}: ${lastError}`,
    )
    const isTried = this.row.state === 'deploying' || !isLeftAlone(error)
    // A newer release is waiting: that one's attempts begin at none.
    if (desired === number) {
      const pause = (attempts: number) => pauseMs(attempts, error, this.#spec.retry, random)
      const after = failed(this.row, { lastError, at: clock.now(), isTried }, pause)
      await this.#save(after, log.lines)
      if (after.nextAttemptAt !== null) this.#wakeAt(after.nextAttemptAt)
    }
    if (isTried) this.#context.deployed({ bundle, place, release: number, error: lastError })
  }

  /** In memory only what is durable, and never an older desire than the one that came meanwhile. */
  async #save(row: Deployment, log: readonly string[] = []): Promise<void> {
    const before = this.row
    await this.#context.state.deployments.save(row, this.#context.clock.now(), log)
    this.row = this.row === before ? row : withFacts(this.row, row)
  }

  #wakeAt(at: number): void {
    if (this.row.state !== 'failed') return
    const { clock } = this.#context
    // Never longer than any wait is: somebody may have set the clock since that time was written down.
    this.#wakeIn(Math.min(Math.max(0, at - clock.now()), this.#spec.retry.maxIntervalMs))
  }

  #wakeIn(ms: number): void {
    this.#cancelTimer?.()
    if (!this.#stop.signal.aborted) this.#cancelTimer = this.#context.clock.after(ms, () => this.wake())
  }
}
