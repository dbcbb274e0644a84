import { isDeepStrictEqual } from 'node:util'
import type { Deploy, Deployer, Observation } from '../deployers/deployer.ts'
import type { Clock } from '../lib/clock.ts'
import { FinalError, RemoteError } from '../lib/errors.ts'
import { OneMore } from '../lib/one-more.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import type { Logger } from '../lib/logger.ts'
import type { Deployment, Plan } from '../model/deployment.ts'
import { obstacleOf } from '../model/explain.ts'
import type { PlaceStatus } from '../model/status.ts'
import type { Release } from '../model/release.ts'
import type { Registry } from '../registry/types.ts'
import type { State } from '../state/state.ts'
import type { Decisions } from './decisions.ts'
import { driftOf, isWhole, keyOf, notThere, tookTooLong } from './place-words.ts'
import { repositoryOf } from './prepare.ts'
import type { PlaceSpec, ReconcileEvents } from './types.ts'

export interface DeployContext {
  state: State
  registry: Registry
  clock: Clock
  random: () => number
  logger: Logger
  /** What persons decided. */
  decisions: Pick<Decisions, 'holdOf' | 'switchOf'>
  /** How long one attempt may take before it counts as failed. */
  deadlineMs: number
  deployed(event: ReconcileEvents['deployed'][0]): void
}

interface Put {
  isPut: boolean
  forced: number
}

const firstWaitMs = 1000
const dropped = new Error('the place left the config')

/** One bundle at one place: brings it to the desired release, and keeps trying. */
export class Place {
  row: Deployment
  readonly #context: DeployContext
  readonly #logger: Logger
  readonly #flight: OneMore<void>
  #spec: PlaceSpec
  #origin: string
  readonly #stop = new AbortController()
  #cancelTimer: (() => void) | undefined
  /** When it was last asked what it holds. */
  #askedAt = -Infinity
  /** Nothing is known that is to be put there. */
  #onlyAsks = false
  /** The config names another place now: that this one holds nothing of ours is nobody else's doing. */
  #isElsewhere = false

