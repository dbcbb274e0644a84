import { sql } from 'kysely'
import type { Clock } from '../../lib/clock.ts'
import { StorageError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Db } from '../schema.ts'
import type { Database } from './connect.ts'
import { postgresError } from './errors.ts'
import { whileLocked } from './migrate.ts'
import type { ConnectOptions } from './options.ts'

/** Of all that this database speaks of. A lease for each bundle could stand beside it. */
export const wholeInstance = 'instance'

/** Who asks for it. */
export interface Holder {
  /** Another one for each process. */
  id: string
  /** For a person: host and process. */
  title: string
}

interface LeaseOptions {
  /** Connections that nothing else waits for. */
  database: Database
  /** Which one. */
  name: string
  holder: Holder
  limits: ConnectOptions['lease']
  clock: Clock
  logger: Logger
}

interface Row {
  holder: string
  title: string
  /** Grows each time that it goes to another. */
  term: number
  isOver: boolean
}

/**
 * A row in the database that one instance holds as long as it renews it. All times are the database's, but for how long the holder
 * trusts its last renewal: by both of its clocks, since one of them stands still while a machine sleeps.
 */
export class Lease {
  /** Resolves once another one has it. */
  readonly lost: Promise<StorageError>
  readonly #options: LeaseOptions
  readonly #tell: (why: StorageError) => void
  #why: StorageError | undefined
  #term: number | undefined
  #renewed = { monotonic: 0, now: 0 }
  #renewing: Promise<void> | undefined
  #cancelTimer: (() => void) | undefined
  #isSilent = false
  #isReleased = false

  constructor(options: LeaseOptions) {
    this.#options = options
    const { promise, resolve } = Promise.withResolvers<StorageError>()
    this.lost = promise
    this.#tell = resolve
  }

  /** Takes it if nobody has it, and renews it from now on. Else who has it. */
  async take(): Promise<{ heldBy: string } | 'taken'> {
    const { database, name, holder, limits, clock } = this.#options
    const asked = { monotonic: clock.monotonic(), now: clock.now() }
    const row = await this.#read(database.kysely)
    if (row !== undefined && !row.isOver) return { heldBy: row.title }
    const taken = await database.kysely.transaction().execute(async (trx) => {
      await sql`insert into leases (name, holder, title, term, until) values (${name}, '', '', 0, clock_timestamp())
        on conflict do nothing`.execute(trx)
      // Waits for what the one before still writes, and whoever writes after it finds another term.
      await sql`select 1 from leases where name = ${name} for update`.execute(trx)
      const { rows } = await sql<{ term: number }>`
        update leases set holder = ${holder.id}, title = ${holder.title}, term = term + 1,
          until = clock_timestamp() + ${limits.durationMs} * interval '1 millisecond'
        where name = ${name} and until <= clock_timestamp() returning term`.execute(trx)
      return rows[0]?.term
    })
    if (taken === undefined) return { heldBy: (await this.#read(database.kysely))?.title ?? 'another one' }
    this.#term = taken
    this.#renewed = asked
    this.#wait()
    return 'taken'
  }

  /** Nobody else acts now. Throws StorageError: `locked` when another one does, `unreachable` when nobody can say. */
  async check(): Promise<void> {
    if (this.#why !== undefined) throw this.#why
    const { clock, limits } = this.#options
    const sinceMs = Math.max(clock.monotonic() - this.#renewed.monotonic, Math.abs(clock.now() - this.#renewed.now))
    if (sinceMs > limits.durationMs - limits.renewMs) await this.#renew()
  }

  /** For each transaction that writes: what another one took over is not written to, and it takes over nothing meanwhile. */
  async fence(trx: Db): Promise<void> {
    if (this.#why !== undefined) throw this.#why
    const { name, holder } = this.#options
    const { rows } =
      await sql`select 1 from leases where name = ${name} and holder = ${holder.id} and term = ${this.#term}
      for key share`.execute(trx)
    if (rows.length === 0) throw await this.#lose()
  }

  /** The next one need not wait. */
  async release(): Promise<void> {
    this.#isReleased = true
    this.#cancelTimer?.()
    await this.#renewing?.catch(() => undefined)
    if (this.#term === undefined || this.#why !== undefined) return
    const { database, name, holder } = this.#options
    await sql`update leases set until = clock_timestamp() where name = ${name} and holder = ${holder.id} and term = ${this.#term}`.execute(
      database.kysely,
    )
  }

  #renew(): Promise<void> {
    this.#renewing ??= this.#askAgain().finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  async #askAgain(): Promise<void> {
    const { database, name, holder, limits, clock } = this.#options
    const asked = { monotonic: clock.monotonic(), now: clock.now() }
    try {
      const { numAffectedRows } = await sql`
        update leases set until = clock_timestamp() + ${limits.durationMs} * interval '1 millisecond'
        where name = ${name} and holder = ${holder.id} and term = ${this.#term}`.execute(database.kysely)
      if (numAffectedRows !== 1n) throw await this.#lose()
      this.#renewed = asked
    } catch (error) {
      throw postgresError(error, 'renewing the lease', database.name)
    }
  }

  #wait(): void {
    const { clock, limits, logger } = this.#options
    if (this.#isReleased) return
    this.#cancelTimer = clock.after(limits.renewMs, () => {
      void this.#renew().then(
        () => {
          if (this.#isSilent) logger.info('the database answers again; the lease is renewed')
          this.#isSilent = false
          this.#wait()
        },
        (error: unknown) => {
          if (this.#why !== undefined) return
          if (!this.#isSilent) logger.warn({ err: error }, 'the lease could not be renewed; it is tried again')
          this.#isSilent = true
          this.#wait()
        },
      )
    })
  }

  async #lose(): Promise<StorageError> {
    const { database } = this.#options
    const row = await this.#read(database.kysely).catch(() => undefined)
    this.#why ??= new StorageError('locked', `${row?.title ?? 'another longshore'} has taken over ${database.name}`, {
      hint: 'This one did not renew its lease in time (state.lease.duration): it was stopped, or cut off. Start it again to stand by.',
    })
    this.#cancelTimer?.()
    this.#tell(this.#why)
    return this.#why
  }

  async #read(db: Db): Promise<Row | undefined> {
    const { rows } = await sql<Row>`
      select holder, title, term, until <= clock_timestamp() as "isOver" from leases where name = ${this.#options.name}`.execute(
      db,
    )
    return rows[0]
  }
}

/** Before all migrations: whoever stands by may be newer, and changes nothing that the other one works with. */
export async function makeLeaseTable({ kysely }: Database): Promise<void> {
  await whileLocked(kysely, async (trx) => {
    await sql`create table if not exists leases (
      name text collate "C" primary key, holder text not null, title text not null, term bigint not null, until timestamptz not null
    )`.execute(trx)
  })
}
