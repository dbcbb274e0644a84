import { sql, type Kysely } from 'kysely'
import { StorageError } from '../../lib/errors.ts'
import { claim, readContentId, refuseOther } from '../claim.ts'
import { readVersion, refuseNewer } from '../migrations/migrate.ts'
import { nameOperations } from '../operations/named.ts'
import { access, type Groups } from '../operations/operation.ts'
import { rememberCatalog } from '../remembered.ts'
import type { Redactor } from '../../lib/redact.ts'
import type { Schema } from '../schema.ts'
import type { State } from '../state.ts'
import { connect, type Database } from './connect.ts'
import { isLost, postgresError } from './errors.ts'
import { Lease, makeLeaseTable, wholeInstance, type Holder } from './lease.ts'
import { migratePostgres } from './migrate.ts'
import type { ConnectOptions, PostgresOptions } from './options.ts'
import { Queue } from './queue.ts'

export interface OpenOptions extends PostgresOptions {
  holder: Holder
  /** Without it, StorageError `locked` is thrown where another one acts. */
  standby?: Standby
  /** Asked before anything is done with the content: throws where a state that is new, or is not, cannot be meant. */
  agree?: (isNew: boolean) => Promise<void>
  /** A snapshot that the state begins with. It has to be new. */
  fill?: string
}

export interface Standby {
  /** Ends the waiting. */
  signal: AbortSignal
  /** Told once, and again when it is another one. */
  waiting(heldBy: string): Promise<void>
}

/**
 * The state in a Postgres. One process at a time acts on it: it has the lease. Throws StorageError `locked`, `foreign`, `unreachable`,
 * `not_allowed`, `no_database`, `read_only`, ConfigError.
 */
export async function createPostgresState(options: OpenOptions): Promise<State> {
  const { clock, redactor, reconnectTimeoutMs, lease: limits } = options
  const database = await connect(options, { redactor })
  // A renewal waits for nobody, and not for longer than it is good for.
  const own = await connect(options, { redactor, connections: 1, statementTimeoutMs: limits.durationMs })
  const lease = new Lease({ ...options, database: own, name: wholeInstance, limits })
  const fence = lease.fence.bind(lease)
  const queue = new Queue({ ...database, clock, reconnectTimeoutMs, fence })
  const close = async () => {
    await queue.close()
    // Nobody is kept waiting for a lease that runs out by itself.
    await lease.release().catch(() => undefined)
    await Promise.all([database.close(), own.close()])
  }
  try {
    await reach(options, database, () => makeLeaseTable(database))
    await waitForLease(options, database, lease)
    await prepare(options, database)
  } catch (error) {
    await close()
    throw postgresError(error, 'opening the state', database.name)
  }
  return rememberCatalog<State>({
    ...partsOf(queue),
    lease,
    async snapshot(file) {
      // With SQLite, which nothing else here needs.
      const { copyToFile } = await import('./copy.ts')
      const { openSnapshot } = await import('../sqlite/snapshot.ts')
      await copyToFile(database.kysely, file).catch((error: unknown) => {
        throw postgresError(error, 'copying the state', database.name)
      })
      return openSnapshot(file)
    },
    close,
  })
}

/** At a start the database may be starting too. */
async function reach(
  { clock, reconnectTimeoutMs }: PostgresOptions,
  { name }: Database,
  attempt: () => Promise<void>,
): Promise<void> {
  const deadline = clock.monotonic() + reconnectTimeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isLost(error) || clock.monotonic() >= deadline) throw postgresError(error, 'opening the state', name)
      await clock.sleep(500)
    }
  }
}

async function waitForLease(options: OpenOptions, database: Database, lease: Lease): Promise<void> {
  const { standby, clock, lease: limits } = options
  let told: string | undefined
  for (;;) {
    const held = await takeLease(options, database, lease).catch((error: unknown) => {
      if (told === undefined || !isLost(error)) throw error
      return undefined
    })
    if (held === 'taken') return
    if (standby === undefined) throw inUse(database, held?.heldBy ?? '')
    if (held === undefined) await waitForDatabase(options, database, standby)
    else if (held.heldBy !== told) await standby.waiting(held.heldBy)
    told = held?.heldBy ?? told
    await clock.sleep(limits.pollMs, standby.signal)
  }
}

/** Whoever has the lease could not renew it either: once the database is back it gets the time to. */
async function waitForDatabase(
  { clock, lease }: OpenOptions,
  { kysely }: Database,
  { signal }: Standby,
): Promise<void> {
  const isBack = () =>
    readKnown(kysely).then(
      () => true,
      (error: unknown) => {
        if (!isLost(error)) throw error
        return false
      },
    )
  while (!(await isBack())) await clock.sleep(lease.pollMs, signal)
  await clock.sleep(lease.durationMs, signal)
}

/** What cannot be meant is said before anybody waits for it. */
async function takeLease(
  { contentId }: OpenOptions,
  { kysely, name }: Database,
  lease: Lease,
): ReturnType<Lease['take']> {
  const known = await readKnown(kysely)
  refuseNewer(known.version, name)
  if (known.contentId !== undefined) refuseOther(known.contentId, name, contentId)
  return lease.take()
}

/** What a database says of itself, whatever is in it. */
async function readKnown(kysely: Kysely<Schema>): Promise<{ version: number; contentId: string | undefined }> {
  const { rows } = await sql<{ version: boolean; facts: boolean }>`
    select to_regclass('schema_version') is not null as version, to_regclass('facts') is not null as facts`.execute(
    kysely,
  )
  const has = rows[0]!
  return {
    version: has.version ? await readVersion(kysely) : 0,
    contentId: has.facts ? await readContentId(kysely) : undefined,
  }
}

async function prepare({ contentId, agree, fill }: OpenOptions, { kysely, name }: Database): Promise<void> {
  await migratePostgres(kysely, name)
  const known = await readContentId(kysely)
  await agree?.(known === undefined)
  if (fill !== undefined && known !== undefined) throw isFull(name)
  await kysely.transaction().execute(async (trx) => {
    if (fill !== undefined) await (await import('./copy.ts')).copyFromFile(trx, fill)
    await claim(trx, name, contentId)
  })
}

/** Throws StorageError `foreign` where the database has a state in it. */
export async function refuseFull(options: ConnectOptions, redactor: Redactor): Promise<void> {
  const database = await connect(options, { redactor, connections: 1 })
  const { kysely, name } = database
  try {
    if ((await readKnown(kysely)).contentId !== undefined) throw isFull(name)
  } catch (error) {
    throw postgresError(error, 'looking into the database', name)
  } finally {
    await database.close()
  }
}

function isFull(name: string): StorageError {
  return new StorageError('foreign', `cannot restore into ${name}: there is a state already`, {
    hint: 'Name an empty database in state.url.',
  })
}

function partsOf(queue: Queue): Groups {
  const parts: Record<string, Record<string, unknown>> = {}
  const operations = nameOperations()
  for (const [group, methods] of Object.entries(access)) {
    const part = Object.keys(methods).map((method) => {
      const operation = operations.get(`${group}.${method}`)!
      const what = `the operation ${group}.${method}`
      return [method, (...args: unknown[]) => queue[operation.access](what, (db) => operation.run(db, args))]
    })
    parts[group] = Object.fromEntries(part) as Record<string, unknown>
  }
  return parts as unknown as Groups
}

function inUse({ name }: Database, heldBy: string): StorageError {
  return new StorageError('locked', `${name} is in use by another longshore: ${heldBy}`, {
    hint: 'Stop that one first, or let the server that uses it do the work (--server).',
  })
}
