import { sql, type Kysely } from 'kysely'
import {
  makeVersionTable,
  migrations,
  readVersion,
  refuseNewer,
  runMigration,
  type Migration,
} from '../migrations/migrate.ts'
import { postgresWords } from '../migrations/words.ts'
import type { Db, Schema } from '../schema.ts'

/** Of this database: whoever changes its schema holds it. Any number that no other program would choose. */
const schemaLock = 7_365_019_284

/**
 * Brings the schema up to date, each migration in a transaction of its own together with its version, under a lock that the
 * transaction holds: of two that start at once, the second finds it done. Throws StorageError `foreign` when a newer longshore wrote it.
 */
export async function migratePostgres(
  db: Kysely<Schema>,
  name: string,
  known: readonly Migration[] = migrations,
): Promise<void> {
  const before = await whileLocked(db, async (trx) => {
    await makeVersionTable(trx)
    return readVersion(trx)
  })
  refuseNewer(before, name, known)
  for (const migration of known.slice(before)) {
    await whileLocked(db, async (trx) => {
      if (migration.version <= (await readVersion(trx))) return
      const before = new Set((await readColumns(trx)).map(nameOf))
      await runMigration(trx, migration, postgresWords)
      await settle(
        trx,
        (await readColumns(trx)).filter((column) => !before.has(nameOf(column))),
      )
    })
  }
}

/** In a transaction, with nobody else who changes the schema beside it. */
export async function whileLocked<T>(db: Kysely<Schema>, run: (trx: Db) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(${schemaLock})`.execute(trx)
    return run(trx)
  })
}

interface Column {
  table: string
  column: string
  type: string
  collation: string | null
}

const nameOf = ({ table, column }: Column) => `${table}.${column}`

async function readColumns(trx: Db): Promise<Column[]> {
  const { rows } = await sql<Column>`
    select table_name as "table", column_name as "column", data_type as "type", collation_name as "collation"
    from information_schema.columns where table_schema = current_schema() order by table_name, ordinal_position`.execute(
    trx,
  )
  return rows
}

/** What SQLite does with these words: text sorts by its bytes, a number has 64 bits. */
async function settle(trx: Db, made: readonly Column[]): Promise<void> {
  const texts = made.filter(({ type, collation }) => type === 'text' && collation !== 'C')
  const numbers = made.filter(({ type }) => type === 'integer')
  for (const { table, column } of texts) {
    await sql`alter table ${sql.table(table)} alter column ${sql.ref(column)} type text collate "C"`.execute(trx)
  }
  for (const { table, column } of numbers) {
    await sql`alter table ${sql.table(table)} alter column ${sql.ref(column)} type bigint`.execute(trx)
  }
}
