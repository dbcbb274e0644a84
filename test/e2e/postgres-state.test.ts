import { once } from 'node:events'
import { createServer } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StorageError } from '../../src/lib/errors.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { Secret } from '../../src/lib/secret.ts'
import { migrations } from '../../src/state/migrations/migrate.ts'
import { connect } from '../../src/state/postgres/connect.ts'
import { copyFromFile } from '../../src/state/postgres/copy.ts'
import { migratePostgres } from '../../src/state/postgres/migrate.ts'
import { createCertificates } from '../support/certs.ts'
import { needs } from '../support/components.ts'
import { frozenVersions, thaw } from '../support/frozen-state.ts'
import { freePort } from '../support/ports.ts'
import { openPostgresState, postgresOptions, startPostgres, type PostgresServer } from '../support/postgres.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

/** Of what cannot be opened: all that a person may see of it. */
async function refusal(opening: Promise<{ close(): Promise<void> }>): Promise<StorageError> {
  const error = await opening.then(
    async (state) => {
      await state.close()
      throw new Error('it opened')
    },
    (reason: unknown) => reason as StorageError,
  )
  expect(`${error.message} ${error.hint} ${error.stack}`).not.toContain('very-secret-word')
  return error
}

const swift = { reconnectTimeoutMs: 300, connectTimeoutMs: 1_000 }

