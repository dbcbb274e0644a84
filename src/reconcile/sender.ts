import type { Clock } from '../lib/clock.ts'
import { RemoteError, StorageError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { OneMore } from '../lib/one-more.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import type { Event } from '../model/event.ts'
import type { Message } from '../model/message.ts'
import type { Publisher, Telling } from '../publishers/publisher.ts'
import type { EventFeed } from '../state/feed.ts'
import type { State } from '../state/state.ts'

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

export interface SenderContext {
  state: Pick<State, 'outbox'>
  feed: Pick<EventFeed, 'after'>
  clock: Clock
  random: () => number
  logger: Logger
  metrics?: Pick<Metrics, 'published' | 'setMessages'>
  /** What is sent of a message. */
  tell: (event: Event) => Telling
}

/** Messages that wait for one publisher. Beyond it events stay where they are: in the log of the newest `maxEvents`. */
export const maxWaitingMessages = 10_000
/** Messages that are parked for one publisher. Beyond it the oldest are dropped. */
export const maxParkedMessages = 10_000
/** Sent at one time to one publisher, each of another bundle. */
const maxLanes = 4
const pageEvents = 200
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
  readonly #take: OneMore<void>
  readonly #begin: OneMore<void>
  readonly #lanes = new Map<string, Promise<void>>()
  #spec: PublisherSpec
  #cursor: number
  #counts: { waiting: number; parked: number }
  /** Those that are due and not begun; asked for again when there are none left. */
  #heads: Head[] = []
  /** How often in a row the receiver as a whole could not be reached. */
  #failures = 0
  /** Since when, by the clock that only goes up. */
  #downSince = 0
  /** How often something was parked. */
  #parks = 0
  /** As many wait as may. */
  #isFull = false
  /** Nothing is sent before this is over. */
  #isPaused = false
  #cancelTimer: (() => void) | undefined

  constructor(spec: PublisherSpec, past: { cursor: number; waiting: number; parked: number }, context: SenderContext) {
    this.#spec = spec
    this.#cursor = past.cursor
    this.#counts = { waiting: past.waiting, parked: past.parked }
    this.#context = context
    this.#logger = context.logger.child({ publisher: spec.name })
    this.#take = new OneMore((begin) => this.#takeEvents(begin))
    this.#begin = new OneMore((begin) => this.#beginLanes(begin))
    this.#count({})
  }

  /** What waits since the last time, and what happened since then. */
  begin(): void {
    this.#resume()
  }

  /** There may be news. Where there is none, nothing that waits is looked at. */
  wake(): void {
    if (this.#stop.signal.aborted) return
    const before = this.#counts.waiting
    this.#take.ask().then(
      () => {
        if (this.#counts.waiting !== before) this.#go()
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
    this.#count({ waiting: count, parked: -count })
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

  /** What is wanted of the events since the last time becomes messages, in the transaction that moves the cursor. */
  async #takeEvents(begin: () => void): Promise<void> {
    const { feed, state, clock } = this.#context
    begin()
    for (;;) {
      if (this.#stop.signal.aborted) return
      this.#noteFull(this.#counts.waiting >= maxWaitingMessages)
      if (this.#isFull) return
      const events = await feed.after(this.#cursor, pageEvents)
      if (events.length === 0) return
      await this.#noteLost(events[0]!.seq)
      const wanted = events.filter((event) => this.#spec.wants(event))
      const span = { from: this.#cursor, to: events.at(-1)!.seq }
      const isOurs = await state.outbox.queue(this.#spec.name, wanted, span, clock.now())
      if (!isOurs) throw new Error(`somebody else takes the events for ${this.#spec.name}`)
      this.#cursor = span.to
      this.#heads = []
      this.#count({ waiting: wanted.length })
      if (events.length < pageEvents) return
    }
  }

  #noteFull(isFull: boolean): void {
    if (isFull && !this.#isFull) {
      const waiting = this.#counts.waiting
      this.#logger.warn({ waiting }, `${waiting} messages wait for ${this.#spec.name}: further events stay in the log`)
    }
    this.#isFull = isFull
  }

  /** The log keeps so many events, and no more. */
  async #noteLost(next: number): Promise<void> {
    if (next === this.#cursor + 1) return
    const [oldest] = await this.#context.feed.after(0, 1)
    const lost = (oldest?.seq ?? 0) - this.#cursor - 1
    if (lost <= 0) return
    this.#logger.error({ events: lost }, `${lost} events are gone before ${this.#spec.name} could be told of them`)
    this.#context.metrics?.published(this.#spec.name, 'lost', lost)
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
    if (this.#isFull && this.#counts.waiting < maxWaitingMessages / 2) this.wake()
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
      await publisher.publish(tell(message.event), this.#stop.signal)
    } catch (error) {
      // It goes again with the next start.
      if (this.#stop.signal.aborted) return undefined
      // Our own trouble is not the receiver's.
      if (error instanceof StorageError) throw error
      await this.#failed(message, error)
      return undefined
    }
    if (this.#failures > 0) this.#logger.info(`${publisher.name} can be told again`)
    this.#failures = 0
    const next = await state.outbox.sent(key, bundle)
    // It may have been parked with the others while it was under way.
    if (parks === this.#parks) this.#count({ waiting: -1 })
    else await this.#recount()
    metrics?.published(this.#spec.name, 'sent', 1)
    return next
  }

  /** Where the receiver as a whole does not answer, all its messages wait; else only those of this bundle. */
  async #failed({ event: { seq, bundle, type }, attempts }: Message, error: unknown): Promise<void> {
    const { state, clock, random, metrics } = this.#context
    const { name, publisher, parkAfterMs } = this.#spec
    const isDown = error instanceof RemoteError && error.retryable
    const askedMs = error instanceof RemoteError ? (error.retryAfterMs ?? 0) : 0
    if (isDown && this.#failures++ === 0) this.#downSince = clock.monotonic()
    const tries = isDown ? this.#failures : attempts + 1
    const pauseMs = Math.max(backoffMs(tries, backoff, random), Math.min(askedMs, longestPauseMs))
    const now = clock.now()
    const why = error instanceof Error ? error.message : String(error)
    if (tries === 1) this.#logger.warn({ seq, bundle, type, err: error }, `${publisher.name} could not be told: ${why}`)
    metrics?.published(name, 'failed', 1)
    await state.outbox.failed({ publisher: name, seq }, { error: why, nextAttemptAt: now + pauseMs })
    // After a start, what is old gets some time to reach a receiver that starts as well.
    const isBrief = isDown && clock.monotonic() - this.#downSince < Math.min(parkAfterMs, graceMs)
    if (!isBrief) await this.#park({ queuedUntil: now - parkAfterMs, seq: isDown ? null : seq, error: why })
    if (isDown) this.#pause(pauseMs)
  }

  async #park(what: { queuedUntil: number; seq: number | null; error: string }): Promise<void> {
    const { state, metrics } = this.#context
    const { name } = this.#spec
    const { parked, dropped } = await state.outbox.park(name, { ...what, maxParked: maxParkedMessages })
    if (parked === 0) return
    this.#parks++
    this.#heads = []
    this.#count({ waiting: -parked, parked: parked - dropped })
    metrics?.published(name, 'parked', parked)
    this.#logger.error(
      { parked, dropped },
      `${parked} events for ${name} are parked: ${what.error}; \`longshore resend\` sends them again`,
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

  async #recount(): Promise<void> {
    const counts = (await this.#context.state.outbox.counts()).filter(({ publisher }) => publisher === this.#spec.name)
    const of = (state: Message['state']) => counts.find((count) => count.state === state)?.count ?? 0
    this.#counts = { waiting: of('waiting'), parked: of('parked') }
    this.#count({})
  }

  #count({ waiting = 0, parked = 0 }: { waiting?: number; parked?: number }): void {
    const { waiting: before, parked: beside } = this.#counts
    this.#counts = { waiting: before + waiting, parked: beside + parked }
    this.#context.metrics?.setMessages(this.#spec.name, this.#counts)
  }
}
