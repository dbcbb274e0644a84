import type { Event } from '../model/event.ts'
import type { Message, MessageFilter, MessageKey } from '../model/message.ts'
import type { Metrics } from '../lib/metrics.ts'
import { counted } from '../lib/units.ts'
import type { EventFeed } from '../state/feed.ts'
import { Sender, type PublisherSpec, type SenderContext } from './sender.ts'

export interface OutboxOptions extends Omit<SenderContext, 'tell' | 'feed' | 'metrics'> {
  feed: Pick<EventFeed, 'after' | 'hear'>
  metrics?: Pick<Metrics, 'published' | 'setMessages' | 'forgetPublisher'>
  /** Which longshore this is: a URI that stays. */
  source: string
  /** Takes secrets out of what others wrote. */
  redact: (text: string) => string
}

/** Who is told what happened: at least once, in order for each publisher and bundle, from what is persisted. */
export interface Outbox {
  /**
   * From now on these publishers: a new one is told what happens from now on; what waits for one that is gone is dropped. Bundles and
   * receivers that stay are not disturbed.
   */
  configure(specs: readonly PublisherSpec[]): Promise<void>
  /** Names of those publishers. */
  publishers(): string[]
  list(filter: MessageFilter, page: { after: MessageKey | null; limit: number }): Promise<Message[]>
  /** Those that are parked are sent again. Returns which. */
  resend(keys: readonly MessageKey[]): Promise<MessageKey[]>
  /** Breaks off what is being sent: it goes again with the next start. */
  close(): Promise<void>
}

export function createOutbox(options: OutboxOptions): Outbox {
  const { state, feed, clock, logger, metrics, source, redact } = options
  const senders = new Map<string, Sender>()
  const context: SenderContext = {
    ...options,
    tell: (event) => ({ id: idOf(event), source, event: { ...event, data: told(event.data, redact) } }),
  }
  const unhear = feed.hear(() => {
    for (const sender of senders.values()) sender.wake()
  })

  return {
    async configure(specs) {
      const names = new Set(specs.map(({ name }) => name))
      for (const name of new Set(senders.keys()).difference(names)) {
        await senders.get(name)!.close()
        senders.delete(name)
        metrics?.forgetPublisher(name)
      }
      const { cursors, dropped } = await state.outbox.configure([...names])
      if (dropped > 0)
        logger.warn({ dropped }, `dropped ${counted(dropped, 'message')} for publishers that left the config`)
      const counts = await state.outbox.counts()
      for (const spec of specs) {
        const known = senders.get(spec.name)
        known?.change(spec)
        if (known !== undefined) continue
        const count = (of: Message['state']) =>
          counts.find(({ publisher, state: is }) => publisher === spec.name && is === of)?.count ?? 0
        const past = { cursor: cursors[spec.name]!, waiting: count('waiting'), parked: count('parked') }
        const sender = new Sender(spec, past, context)
        senders.set(spec.name, sender)
        sender.begin()
      }
    },
    publishers: () => [...senders.keys()],
    list: (filter, page) => state.outbox.list(filter, page),
    async resend(keys) {
      const again = await state.outbox.resend(keys, clock.now())
      for (const [name, some] of Map.groupBy(again, ({ publisher }) => publisher)) {
        senders.get(name)?.resent(some.length)
      }
      return again
    },
    async close() {
      unhear()
      await Promise.all([...senders.values()].map((sender) => sender.close()))
    },
  }
}

/** Numbers may come again where a backup was restored; the same number at the same moment does not. */
function idOf({ seq, at }: Event): string {
  return `${seq}-${at}`
}

/** The log of an attempt stays here: it is long, and may be another program's own. */
function told({ log: _, ...data }: Event['data'], redact: (text: string) => string): Event['data'] {
  const entries = Object.entries(data).map(([key, value]) => [key, typeof value === 'string' ? redact(value) : value])
  return Object.fromEntries(entries) as Event['data']
}