needs('postgresql')('a Postgres', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres()
  })

  afterAll(() => server.stop())

  describe('that cannot be used says why, and what to do', () => {
    it('a wrong password, at once', async () => {
      const url = (await server.createDatabase()).replace('very-secret-word', 'another-word')
      const error = await refusal(openPostgresState(url))
      expect(error).toMatchObject({ name: 'StorageError', code: 'not_allowed' })
      expect(error.message).toMatch(
        /^opening the state failed in the database longshore_\d+ at 127\.0\.0\.1:\d+: it refused the login$/,
      )
      expect(`${error.message} ${error.hint}`).not.toContain('another-word')
    })

    it('a database that is not there, at once', async () => {
      const url = (await server.createDatabase()).replace(/\/longshore_\d+$/, '/nothing')
      expect(await refusal(openPostgresState(url))).toMatchObject({ code: 'no_database' })
    })

    it('one that nobody answers for, after a while', async () => {
      const port = await freePort()
      const error = await refusal(openPostgresState(`postgres://a:very-secret-word@127.0.0.1:${port}/d`, swift))
      expect(error).toMatchObject({ code: 'unreachable', hint: expect.stringMatching(/once it is back/) as string })
    })

    it('one that takes the connection and says nothing', async () => {
      const silent = createServer().listen(0, '127.0.0.1')
      await once(silent, 'listening')
      const { port } = silent.address() as { port: number }
      const error = await refusal(openPostgresState(`postgres://a:b@127.0.0.1:${port}/d`, swift))
      expect(error).toMatchObject({ code: 'unreachable' })
      silent.close()
    })

    it('a user who may not make tables', async () => {
      const url = await server.createDatabase()
      await server.query(url, "create user reader password 'very-secret-word'")
      const error = await refusal(openPostgresState(url.replace('postgres:very', 'reader:very')))
      expect(error).toMatchObject({ code: 'not_allowed', hint: expect.stringMatching(/ALTER DATABASE/) as string })
    })

    it('one that takes no writes, a replica for one', async () => {
      const url = await server.createDatabase()
      await server.query(
        url,
        `alter database ${url.slice(url.lastIndexOf('/') + 1)} set default_transaction_read_only = on`,
      )
      const error = await refusal(openPostgresState(url))
      expect(error).toMatchObject({ code: 'read_only', hint: 'Name the primary in state.url.' })
    })

    it('one without TLS, where it is asked for', async () => {
      const url = await server.createDatabase()
      expect(await refusal(openPostgresState(`${url}?sslmode=require`))).toMatchObject({ code: 'not_allowed' })
    })

    it('one of other content, and one that a newer longshore wrote', async () => {
      const url = await server.createDatabase()
      await (await openPostgresState(url, { contentId: 'mine' })).close()
      const other = await refusal(openPostgresState(url, { contentId: 'yours' }))
      expect(other).toMatchObject({
        code: 'foreign',
        message: expect.stringContaining('belongs to content mine') as string,
      })
      await server.query(url, 'update schema_version set version = 999')
      const newer = await refusal(openPostgresState(url, { contentId: 'mine' }))
      expect(newer).toMatchObject({ code: 'foreign', message: expect.stringContaining('schema version 999') as string })
    })
  })

  it('takes its password from a file, and a changed one for the next connection', async () => {
    const url = await server.createDatabase()
    const name = url.slice(url.lastIndexOf('/') + 1)
    await server.query(url, `create user filed password 'first-word'`)
    await server.query(url, `alter database ${name} owner to filed`)
    const file = join(tempDir('password'), 'word')
    writeFileSync(file, 'first-word\n')
    const redactor = new Redactor()
    const state = await openPostgresState(url.replace('postgres:very-secret-word', 'filed:unused-word'), {
      ...{ password: new Secret({ file }), redactor, lease: { durationMs: 60_000, renewMs: 20_000, pollMs: 50 } },
    })
    await state.facts.set('k', 'v')
    expect(redactor.redact('it is first-word')).toBe('it is ***')
    await server.query(url, `alter user filed password 'other-word'`)
    writeFileSync(file, 'other-word-now\n')
    writeFileSync(file, 'other-word\n')
    await server.query(url, `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'filed'`)
    await waitFor('the other word to be used', async () => {
      return (await state.facts.get('k')) === 'v' && redactor.redact('it is other-word') === 'it is ***'
    })
    await state.close()
  })

  it('is migrated once by many who start at once, though nobody keeps them apart', async () => {
    const url = await server.createDatabase()
    const all = await Promise.all(
      Array.from({ length: 4 }, () => connect(postgresOptions(url), { redactor: new Redactor() })),
    )
    await Promise.all(all.map(({ kysely, name }) => migratePostgres(kysely, name)))
    await Promise.all(all.map((database) => database.close()))
    expect(await server.query(url, 'select version from schema_version')).toEqual([{ version: migrations.length }])
    const [columns] = await server.query(
      url,
      `select count(*) filter (where data_type = 'text' and collation_name is distinct from 'C') as texts,
        count(*) filter (where data_type = 'integer' and table_name <> 'schema_version') as numbers
      from information_schema.columns where table_schema = 'public' and table_name <> 'leases'`,
    )
    expect(columns).toEqual({ texts: '0', numbers: '0' })
  })

  it.each(frozenVersions)('of version %s becomes what a new one is, and keeps its rows', async (version) => {
    const columnsOf = (url: string) =>
      server.query(
        url,
        `select table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity
        from information_schema.columns where table_schema = 'public' order by 1, 2`,
      )
    const indexesOf = (url: string) =>
      server.query(url, `select indexdef from pg_indexes where schemaname = 'public' order by 1`)
    const [old, fresh] = [await server.createDatabase(), await server.createDatabase()]
    const database = await connect(postgresOptions(old), { redactor: new Redactor() })
    await migratePostgres(database.kysely, 'old', migrations.slice(0, version))
    await database.kysely.transaction().execute((trx) => copyFromFile(trx, join(thaw(version), 'state.db')))
    await database.close()
    const state = await openPostgresState(old)
    expect(await state.facts.get('example')).toBe('there')
    expect(await state.bundles.current()).toMatchObject([{ bundle: 'authz', number: 1, kept: true }])
    expect(await state.deployments.list()).toMatchObject([{ place: 'prod', desired: 1, deployed: 1, state: 'done' }])
    // Numbers go on from where they were.
    const before = await state.events.newest()
    await state.decisions.hold(['new'], { by: 'ann', at: 1, reason: '' })
    expect(await state.events.newest()).toBe(before + 1)
    await state.close()
    await (await openPostgresState(fresh)).close()
    expect(await columnsOf(old)).toEqual(await columnsOf(fresh))
    expect(await indexesOf(old)).toEqual(await indexesOf(fresh))
  })

  it('leaves nothing of a migration that fails, and keeps those before it', async () => {
    const url = await server.createDatabase()
    const database = await connect(postgresOptions(url), { redactor: new Redactor() })
    const broken = {
      version: migrations.length + 1,
      up: async (db: Parameters<(typeof migrations)[0]['up']>[0]) => {
        await sql`create table half (x text)`.execute(db)
        await sql`nonsense`.execute(db)
      },
    }
    await expect(migratePostgres(database.kysely, 'x', [...migrations, broken])).rejects.toThrow(/nonsense/)
    await database.close()
    expect(await server.query(url, 'select version from schema_version')).toEqual([{ version: migrations.length }])
    expect(await server.query(url, "select to_regclass('half') as half")).toEqual([{ half: null }])
  })

  it('waits for its disk once for what is written at the same time', async () => {
    const url = await server.createDatabase()
    await (await openPostgresState(url)).close()
    const name = url.slice(url.lastIndexOf('/') + 1)
    await server.query(url, `alter database ${name} set log_statement = 'all'`)
    const state = await openPostgresState(url)
    /** So far: whatever was logged before the marker is read before it. */
    const commits = async (marker: string) => {
      await server.query(url, `select '${marker}'`)
      await waitFor(`${marker} in the log`, () => server.process.output().includes(marker))
      return server.process.output().split('LOG:  statement: commit').length
    }
    await state.facts.set('k', 'v')
    const before = await commits('before all')
    await Promise.all(Array.from({ length: 64 }, (_, at) => state.facts.set(`k${at}`, 'v')))
    const made = (await commits('after all')) - before
    expect(made).toBeGreaterThan(0)
    expect(made).toBeLessThanOrEqual(2)
    await state.close()
  })

  it('comes back after a restart: what is asked meanwhile waits, nothing that was answered is lost', async () => {
    const url = await server.createDatabase()
    const state = await openPostgresState(url, { reconnectTimeoutMs: 120_000 })
    for (const how of ['fast', 'immediate'] as const) {
      const answered = new Set<string>()
      let isDown = true
      const unsure: unknown[] = []
      const writing = (async () => {
        for (let at = 0; isDown || at % 10 !== 0; at++) {
          const key = `${how} ${at}`
          await state.facts.set(key, key).then(
            () => answered.add(key),
            (error: unknown) => unsure.push(error),
          )
        }
      })()
      await server.restart(how, async () => {
        const reading = state.facts.get('none')
        expect(await Promise.race([reading.then(() => 'answered'), Promise.resolve('waits')])).toBe('waits')
        void reading.catch(() => undefined)
      })
      isDown = false
      await writing
      expect(answered.size).toBeGreaterThan(0)
      for (const key of answered) expect(await state.facts.get(key)).toBe(key)
      // At most the one whose commit was under way when the connection broke.
      for (const error of unsure) {
        expect(error).toMatchObject({
          code: 'unreachable',
          message: expect.stringMatching(/may or may not have been done/) as string,
        })
      }
      expect(unsure.length).toBeLessThanOrEqual(1)
    }
    await state.lease.check()
    await state.close()
  })

  it('that stays away: what is asked fails after its time, and goes well again once it is back', async () => {
    const url = await server.createDatabase()
    const state = await openPostgresState(url, { reconnectTimeoutMs: 500 })
    await server.restart('fast', async () => {
      for (const asked of [state.facts.set('k', 'v'), state.facts.get('k')]) {
        await expect(asked).rejects.toMatchObject({ name: 'StorageError', code: 'unreachable' })
      }
    })
    await state.facts.set('k', 'w')
    expect(await state.facts.get('k')).toBe('w')
    await state.close()
  })
})

