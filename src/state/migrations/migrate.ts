import { sql, type Kysely } from 'kysely'
import { StorageError } from '../../lib/errors.ts'
import { up as start } from './0001-start.ts'
import { up as collection } from './0002-collection.ts'
import { up as decisions } from './0003-decisions.ts'
import { up as outbox } from './0004-outbox.ts'
import { up as steering } from './0005-steering.ts'

export interface Migration {
  /** The schema's version once it is done: 1, 2, 3, … */
  version: number
  up: (db: Kysely<never>) => Promise<void>
}

export const migrations: readonly Migration[] = [
  { version: 1, up: start },
  { version: 2, up: collection },
  { version: 3, up: decisions },
  { version: 4, up: outbox },
  { version: 5, up: steering },
]

/**
 * Brings the schema up to date, each migration in a transaction of its own together with its version. Throws StorageError
 * `foreign` when a newer longshore wrote it.
 */
export async function migrate<Tables>(
  db: Kysely<Tables>,
  name: string,
  known: readonly Migration[] = migrations,
): Promise<void> {
  const newest = known.at(-1)?.version ?? 0
  const found = await readVersion(db)
  if (found > newest) {
    throw new StorageError(
      'foreign',
      `${name} has schema version ${found}, this longshore knows only up to ${newest}`,
      {
        hint: 'A newer longshore wrote it: start that one, or restore a backup made before it.',
      },
    )
  }
  for (const migration of known) {
    if (migration.version <= found) continue
    await db.transaction().execute(async (trx) => {
      await migration.up(trx as unknown as Kysely<never>)
      await sql`delete from schema_version`.execute(trx)
      await sql`insert into schema_version (version) values (${migration.version})`.execute(trx)
    })
  }
}

async function readVersion<Tables>(db: Kysely<Tables>): Promise<number> {
  await sql`create table if not exists schema_version (version integer not null)`.execute(db)
  const { rows } = await sql<{ version: number }>`select version from schema_version`.execute(db)
  return rows[0]?.version ?? 0
}
