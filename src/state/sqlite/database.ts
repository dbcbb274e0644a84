import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { Kysely, SqliteDialect, type SqliteDatabase, type SqliteStatement } from 'kysely'
import type { Schema } from '../schema.ts'

/** Statements' texts repeat; preparing one costs as much as running it. */
const cachedStatements = 500

export interface OpenDatabase {
  raw: DatabaseSync
  kysely: Kysely<Schema>
}

/** Opens or makes the file. A commit is on the disk when it returns (WAL, synchronous=FULL). */
export function openDatabase(path: string): OpenDatabase {
  const raw = new DatabaseSync(path, { enableForeignKeyConstraints: true })
  raw.exec('pragma journal_mode = wal')
  raw.exec('pragma synchronous = full')
  // KiB: with 100,000 tags, the inner pages of the indexes stay in memory.
  raw.exec('pragma cache_size = -16384')
  return { raw, kysely: new Kysely<Schema>({ dialect: new SqliteDialect({ database: asKyselyWants(raw) }) }) }
}

/** A file that nobody writes. */
export function openReadOnly(path: string): OpenDatabase {
  const raw = new DatabaseSync(path, { readOnly: true })
  return { raw, kysely: new Kysely<Schema>({ dialect: new SqliteDialect({ database: asKyselyWants(raw) }) }) }
}

function asKyselyWants(database: DatabaseSync): SqliteDatabase {
  const cache = new Map<string, SqliteStatement>()
  return {
    prepare(sql) {
      const statement = cache.get(sql) ?? wrap(database.prepare(sql))
      // The least recently used comes first.
      cache.delete(sql)
      cache.set(sql, statement)
      if (cache.size > cachedStatements) cache.delete(cache.keys().next().value!)
      return statement
    },
    close: () => {
      database.close()
    },
  }
}

function wrap(statement: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[]
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)) as IterableIterator<unknown>,
  }
}
