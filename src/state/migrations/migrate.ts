import { sql, type Kysely } from 'kysely'
import { StorageError } from '../../lib/errors.ts'
import { up as start } from './0001-start.ts'
import { up as collection } from './0002-collection.ts'
import { up as decisions } from './0003-decisions.ts'
import { up as outbox } from './0004-outbox.ts'
import { up as steering } from './0005-steering.ts'
import { up as followed } from './0006-followed.ts'
import { up as neededUntil } from './0007-needed-until.ts'
import { sqliteWords, type Words } from './words.ts'

export interface Migration {
  /** The schema's version once it is done: 1, 2, 3, … */
  version: number
  up: (db: Kysely<never>, words: Words) => Promise<void>
}

export const migrations: readonly Migration[] = [
  { version: 1, up: start },
  { version: 2, up: collection },
  { version: 3, up: decisions },
  { version: 4, up: outbox },
  { version: 5, up: steering },
  { version: 6, up: followed },
  { version: 7, up: neededUntil },
]

/**
 * Brings the schema up to date, each migration in a transaction of its own together with its version. Throws StorageError
 * `foreign` when a newer longshore wrote it. Nobody else may do the same at the same time: SQLite's lock sees to that.
 */
export async function migrate<Tables>(
  db: Kysely<Tables>,
  name: string,
  known: readonly Migration[] = migrations,
): Promise<void> {
  await makeVersionTable(db)
  const found = await readVersion(db)
  refuseNewer(found, name, known)
  for (const migration of known) {
    if (migration.version <= found) continue
    await db.transaction().execute((trx) => runMigration(trx, migration, sqliteWords))
  }
}

export async function makeVersionTable<Tables>(db: Kysely<Tables>): Promise<void> {
  await sql`create table if not exists schema_version (version integer not null)`.execute(db)
}

/** 0 before the first migration. */
export async function readVersion<Tables>(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ version: number }>`select version from schema_version`.execute(db)
  return rows[0]?.version ?? 0
}

export function refuseNewer(found: number, name: string, known: readonly Migration[] = migrations): void {
  const newest = known.at(-1)?.version ?? 0
  if (found <= newest) return
  throw new StorageError('foreign', `${name} has schema version ${found}, this longshore knows only up to ${newest}`, {
    hint: 'A newer longshore wrote it: start that one, or restore a backup made before it.',
  })
}

/** In a transaction that the caller began. */
export async function runMigration<Tables>(
  trx: Kysely<Tables>,
  { version, up }: Migration,
  words: Words,
): Promise<void> {
  await up(trx as unknown as Kysely<never>, words)
  await sql`delete from schema_version`.execute(trx)
  await sql`insert into schema_version (version) values (${version})`.execute(trx)
}
