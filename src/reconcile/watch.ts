import { isDeepStrictEqual } from 'node:util'
import { RemoteError } from '../lib/errors.ts'
import type { LimitByKey } from '../lib/limit.ts'
import type { Logger } from '../lib/logger.ts'
import { OneMore } from '../lib/one-more.ts'
import { formatDuration } from '../lib/units.ts'
import { firstLookAt } from '../lib/schedule.ts'
import type { Look, Memo, Release } from '../model/release.ts'
import type { Candidate } from '../stores/store.ts'
import { hostOf } from './host.ts'
import { Alarm, type Due } from './alarm.ts'
import { followedBy, type Listing } from './candidate.ts'
import { lookAt, type LookContext } from './look.ts'
import { sayLook } from './look-words.ts'
import { failureOf, isSettled, nextDue, outcomeOf, sameOutcome, soonerOf, stillKnown, type Found } from './outcome.ts'
import { TagList } from './tag-list.ts'
import type { BundleSpec } from './types.ts'

/** What one bundle's watch is handed, and whom it tells. */
export interface WatchContext extends LookContext {
  random: () => number
  logger: Logger
  /** Looks under way at one time, at each host: one that hangs holds up no look elsewhere. */
  limit: LimitByKey
  /** How long one look may take. */
  deadlineMs: number
  released(release: Release): void
  /** `bytes` were fetched for it; `error` is why it failed, where it did. */
  looked(look: Look, more: { bytes: number; error: unknown }): void
}

/** What is known of it from before. */
interface Past {
  current: Release | null
  look: Look | null
  followed: string | null
}

const removed = new Error('the bundle left the config')

/** Looks after one bundle: when to look, what came of it, one look at a time. */
export class Watch {
  spec: BundleSpec
  current: Release | null
  look: Look | null
  readonly list: TagList
  readonly #context: WatchContext
  readonly #flight: OneMore<Look | undefined>
  readonly #alarm: Alarm
  #settled: Look | null
  /** Whether the state has the last look that was news. */
  #isSaved = true
  #memo: Memo | undefined
  #trigger = 'schedule'
  #stop = new AbortController()
  #finding = false
  /** By the last look that found what counts; null where that is not known. */
  #followed: string | null
  /** Whose word has come since; null where none has. */
  #toldBy: string | null = null
  #closed = false

  constructor(spec: BundleSpec, past: Past, context: WatchContext) {
    this.spec = spec
    this.current = past.current
    this.look = past.look
    this.#followed = past.followed
    this.#settled = isSettled(past.look) ? past.look : null
    this.list = new TagList(context)
    this.#context = context
    this.#alarm = new Alarm(context)
    this.#flight = new OneMore((begin) => this.#wait(begin))
  }

