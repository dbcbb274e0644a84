import { join } from 'node:path'
import { sql, type Kysely } from 'kysely'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { migrate, migrations, type Migration } from '../../../src/state/migrations/migrate.ts'
import { openDatabase, type OpenDatabase } from '../../../src/state/sqlite/database.ts'
import { tempDir } from '../../support/temp.ts'

let database: OpenDatabase

beforeEach(() => {
  database = openDatabase(join(tempDir('migrate'), 'state.db'))
})

afterEach(() => {
  database.raw.close()
})

const tables = () =>
  database.raw
    .prepare("select name from sqlite_schema where type = 'table' order by name")
    .all()
    .map(({ name }) => name)

function making(version: number, ...statements: string[]): Migration {
  return {
    version,
    up: async (db: Kysely<never>) => {
      for (const statement of statements) await sql.raw(statement).execute(db)
    },
  }
}

it('runs each once, in order, from where it stands', async () => {
  const [first, second] = [making(1, 'create table a (x)'), making(2, 'create table b (x)', 'drop table a')]
  await migrate(database.kysely, 'state.db', [first])
  expect(tables()).toEqual(['a', 'schema_version'])
  await migrate(database.kysely, 'state.db', [first, second])
  await migrate(database.kysely, 'state.db', [first, second])
  expect(tables()).toEqual(['b', 'schema_version'])
})

it('leaves nothing of one that fails, and keeps those before it', async () => {
  const broken = [making(1, 'create table a (x)'), making(2, 'create table b (x)', 'nonsense')]
  await expect(migrate(database.kysely, 'state.db', broken)).rejects.toThrow(/nonsense/)
  expect(tables()).toEqual(['a', 'schema_version'])
  await migrate(database.kysely, 'state.db', [broken[0]!, making(2, 'create table c (x)')])
  expect(tables()).toEqual(['a', 'c', 'schema_version'])
})

it('refuses a schema that is newer than what it knows', async () => {
  await migrate(database.kysely, 'state.db', [making(1), making(2)])
  await expect(migrate(database.kysely, 'state.db', [making(1)])).rejects.toMatchObject({
    name: 'StorageError',
    code: 'foreign',
  })
})

it('numbers migrations without a gap', () => {
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, at) => at + 1))
})
