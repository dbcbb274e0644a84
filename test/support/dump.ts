import type { DatabaseSync } from 'node:sqlite'

interface Made {
  name: string
  sql: string
}

/** Everything in it as SQL that makes it again. */
export function dumpDatabase(database: DatabaseSync): string {
  const made = (type: string) => {
    const query = 'select "name", "sql" from sqlite_schema where "type" = ? and "sql" is not null order by rowid'
    return database.prepare(query).all(type) as unknown as Made[]
  }
  const tables = made('table')
  const rows = tables.flatMap(({ name }) => dumpRows(database, name))
  const statements = [...tables.map(({ sql }) => sql), ...rows, ...made('index').map(({ sql }) => sql)]
  return `pragma foreign_keys = off;\n${statements.map((statement) => `${statement};\n`).join('')}`
}

function dumpRows(database: DatabaseSync, table: string): string[] {
  const columns = database.prepare('select "name" from pragma_table_info(?)').all(table) as unknown as {
    name: string
  }[]
  const names = columns.map(({ name }) => `"${name}"`)
  const values = names.map((name) => `quote(${name})`).join(` || ', ' || `)
  const rows = database.prepare(`select ${values} as "values" from "${table}"`).all() as unknown as { values: string }[]
  return rows.map((row) => `insert into "${table}" (${names.join(', ')}) values (${row.values})`)
}