needs('postgresql')('TLS', () => {
  it('is spoken with whom the authority vouches for', async () => {
    const { ca, server: files } = await createCertificates()
    const server = await startPostgres({ tls: files })
    const url = await server.createDatabase()
    const byName = url.replace('127.0.0.1', 'localhost')
    const isEncrypted = async (state: Awaited<ReturnType<typeof openPostgresState>>) => {
      const [row] = await server.query(
        url,
        'select bool_and(ssl) as ssl from pg_stat_ssl join pg_stat_activity using (pid) where client_addr is not null',
      )
      await state.close()
      return row!.ssl
    }
    expect(await isEncrypted(await openPostgresState(url))).toBe(false)
    expect(await isEncrypted(await openPostgresState(`${url}?sslmode=require`))).toBe(true)
    expect(await isEncrypted(await openPostgresState(`${byName}?sslmode=verify-full&sslrootcert=${ca}`))).toBe(true)
    expect(await isEncrypted(await openPostgresState(byName, { tls: { ca, cert: null, key: null } }))).toBe(true)
    const strange = await refusal(openPostgresState(`${byName}?sslmode=verify-full`))
    expect(strange).toMatchObject({ code: 'not_allowed', hint: expect.stringMatching(/state\.tls\.ca/) as string })
    const missing = { ca: '/nothing/ca.pem', cert: null, key: null }
    expect(await refusal(openPostgresState(url, { tls: missing }))).toMatchObject({ name: 'ConfigError' })
    await server.stop()
  })
})
