import { logFields, RemoteError, StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { OneMore } from '../lib/one-more.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import { counted } from '../lib/units.ts'
import type { Event } from '../model/event.ts'
import type { Message } from '../model/message.ts'
import type { Publisher, Telling } from '../publishers/publisher.ts'
import type { State } from '../state/state.ts'
import { Intake, type IntakeContext } from './intake.ts'
import { Tally } from './tally.ts'

/** A publisher as the config has it now. */
export interface PublisherSpec {
  /** A key of the config's `publishers`. */
  name: string
  publisher: Publisher
  /** Whether it is to be told of it. */
  wants(event: Event): boolean
  /** What could not be sent for so long is parked. */
  parkAfterMs: number
}

export interface SenderContext extends Omit<IntakeContext, 'metrics'> {
  state: Pick<State, 'outbox' | 'lease'>
  random: () => number
  metrics?: Pick<Metrics, 'published' | 'setMessages'>
  /** What is sent of a message. */
  tell: (event: Event) => Telling
}

/** Messages that are parked for one publisher. Beyond it the oldest are dropped. */
export const maxParkedMessages = 10_000
/** Sent at one time to one publisher, each of another bundle. */
const maxLanes = 4
const backoff: Backoff = { firstMs: 1000, factor: 2, capMs: 300_000 }
const longestPauseMs = 3_600_000
/** A receiver that cannot be reached has at least so long before anything is parked for it. */
const graceMs = 300_000

interface Head {
  bundle: string
  seq: number
  nextAttemptAt: number
}

/** Whatever one publisher is to be told, each bundle's in order; nobody else waits for it. */
export class Sender {
  readonly #context: SenderContext
  readonly #logger: Logger
  readonly #stop = new AbortController()
  readonly #tally: Tally
  readonly #intake: Intake
  readonly #take: OneMore<number>
  readonly #begin: OneMore<void>
  readonly #lanes = new Map<string, Promise<void>>()
  #spec: PublisherSpec
  /** Those that are due and not begun; asked for again when there are none left. */
  #heads: Head[] = []
  /** How often in a row the receiver as a whole could not be reached. */
  #failures = 0
  /** Since when, by the clock that only goes up. */
  #downSince = 0
  /** How often something was parked. */
  #parks = 0
  /** Nothing is sent before this is over. */
  #isPaused = false
  #cancelTimer: (() => void) | undefined

  constructor(spec: PublisherSpec, past: { cursor: number; waiting: number; parked: number }, context: SenderContext) {
    this.#spec = spec
    this.#context = context
    this.#logger = context.logger.child({ publisher: spec.name })
    this.#tally = new Tally(spec.name, context.state, context.metrics)
    this.#tally.add(past)
    this.#intake = new Intake(spec.name, past.cursor, this.#tally, { ...context, logger: this.#logger })
    this.#take = new OneMore((begin) => {
      begin()
      return this.#intake.take((event) => this.#spec.wants(event), this.#stop.signal)
    })
    this.#begin = new OneMore((begin) => this.#beginLanes(begin))
  }

  /** What waits since the last time, and what happened since then. */
  begin(): void {
    this.#resume()
  }

  /** There may be news. Where there is none, nothing that waits is looked at. */
  wake(): void {
    if (this.#stop.signal.aborted) return
    this.#take.ask().then(
      (taken) => {
        if (taken > 0) this.#go()
      },
      (error: unknown) => this.#stumbled(error),
    )
  }

  /** Another receiver may be there at once. */
  change(spec: PublisherSpec): void {
    this.#spec = spec
    this.#resume()
  }

  /** So many of those that were parked wait again, and not for long. */
  resent(count: number): void {
    this.#tally.add({ waiting: count, parked: -count })
    this.#heads = []
    this.#resume()
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('longshore is stopping'))
    this.#cancelTimer?.()
    await this.#take.idle()
    await this.#begin.idle()
    await Promise.all(this.#lanes.values())
  }

  #go(): void {
    if (this.#stop.signal.aborted) return
    this.#begin.ask().catch((error: unknown) => this.#stumbled(error))
  }

  /** As many bundles at a time as may be; where the last try found nobody, one. */
  async #beginLanes(begin: () => void): Promise<void> {
    begin()
    const now = this.#context.clock.now()
    while (this.#hasRoom()) {
      if (this.#heads.length === 0) {
        this.#heads = await this.#dueHeads(now)
        if (this.#heads.length === 0) return
        // Much may have happened meanwhile.
        continue
      }
      const head = this.#heads.shift()!
      if (this.#lanes.has(head.bundle)) continue
      const lane = this.#runLane(head).finally(() => this.#ended(head.bundle))
      this.#lanes.set(head.bundle, lane)
    }
  }

  #hasRoom(): boolean {
    return this.#maySend() && this.#lanes.size < (this.#failures === 0 ? maxLanes : 1)
  }

  #maySend(): boolean {
    return !this.#isPaused && !this.#stop.signal.aborted
  }

  async #dueHeads(now: number): Promise<Head[]> {
    const heads = (await this.#context.state.outbox.heads(this.#spec.name))
      .filter(({ bundle }) => !this.#lanes.has(bundle))
      .sort((a, b) => a.nextAttemptAt - b.nextAttemptAt || a.seq - b.seq)
    const next = heads.find(({ nextAttemptAt }) => nextAttemptAt > now)
    // The end of a pause asks again.
    if (next !== undefined && !this.#isPaused) this.#wakeIn(next.nextAttemptAt - now)
    return heads.filter(({ nextAttemptAt }) => nextAttemptAt <= now)
  }

  /** One message of a bundle after the other, until one fails. */
  async #runLane({ bundle, seq: first }: Head): Promise<void> {
    try {
      let seq: number | undefined = first
      while (seq !== undefined && this.#maySend()) seq = await this.#send(bundle, seq)
    } catch (error) {
      this.#stumbled(error)
    }
  }

  #ended(bundle: string): void {
    this.#lanes.delete(bundle)
    this.#go()
    // There may be room again for events that had to stay where they are.
    if (this.#intake.isBehind) this.wake()
  }

  /** Returns the next of its bundle. */
  async #send(bundle: string, seq: number): Promise<number | undefined> {
    const { state, metrics, tell } = this.#context
    const key = { publisher: this.#spec.name, seq }
    const message = await state.outbox.message(key)
    if (message?.state !== 'waiting') return undefined
    const { publisher } = this.#spec
    const parks = this.#parks
    try {
      await state.lease.check()
      await publisher.publish(tell(message.event), this.#stop.signal)
    } catch (error) {
      // It goes again with the next start.
      if (this.#stop.signal.aborted) return undefined
      // Our own trouble is not the receiver's.
      if (error instanceof StorageError) throw error
      await this.#failed(message, error)
      return undefined
    }
    if (this.#failures > 0) this.#logger.info(`${this.#who()} can be told again`)
    this.#failures = 0
    const next = await state.outbox.sent(key, bundle)
    // It may have been parked with the others while it was under way.
    if (parks === this.#parks) this.#tally.add({ waiting: -1 })
    else await this.#tally.recount()
    metrics?.published(this.#spec.name, 'sent', 1)
    return next
  }

  /** Where the receiver as a whole does not answer, all its messages wait; else only those of this bundle. */
  async #failed({ event: { seq, bundle, type }, attempts }: Message, error: unknown): Promise<void> {
    const { state, clock, random, metrics } = this.#context
    const { name, parkAfterMs } = this.#spec
    const isDown = error instanceof RemoteError && error.retryable
    const askedMs = error instanceof RemoteError ? (error.retryAfterMs ?? 0) : 0
    if (isDown && this.#failures++ === 0) this.#downSince = clock.monotonic()
    const tries = isDown ? this.#failures : attempts + 1
    const pauseMs = Math.max(backoffMs(tries, backoff, random), Math.min(askedMs, longestPauseMs))
    const now = clock.now()
    const why = error instanceof Error ? error.message : String(error)
    if (tries === 1) {
      this.#logger.warn({ seq, bundle, type, ...logFields(error) }, `${this.#who()} could not be told: ${why}`)
    }
    metrics?.published(name, 'failed', 1)
    await state.outbox.failed({ publisher: name, seq }, { error: why, nextAttemptAt: now + pauseMs })
    // After a start, what is old gets some time to reach a receiver that starts as well.
    const isBrief = isDown && clock.monotonic() - this.#downSince < Math.min(parkAfterMs, graceMs)
    if (!isBrief) await this.#park({ queuedUntil: now - parkAfterMs, seq: isDown ? null : seq, error: why })
    if (isDown) this.#pause(pauseMs)
  }

  /** What the config calls it, and where it is. */
  #who(): string {
    const { name, publisher } = this.#spec
    return `${name} (${publisher.name})`
  }

  async #park(what: { queuedUntil: number; seq: number | null; error: string }): Promise<void> {
    const { state, metrics } = this.#context
    const { name } = this.#spec
    const { parked, dropped } = await state.outbox.park(name, { ...what, maxParked: maxParkedMessages })
    if (parked === 0) return
    this.#parks++
    this.#heads = []
    this.#tally.add({ waiting: -parked, parked: parked - dropped })
    metrics?.published(name, 'parked', parked)
    this.#logger.error(
      { parked, dropped },
      `parked ${counted(parked, 'event')} for ${name}: ${what.error}; \`longshore resend ${name}\` sends again what is parked`,
    )
  }

  /** Our own storage failed: what was sent may be sent once more. */
  #stumbled(error: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#logger.error({ err: error }, 'messages could not be recorded')
    this.#pause(backoff.capMs / 10)
  }

  #pause(ms: number): void {
    this.#isPaused = true
    this.#wakeIn(ms)
  }

  #resume(): void {
    this.#isPaused = false
    this.wake()
    this.#go()
  }

  #wakeIn(ms: number): void {
    this.#cancelTimer?.()
    if (this.#stop.signal.aborted) return
    // Never longer than any wait is: somebody may have set the clock since that time was written down.
    this.#cancelTimer = this.#context.clock.after(Math.min(ms, longestPauseMs), () => this.#resume())
  }
}