  /** `queue` decides when it is this one's turn. */
  constructor(
    row: Deployment,
    { spec, origin }: { spec: PlaceSpec; origin: string },
    context: DeployContext,
    queue: (run: () => Promise<void>) => Promise<void>,
  ) {
    this.row = row
    this.#spec = spec
    this.#origin = origin
    this.#context = context
    this.#logger = context.logger.child({ bundle: row.bundle, place: row.place })
    this.#flight = new OneMore((begin) =>
      queue(async () => {
        begin()
        await this.#attempt()
      }),
    )
  }

  /** What was persisted says when: a place that failed keeps its time, any other is asked at once whether it is as it should be. */
  begin(current: number | null): void {
    const { state, nextAttemptAt, desired, attempts } = this.row
    if (current !== null && desired !== current) this.desire(current)
    else if (state === 'failed' && nextAttemptAt !== null) this.#wakeAt(nextAttemptAt)
    else if (state !== 'failed' || !this.#isLast(attempts)) this.wake()
  }

  /** Another deployer may mean another place: what it holds is asked again. */
  change(spec: PlaceSpec, origin: string): void {
    const { deployer, form, path, autoDeploy, drift } = this.#spec
    const isElsewhere = spec.deployer.address !== deployer.address || spec.form !== form || spec.path !== path
    this.#isElsewhere ||= isElsewhere
    const isRetried = !isDeepStrictEqual(spec.retry, this.#spec.retry)
    const isChanged = isRetried || spec.drift !== drift || (spec.autoDeploy && !autoDeploy)
    const isOther = isElsewhere || isChanged || spec.deployer !== deployer
    this.#spec = spec
    this.#origin = origin
    if (isOther) this.#tryAnew()
  }

  /** From now on this release, and no longer an older one: also where the older one's retry waits. */
  desire(release: number): void {
    this.row = { ...this.row, desired: release, state: 'pending', attempts: 0, nextAttemptAt: null, lastError: null }
    this.wake()
  }

  /** As `row` has it from the state: it goes there whatever is there already, and whether or not it would by itself. */
  force({ forced }: Deployment): void {
    this.row = { ...this.row, forced }
    this.#tryAnew()
  }

  /** It may be well now: what was given up has all its attempts again. */
  #tryAnew(): void {
    const { state, nextAttemptAt } = this.row
    if (state === 'failed' && nextAttemptAt === null) this.row = { ...this.row, attempts: 0 }
    this.wake()
  }

  #isLast(attempts: number): boolean {
    return attempts >= (this.#spec.retry.maxAttempts ?? Infinity)
  }

  get #backoff(): Backoff {
    const capMs = this.#spec.retry.maxIntervalMs
    return { firstMs: Math.min(firstWaitMs, capMs), factor: 2, capMs }
  }

  status(): PlaceStatus {
    const { bundle, place } = this.row
    const switched = this.#context.decisions.switchOf(bundle, place)
    return { ...this.row, autoDeploy: switched?.on ?? this.#spec.autoDeploy, switched }
  }

  /** What the next attempt would do, and why. The place is asked, nothing is changed. */
  async plan(signal: AbortSignal): Promise<Plan> {
    const { bundle, desired, ...row } = this.row
    const about = { bundle, place: row.place, desired, deployed: row.deployed }
    const release = desired === null ? undefined : await this.#context.state.bundles.release(bundle, desired)
    if (release === undefined) return { ...about, observed: null, does: 'nothing', why: 'there is no release yet' }
    const { deployer } = this.#spec
    const said = await deployer.observe(this.#whatOf(release), signal)
    const observed = said?.digest ?? null
    const hold = this.#context.decisions.holdOf(bundle)
    if (hold !== null) return { ...about, observed, does: 'nothing', why: `held by ${hold.by}: ${hold.reason}` }
    const isThere = said?.settled ?? row.deployed === release.number
    const why = isThere ? 'it is there; asked for, it goes there once more' : `${deployer.name} does not have it`
    return { ...about, observed, does: isThere ? 'repeat' : 'deploy', why }
  }

  wake(): void {
    this.#onlyAsks = false
    this.#run()
  }

  /** Whether what we put there still is: asked at most once since `since`, and never while something is to be put there. */
  compare(since: number): void {
    if (this.#flight.running || !isWhole(this.row) || this.#askedAt >= since) return
    this.#onlyAsks = true
    this.#run()
  }

  #run(): void {
    this.#cancelTimer?.()
    if (this.#stop.signal.aborted) return
    this.#flight.ask().catch((error: unknown) => {
      // Only our own storage can fail here; the next release or start goes on from what it holds.
      this.#logger.error({ err: error }, 'a deployment could not be recorded')
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
    const { state, clock, deadlineMs } = this.#context
    const release = await state.bundles.release(bundle, number)
    if (release === undefined) return
    const { deployer } = this.#spec
    const what = this.#whatOf(release)
    const late = new AbortController()
    const cancelDeadline = clock.after(deadlineMs, () => late.abort(tookTooLong(deployer, deadlineMs)))
    try {
      const signal = AbortSignal.any([this.#stop.signal, late.signal])
      await (mayDeploy ? this.#bringTo(what, deployer, signal) : this.#check(what, deployer, signal))
    } catch (error) {
      // Begun again at the next start; the place may or may not have it by then.
      if (this.#stop.signal.aborted) return
      const why: unknown = late.signal.aborted ? late.signal.reason : error
      const wasTried = this.row.state === 'deploying'
      if (mayDeploy && (wasTried || !onlyAsks)) await this.#failed(release, why)
      else this.#logger.warn({ release: number, err: why }, `${deployer.name} could not be asked what it holds`)
    } finally {
      cancelDeadline()
    }
  }

  #mayDeploy(): boolean {
    return obstacleOf(this.status(), this.#context.decisions.holdOf(this.row.bundle)) === undefined
  }

  #whatOf(release: Release): Deploy {
    const { bundle, place, forced, forcedDone } = this.row
    const source = this.#context.registry.repository(repositoryOf(bundle))
    const { form, path, limits } = this.#spec
    const how = { form, path, limits, isForced: forced > forcedDone }
    return { release, place, ...how, source, origin: this.#origin, idempotencyKey: keyOf(this.row, release) }
  }

  async #bringTo(what: Deploy, deployer: Deployer, signal: AbortSignal): Promise<void> {
    const { number } = what.release
    const { forced } = this.row
    const before = await this.#ask(what, deployer, signal)
    const isThere = !what.isForced && (before?.settled ?? this.row.deployed === number)
    if (isThere) return this.#done(what.release, before, { isPut: false, forced })
    const hasDrifted = !what.isForced && this.row.deployed === number && isWhole(this.row) && !this.#isElsewhere
    if (hasDrifted && before !== undefined) {
      await this.#drifted(what.release, before)
      if (this.#spec.drift === 'report') return
    }
    const lastAttemptAt = this.#context.clock.now()
    // Written before anything is done: an attempt that a crash cuts short counts.
    await this.#save({ ...this.row, state: 'deploying', attempts: this.row.attempts + 1, lastAttemptAt })
    await deployer.deploy(what, signal)
    const after = await this.#ask(what, deployer, signal)
    if (after?.settled === false) throw notThere(deployer, number, after)
    await this.#done(what.release, after, { isPut: true, forced })
  }

  #ask(what: Deploy, deployer: Deployer, signal: AbortSignal): Promise<Observation | undefined> {
    this.#askedAt = this.#context.clock.now()
    return deployer.observe(what, signal)
  }

  /** Where nothing may be put: what we put there is compared all the same. */
  async #check(what: Deploy, deployer: Deployer, signal: AbortSignal): Promise<void> {
    if (this.#isElsewhere) return
    const said = await this.#ask(what, deployer, signal)
    if (said?.settled === false) return this.#drifted(what.release, said)
    if (this.row.state !== 'drifted') return
    const state = this.row.desired === what.release.number ? 'done' : 'pending'
    await this.#save({ ...this.row, observed: said?.digest ?? null, state, lastError: null })
  }

  async #drifted({ number }: Release, { digest }: Observation): Promise<void> {
    const { state, observed } = this.row
    if (state === 'drifted' && observed === digest) return
    const lastError = driftOf(this.#spec.deployer, number, digest)
    await this.#save({ ...this.row, state: 'drifted', observed: digest, lastError })
    this.#logger.warn({ release: number, digest }, lastError)
  }

  async #done(release: Release, said: Observation | undefined, { isPut, forced }: Put): Promise<void> {
    const { number } = release
    const before = this.row
    this.#isElsewhere = false
    const isNew = isPut || before.deployed !== number
    const facts = {
      observed: said?.digest ?? null,
      deployed: number,
      forcedDone: forced,
      deployedAt: isNew ? this.#context.clock.now() : before.deployedAt,
    }
    const isLast = before.desired === number
    const settled = isLast ? ({ state: 'done', nextAttemptAt: null, lastError: null } as const) : {}
    const after: Deployment = { ...before, ...facts, ...settled }
    const isNews = isNew || before.state !== after.state || before.observed !== after.observed
    if (isNews) await this.#save(after)
    if (!isNew && before.state === 'done') return
    const how = isPut ? 'deployed' : 'is there already'
    this.#logger.info(
      { release: number, digest: after.observed },
      `release ${number} ${how}: ${this.#spec.deployer.name}`,
    )
    this.#context.deployed({ bundle: before.bundle, place: before.place, release: number, error: null })
  }

  async #failed({ number }: Release, error: unknown): Promise<void> {
    const { clock, random } = this.#context
    const { bundle, place, desired, state } = this.row
    const lastError = error instanceof Error ? error.message : String(error)
    this.#logger.warn({ release: number, err: error }, `release ${number} could not be deployed: ${lastError}`)
    // A newer release is waiting: that one's attempts begin at none.
    if (desired === number) {
      const attempts = this.row.attempts + (state === 'deploying' ? 0 : 1)
      const lastAttemptAt = clock.now()
      const waitMs = pauseMs(attempts, error, this.#backoff, random)
      const isGivenUp = error instanceof FinalError || this.#isLast(attempts)
      const nextAttemptAt = isGivenUp ? null : lastAttemptAt + waitMs
      await this.#save({ ...this.row, state: 'failed', attempts, lastError, lastAttemptAt, nextAttemptAt })
      if (nextAttemptAt !== null) this.#wakeAt(nextAttemptAt)
    }
    this.#context.deployed({ bundle, place, release: number, error: lastError })
  }

  /** In memory only what is durable, and never an older desire than the one that came meanwhile. */
  async #save(row: Deployment): Promise<void> {
    const before = this.row
    await this.#context.state.deployments.save(row, this.#context.clock.now())
    if (this.row === before) this.row = row
    else {
      const { deployed, observed, deployedAt, lastAttemptAt, forcedDone } = row
      this.row = { ...this.row, deployed, observed, deployedAt, lastAttemptAt, forcedDone }
    }
  }

  #wakeAt(at: number): void {
    this.#cancelTimer?.()
    if (this.#stop.signal.aborted || this.row.state !== 'failed') return
    const { clock } = this.#context
    // Never longer than any wait is: somebody may have set the clock since that time was written down.
    const waitMs = Math.min(Math.max(0, at - clock.now()), this.#spec.retry.maxIntervalMs)
    this.#cancelTimer = clock.after(waitMs, () => this.wake())
  }
}

/** As long as the place asked for, where it did, but never longer than any wait is. */
function pauseMs(attempts: number, error: unknown, backoff: Backoff, random: () => number): number {
  const askedMs = error instanceof RemoteError ? (error.retryAfterMs ?? 0) : 0
  return Math.round(Math.max(backoffMs(attempts, backoff, random), Math.min(askedMs, backoff.capMs)))
}
