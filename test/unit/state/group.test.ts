import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { commitGroup, type Work } from '../../../src/state/sqlite/group.ts'

let database: DatabaseSync
let log: string[]

beforeEach(() => {
  database = new DatabaseSync(':memory:')
  database.exec('create table t (x text primary key)')
  log = []
})

afterEach(() => {
  database.close()
})

const commit = (...group: Work[]) => commitGroup({ raw: database, checkFiles: () => undefined }, group)

const rows = () =>
  database
    .prepare('select x from t order by x')
    .all()
    .map(({ x }) => x)

/** Inserts its name twice, one suffixed, and says what became of it, and whether that was after the commit. */
function inserting(name: string, fail?: () => void): Work {
  return {
    async run() {
      log.push(`run ${name}`)
      database.prepare('insert into t values (?)').run(name)
      await Promise.resolve()
      fail?.()
      return name
    },
    done: (result) => log.push(`done ${String(result)}${database.isTransaction ? ' too early' : ''}`),
    failed: (error) => log.push(`failed ${name}: ${(error as Error).message}`),
  }
}

const broken = (): never => {
  throw new Error('broken')
}

it('commits all together and answers afterwards', async () => {
  await commit(inserting('a'), inserting('b'))
  expect(log).toEqual(['run a', 'run b', 'done a', 'done b'])
  expect(rows()).toEqual(['a', 'b'])
})

it('takes back only the one that failed', async () => {
  await commit(inserting('a'), inserting('b', broken), inserting('c'))
  expect(log).toEqual(['run a', 'run b', 'run c', 'done a', 'failed b: broken', 'done c'])
  expect(rows()).toEqual(['a', 'c'])
})

it('takes back the one that broke a constraint', async () => {
  await commit(inserting('a'), inserting('a'), inserting('c'))
  expect(log.filter((line) => line.startsWith('failed'))).toHaveLength(1)
  expect(rows()).toEqual(['a', 'c'])
})

describe('when the transaction as a whole fails', () => {
  it('runs each again on its own: one full disk does not fail the others', async () => {
    // What SQLite does by itself on a full disk.
    const endTransaction = () => {
      database.exec('rollback')
      throw new Error('full')
    }
    await commit(inserting('a'), inserting('b', endTransaction), inserting('c'))
    expect(log.filter((line) => !line.startsWith('run'))).toEqual(['done a', 'failed b: full', 'done c'])
    expect(rows()).toEqual(['a', 'c'])
    expect(database.isTransaction).toBe(false)
  })

  it('does so when the commit fails, too', async () => {
    database.exec('create table child (x text references t (x) deferrable initially deferred)')
    database.exec('pragma foreign_keys = on')
    const orphan = inserting('b', () => database.exec("insert into child values ('none')"))
    await commit(inserting('a'), orphan)
    expect(log.filter((line) => !line.startsWith('run'))).toEqual(['done a', 'failed b: FOREIGN KEY constraint failed'])
    expect(rows()).toEqual(['a'])
  })
})

it('does nothing for nobody', async () => {
  await commit()
  expect(log).toEqual([])
})
