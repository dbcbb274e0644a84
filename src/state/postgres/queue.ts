import type { Kysely } from 'kysely'
import type { Clock } from '../../lib/clock.ts'
import { StorageError } from '../../lib/errors.ts'
import type { Db, Schema } from '../schema.ts'
import { isLost, postgresError } from './errors.ts'
import { commitGroup, Unsure, type Work } from './group.ts'

/** Between two tries to reach a database that cannot be reached. */
const pauseMs = 200
/** What one that fails has run again at most. */
const maxGroup = 64

export interface QueueOptions {
  kysely: Kysely<Schema>
  /** The database's, for messages. */
  name: string
  clock: Clock
  /** How long what is asked waits for a database that cannot be reached. */
  reconnectTimeoutMs: number
  /** In each transaction that writes: throws where nothing may be written any more. */
  fence: (db: Db) => Promise<void>
}

interface Waiting extends Work {
  isAnswered: boolean
  /** Until then it waits for the database, by the monotonic clock. */
  deadline: number
}

/**
 * Writes one after the other, in the order in which they were asked for: those that arrive together commit together. Reads go beside
 * them, each as of one moment. Both wait a while for a database that cannot be reached, then fail with StorageError `unreachable`.
 */
export class Queue {
  readonly #options: QueueOptions
  readonly #closing = new AbortController()
  #waiting: Waiting[] = []
  #draining: Promise<void> | undefined
  readonly #reading = new Set<Promise<unknown>>()

  constructor(options: QueueOptions) {
    this.#options = options
  }

  write<T>(what: string, run: (db: Db) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) return Promise.reject(closed())
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const work: Waiting = {
      ...{ run, isAnswered: false, deadline: this.#deadline() },
      done(result) {
        work.isAnswered = true
        resolve(result as T)
      },
      failed: (error) => {
        work.isAnswered = true
        reject(this.#named(error, what))
      },
    }
    this.#waiting.push(work)
    // What else is asked for in this turn of the loop is of the same group.
    this.#draining ??= new Promise<void>((begin) => setImmediate(begin)).then(() => this.#drain())
    return promise
  }

  read<T>(what: string, run: (db: Db) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) return Promise.reject(closed())
    const reading = this.#read(what, run)
    this.#reading.add(reading)
    void reading.catch(() => undefined).then(() => this.#reading.delete(reading))
    return reading
  }

  /** Answers what was asked before; what waits for the database waits no longer. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled([this.#draining, ...this.#reading])
  }

  async #read<T>(what: string, run: (db: Db) => Promise<T>): Promise<T> {
    const deadline = this.#deadline()
    for (;;) {
      try {
        const reading = this.#options.kysely
          .transaction()
          .setIsolationLevel('repeatable read')
          .setAccessMode('read only')
        return await reading.execute(run)
      } catch (error) {
        if (!isLost(error) || this.#isOver(deadline)) throw this.#named(error, what)
        await this.#pause()
      }
    }
  }

  async #drain(): Promise<void> {
    const { kysely, fence } = this.#options
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, maxGroup)
      try {
        await commitGroup(kysely, group, fence)
      } catch (error) {
        for (const work of group) if (!work.isAnswered && this.#isOver(work.deadline)) work.failed(error)
        this.#waiting.unshift(...group.filter(({ isAnswered }) => !isAnswered))
        await this.#pause()
      }
    }
    this.#draining = undefined
  }

  #deadline(): number {
    return this.#options.clock.monotonic() + this.#options.reconnectTimeoutMs
  }

  #isOver(deadline: number): boolean {
    return this.#closing.signal.aborted || this.#options.clock.monotonic() >= deadline
  }

  async #pause(): Promise<void> {
    await this.#options.clock.sleep(pauseMs, this.#closing.signal).catch(() => undefined)
  }

  #named(error: unknown, what: string): unknown {
    const { name } = this.#options
    if (error instanceof Unsure) {
      return new StorageError('unreachable', `${what} may or may not have been done in ${name}: ${error.message}`, {
        cause: error.cause,
        hint: 'Look whether it was, and ask for it again if not.',
      })
    }
    return postgresError(error, what, name)
  }
}

function closed(): StorageError {
  return new StorageError('io', 'the state was closed while it was still asked')
}
