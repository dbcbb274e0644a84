import { afterAll, beforeAll } from 'vitest'
import type { State } from '../../src/state/state.ts'
import { needs } from '../support/components.ts'
import { openPostgresState, startPostgres, type PostgresServer } from '../support/postgres.ts'
import { testState } from './state.ts'

needs('postgresql')('the state in Postgres', () => {
  let server: PostgresServer
  /** Databases that nobody uses at the moment. */
  const free: string[] = []
  const urls = new WeakMap<State, string>()

  beforeAll(async () => {
    server = await startPostgres()
  })

  afterAll(() => server.stop())

  async function open(url: string): Promise<State> {
    const opened = await openPostgresState(url)
    const state: State = { ...opened, close: () => opened.close().then(() => void free.push(url)) }
    urls.set(state, url)
    return state
  }

  testState('postgres', {
    async open() {
      const url = free.pop()
      if (url === undefined) return open(await server.createDatabase())
      await server.query(url, emptyAll)
      return open(url)
    },
    async reopen(state) {
      await state.close()
      return open(free.splice(free.indexOf(urls.get(state)!), 1)[0]!)
    },
  })
})

/** Faster than a new database for each test. */
const emptyAll = `do $$ begin execute (
  select 'truncate ' || string_agg(quote_ident(tablename), ', ') || ' restart identity'
  from pg_tables where schemaname = 'public' and tablename <> 'schema_version'
); end $$`
