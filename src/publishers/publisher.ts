import type { Redactor } from '../lib/redact.ts'
import type { Event } from '../model/event.ts'

/** Something that happened, as a receiver is told of it. */
export interface Telling {
  /** The same each time that it is sent, and no other event's. */
  id: string
  /** Which longshore: a URI. */
  source: string
  event: Event
}

/** Somebody who is told that something happened. */
export interface Publisher {
  /** For messages: a host, never a URL. */
  readonly name: string
  /**
   * Settles when the receiver has it, or where there is nothing to tell it of that. May be called again for what it has already. Throws
   * RemoteError; where that may be sent again, the receiver as a whole is left alone for a while.
   */
  publish(telling: Telling, signal: AbortSignal): Promise<void>
}

/** What a publisher is made with, besides its own config. */
export interface PublisherContext {
  /** For what others wrote, before it gets into an error. */
  redactor: Pick<Redactor, 'redact'>
}
