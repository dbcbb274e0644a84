import type { Event } from './event.ts'

/** An event on its way to one publisher. Once it is sent, it is no more. */
export interface Message {
  /** A key of the config's `publishers`. */
  publisher: string
  event: Event
  /** `parked`: it could not be sent for too long; it stays until a person has it sent again. */
  state: 'waiting' | 'parked'
  attempts: number
  /** Milliseconds since the epoch: since when it waits. */
  queuedAt: number
  /** Null where it is parked. */
  nextAttemptAt: number | null
  lastError: string | null
}

/** Null: any. */
export interface MessageFilter {
  publisher: string | null
  bundle: string | null
  state: Message['state'] | null
}

export interface MessageKey {
  publisher: string
  /** The event's. */
  seq: number
}