  /** Made anew at each look, rather than kept: there are thousands of bundles. */
  get #logger(): Logger {
    return this.#context.logger.child({ bundle: this.spec.name })
  }

  get nextAt(): number | null {
    return this.#alarm.at
  }

  /** Whether something else counts than what the current release was taken by. */
  get isRedirected(): boolean {
    return this.#toldBy !== null || (this.#followed !== null && this.#followed !== followedBy(this.spec))
  }

  get followed(): string | null {
    return this.#followed
  }

  get looking(): boolean {
    return this.#flight.running
  }

  /** At once for what has no release yet, else spread. */
  begin(trigger: string): void {
    const { clock, random } = this.#context
    const { schedule } = this.spec
    // What is promoted is known here: asking costs nothing, and may be due since we were gone.
    const isKnown = this.current !== null && !isPromoted(this.spec)
    const at = firstLookAt(schedule, clock.now(), random, isKnown)
    this.#ringAt({ at, isTimeOfDay: schedule.kind === 'cron' && isKnown }, trigger)
  }

  #ringAt(due: Due, trigger: string): void {
    this.#alarm.set(due, this.spec.schedule, () => void this.ask(trigger).catch(() => undefined))
  }

  ask(trigger: string): Promise<Look | undefined> {
    if (trigger !== 'schedule') this.#trigger = trigger
    this.#alarm.cancel()
    return this.#flight.ask()
  }

  /** True when the change bears on what is served or on when it is looked at; then there is a look. */
  change(spec: BundleSpec): boolean {
    const old = this.spec
    this.spec = spec
    const bearsOnContent = old.recipe !== spec.recipe || followedBy(old) !== followedBy(spec)
    // Its credentials may be what was put right, or the terms of a promotion are others.
    const mayBeMended = old.store !== spec.store && (this.look?.outcome === 'failed' || isPromoted(spec))
    // A step down that was refused before is allowed now.
    const mayGoDown = spec.allowDowngrade && !old.allowDowngrade
    const isChanged = bearsOnContent || mayGoDown || !isDeepStrictEqual(old.schedule, spec.schedule)
    // A look that is still finding out begins again with the new spec: that is the look which this change asks for.
    if (bearsOnContent && this.#finding) this.#stop.abort(new Error('the recipe changed'))
    else if (isChanged || mayBeMended) void this.ask('reload').catch(() => undefined)
    return isChanged || old.keep !== spec.keep
  }

  /** By a person's word something else counts from now on: looked at at once. */
  redirect(spec: BundleSpec, by: string): Promise<Look | undefined> {
    this.spec = spec
    this.#toldBy = by
    if (this.#finding) this.#stop.abort(new Error('something else is followed'))
    return this.ask('request')
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#alarm.cancel()
    this.#stop.abort(removed)
    this.list.close()
    await this.#flight.idle()
  }

  async #wait(begin: () => void): Promise<Look | undefined> {
    return this.#context.limit.do(hostOf(this.spec.store.address), async () => {
      begin()
      return this.#looked()
    })
  }

  /** One look; begun anew, as the same look, when the recipe changes under it. */
  async #looked(): Promise<Look | undefined> {
    const { clock } = this.#context
    this.#alarm.cancel()
    const trigger = this.#trigger
    this.#trigger = 'schedule'
    const startedAt = clock.now()
    while (!this.#closed) {
      this.#stop = new AbortController()
      const { signal } = this.#stop
      const found = await this.#find(trigger, signal)
      const isReleased = found.finding?.outcome === 'released'
      if (signal.aborted && !isReleased) continue
      // The change came too late to keep this release from being made: it gets a look of its own.
      if (signal.aborted) void this.ask('reload').catch(() => undefined)
      return this.#conclude({ trigger, startedAt, ...found })
    }
    return undefined
  }

  async #find(trigger: string, signal: AbortSignal): Promise<Found & { followed: string }> {
    let offered: Candidate | null = null
    const { spec } = this
    const followed = followedBy(spec)
    const known = {
      current: this.current,
      settled: this.#settled,
      trigger,
      isRedirected: this.isRedirected,
      by: this.#toldBy,
      memo: this.#memo,
      remembered: (memo: Memo | undefined) => {
        this.#memo = memo
      },
      latest: () => this.spec,
      listed: (listing: Listing) => void this.list.keep(spec, listing),
      offered: (candidate: Candidate) => {
        offered = candidate
      },
      mended: ({ number }: Release) => {
        this.#logger.warn({ release: number }, `bytes of release ${number} were lost, and are here again`)
      },
    }
    this.#finding = true
    const deadline = this.#startDeadline()
    try {
      const finding = await lookAt(spec, known, this.#context, AbortSignal.any([signal, deadline.signal]))
      if (finding.outcome === 'released') this.current = finding.release
      return { finding, outcome: outcomeOf(finding), followed }
    } catch (error) {
      return { error, outcome: failureOf(error, offered), followed }
    } finally {
      this.#finding = false
      deadline.cancel()
    }
  }

  #startDeadline(): { signal: AbortSignal; cancel: () => void } {
    const { clock, deadlineMs } = this.#context
    const { name: host } = this.spec.store
    const late = new AbortController()
    const cancel = clock.after(deadlineMs, () =>
      late.abort(
        new RemoteError('timeout', `looking at ${host} took longer than ${formatDuration(deadlineMs)}`, { host }),
      ),
    )
    return { signal: late.signal, cancel }
  }

  async #conclude(begun: Found & { followed: string } & Pick<Look, 'trigger' | 'startedAt'>): Promise<Look> {
    const { trigger, startedAt, finding, error, followed } = begun
    const outcome = stillKnown(this.look, begun)
    const { clock, random } = this.#context
    const endedAt = clock.now()
    const failures = outcome.outcome === 'failed' ? (this.look?.failures ?? 0) + 1 : 0
    const due = nextDue(this.spec.schedule, endedAt, { failures, finding, error }, random)
    const next = this.#closed ? null : soonerOf(due, ripensAt(this.spec))
    const nextAt = next?.at ?? null
    const look: Look = { bundle: this.spec.name, startedAt, endedAt, trigger, failures, nextAt, ...outcome }
    // Served first, and only then written down how it came about.
    if (finding?.outcome === 'released') this.#context.released(finding.release)
    const isNews = !sameOutcome(this.look, look)
    this.look = look
    const isFollowedAnew = this.#settle(look, followed)
    if (next !== null) this.#ringAt(next, 'schedule')
    if (isNews || isFollowedAnew || !this.#isSaved) await this.#save(look)
    sayLook(this.#logger, look, { current: this.current, isNews, error })
    this.#context.looked(look, { bytes: finding?.bytes ?? 0, error })
    return look
  }

  /** True where something else counts than at the last look that found what counts. */
  #settle(look: Look, followed: string): boolean {
    if (!isSettled(look)) return false
    const isAnew = followed !== this.#followed
    this.#settled = look
    this.#followed = followed
    // What came meanwhile is for the next look.
    if (followed === followedBy(this.spec)) this.#toldBy = null
    return isAnew
  }

  async #save(look: Look): Promise<void> {
    const { bundles } = this.#context.state
    try {
      // A change of what is followed, too, that could not be saved with an earlier look.
      await bundles.saveLook(look, this.#followed ?? undefined)
      this.#isSaved = true
    } catch (failed) {
      this.#isSaved = false
      this.#logger.error({ err: failed }, 'the outcome of a look could not be saved; the next one is')
    }
  }
}

function isPromoted({ store }: BundleSpec): boolean {
  return store.promoter !== undefined
}

/** When the delay is over of what is to be promoted next. */
function ripensAt({ store }: BundleSpec): number | null {
  return store.promoter?.last?.waiting?.until ?? null
}
