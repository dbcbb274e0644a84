import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { counted } from '../lib/units.ts'
import type { Event } from '../model/event.ts'
import type { EventFeed } from '../state/feed.ts'
import type { State } from '../state/state.ts'
import type { Tally } from './tally.ts'

/** Messages that wait for one publisher. Beyond it events stay where they are: in the log of the newest `maxEvents`. */
export const maxWaitingMessages = 10_000
const pageEvents = 200

export interface IntakeContext {
  state: Pick<State, 'outbox'>
  feed: Pick<EventFeed, 'after'>
  clock: Clock
  logger: Logger
  metrics?: Pick<Metrics, 'published'>
}

/** Which events one publisher is to be told of: they become messages, from where it was left off. */
export class Intake {
  readonly #publisher: string
  readonly #context: IntakeContext
  readonly #tally: Tally
  /** The last event that was looked at. */
  #cursor: number
  #isFull = false

  constructor(publisher: string, cursor: number, tally: Tally, context: IntakeContext) {
    this.#publisher = publisher
    this.#cursor = cursor
    this.#tally = tally
    this.#context = context
  }

  /** There were more events than may wait, and there is room again. */
  get isBehind(): boolean {
    return this.#isFull && this.#tally.waiting < maxWaitingMessages / 2
  }

  /** What is wanted of the events since the last time, in the transaction that moves the cursor. Returns how many messages that made. */
  async take(wants: (event: Event) => boolean, signal: AbortSignal): Promise<number> {
    const { feed, state, clock } = this.#context
    let taken = 0
    for (;;) {
      this.#noteFull(this.#tally.waiting >= maxWaitingMessages)
      if (this.#isFull || signal.aborted) return taken
      const events = await feed.after(this.#cursor, pageEvents)
      if (events.length === 0) return taken
      await this.#noteLost(events[0]!.seq)
      const wanted = events.filter(wants)
      const span = { from: this.#cursor, to: events.at(-1)!.seq }
      const isOurs = await state.outbox.queue(this.#publisher, wanted, span, clock.now())
      if (!isOurs) throw new Error(`somebody else takes the events for ${this.#publisher}`)
      this.#cursor = span.to
      this.#tally.add({ waiting: wanted.length })
      taken += wanted.length
      if (events.length < pageEvents) return taken
    }
  }

  #noteFull(isFull: boolean): void {
    if (isFull && !this.#isFull) {
      const { waiting } = this.#tally
      const message = `${waiting} messages wait for ${this.#publisher}: further events stay in the log`
      this.#context.logger.warn({ waiting }, message)
    }
    this.#isFull = isFull
  }

  /** The log keeps so many events, and no more. */
  async #noteLost(next: number): Promise<void> {
    if (next === this.#cursor + 1) return
    const [oldest] = await this.#context.feed.after(0, 1)
    const lost = (oldest?.seq ?? 0) - this.#cursor - 1
    if (lost <= 0) return
    const message = `lost ${counted(lost, 'event')}: gone from the log before ${this.#publisher} could be told`
    this.#context.logger.error({ events: lost }, message)
    this.#context.metrics?.published(this.#publisher, 'lost', lost)
  }
}
