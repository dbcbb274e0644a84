import { open } from 'node:fs/promises'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { sql, type Kysely } from 'kysely'
import { migrate } from '../migrations/migrate.ts'
import type { Db, Schema } from '../schema.ts'
import { openDatabase } from '../sqlite/database.ts'
import { sqliteError } from '../sqlite/errors.ts'

/** Rows that are in memory at one time; the loop is held while they are written. */
const pageLength = 500

/**
 * Copies everything, as of one moment, into a new file that is the embedded state's: `restore` makes either of the two out of it. It is
 * on the disk when this resolves.
 */
export async function copyToFile(kysely: Kysely<Schema>, file: string): Promise<void> {
  try {
    const { raw, kysely: target } = openDatabase(file)
    try {
      // Nothing of it counts before all of it is there.
      raw.exec('pragma synchronous = off')
      await migrate(target, file)
      raw.exec('pragma foreign_keys = off')
      const reading = kysely.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
      await reading.execute(async (trx) => {
        for (const table of tablesOf(raw)) await copyOut(trx, table, raw)
      })
      raw.exec('pragma journal_mode = delete')
    } finally {
      raw.close()
    }
    const handle = await open(file, 'r')
    await handle.sync().finally(() => handle.close())
  } catch (error) {
    throw sqliteError(error, 'copying the state', file)
  }
}

async function copyOut(trx: Db, table: string, target: DatabaseSync): Promise<void> {
  const columns = columnsOf(target, table)
  const insert = target.prepare(
    `insert into "${table}" (${columns.map((name) => `"${name}"`).join(', ')}) values (${columns.map(() => '?').join(', ')})`,
  )
  await sql`declare pages cursor for select * from ${sql.table(table)}`.execute(trx)
  for (;;) {
    const { rows } = await sql<Record<string, SQLInputValue>>`fetch ${sql.lit(pageLength)} from pages`.execute(trx)
    target.exec('begin')
    for (const row of rows) insert.run(...columns.map((name) => row[name] ?? null))
    target.exec('commit')
    if (rows.length < pageLength) break
  }
  await sql`close pages`.execute(trx)
}

/** Fills a new database from such a file, in the caller's transaction; all indexes are to be written again. */
export async function copyFromFile(trx: Db, file: string): Promise<void> {
  const source = new DatabaseSync(file, { readOnly: true })
  try {
    for (const table of tablesOf(source)) await copyIn(trx, table, source)
    await sql`update repositories set indexed = version - 1`.execute(trx)
  } finally {
    source.close()
  }
}

async function copyIn(trx: Db, table: string, source: DatabaseSync): Promise<void> {
  let page: unknown[] = []
  const write = async () => {
    const rows = JSON.stringify(page)
    page = []
    await sql`insert into ${sql.table(table)} select * from json_populate_recordset(null::${sql.table(table)}, ${rows})`.execute(
      trx,
    )
  }
  for (const row of source.prepare(`select * from "${table}"`).iterate()) {
    page.push(row)
    if (page.length === pageLength) await write()
  }
  if (page.length > 0) await write()
  const [serial] = source.prepare(`select name from pragma_table_info(?) where pk = 1 and type = 'INTEGER'`).all(table)
  if (serial === undefined) return
  const column = String(serial.name)
  await sql`select setval(pg_get_serial_sequence(${table}, ${column}), max(${sql.ref(column)})) from ${sql.table(table)}`.execute(
    trx,
  )
}

/** In the order in which they were made: whatever one refers to comes before it. */
function tablesOf(database: DatabaseSync): string[] {
  const query = `select name from sqlite_schema
    where type = 'table' and name <> 'schema_version' and name not like 'sqlite_%' order by rowid`
  return database
    .prepare(query)
    .all()
    .map(({ name }) => String(name))
}

function columnsOf(database: DatabaseSync, table: string): string[] {
  return database
    .prepare('select name from pragma_table_info(?)')
    .all(table)
    .map(({ name }) => String(name))
}
