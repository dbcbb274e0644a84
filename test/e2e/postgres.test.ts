import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { needs } from '../support/components.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startPostgres, type PostgresServer } from '../support/postgres.ts'
import { tempDir } from '../support/temp.ts'

const bundles = { authz: { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' } }

function policy(name: string): string {
  const folder = tempDir('policy')
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/policy.rego'), `package a\nimport rego.v1\nallow if input.${name}\n`)
  return folder
}

async function served(server: Longshore): Promise<Buffer> {
  const answer = await server.fetch('/bundles/authz')
  expect(answer.status).toBe(200)
  return Buffer.from(await answer.arrayBuffer())
}

async function push(server: Longshore, name: string): Promise<Buffer> {
  expect(await longshore(['push', policy(name), `${server.host}/policies/authz:latest`])).toMatchObject({ code: 0 })
  await server.look('authz')
  return served(server)
}

needs('postgresql')('longshore on Postgres', () => {
  let postgres: PostgresServer

  beforeAll(async () => {
    postgres = await startPostgres()
  })

  afterAll(() => postgres.stop())

  const configOf = (url: string) => ({
    state: { type: 'postgres', url, lease: { duration: '3s', renew: '1s' } },
    bundles,
  })

  it('serves what is pushed, and goes on with it after a restart; no SQLite besides', async () => {
    const url = await postgres.createDatabase()
    const first = await startLongshore({ config: configOf(url) })
    const bytes = await push(first, 'x')
    await first.stop()
    const second = await startLongshore({ config: configOf(url), folder: first.folder })
    expect((await served(second)).equals(bytes)).toBe(true)
    expect((await second.releases('authz')).map(({ number }) => number)).toEqual([1])
    await push(second, 'y')
    expect((await second.releases('authz')).map(({ number }) => number)).toEqual([2, 1])
    expect(readdirSync(join(first.folder, 'data')).filter((name) => name.startsWith('state'))).toEqual([])
    expect(second.process.output()).not.toContain('very-secret-word')
    await second.stop()
  })

  it('is collected, verified, backed up and restored, into a database and into a folder', async () => {
    const server = await startLongshore({ config: configOf(await postgres.createDatabase()) })
    await push(server, 'x')
    const bytes = await push(server, 'y')
    expect(await longshore(['pin', 'authz', '@2', '--server', server.url])).toMatchObject({ code: 0 })
    const backups = ['running', 'stopped'].map((name) => join(tempDir('backup'), name))
    expect(await longshore(['backup', backups[0]!, '-c', server.configFile])).toMatchObject({ code: 0, stderr: '' })
    // By the server that has the lease: no command takes it from it.
    expect(await longshore(['gc', '-c', server.configFile])).toMatchObject({ code: 0 })
    expect(await longshore(['verify-content', '-c', server.configFile])).toMatchObject({ code: 0 })
    await server.stop()
    for (const command of [['gc'], ['verify-content'], ['backup', backups[1]!]]) {
      expect(await longshore([...command, '-c', server.configFile])).toMatchObject({ code: 0 })
    }

    const restoring = [
      { from: backups[0]!, config: configOf(await postgres.createDatabase()) },
      { from: backups[1]!, config: { bundles } },
    ]
    for (const { from, config } of restoring) {
      const folder = tempDir('restored')
      const file = join(folder, 'longshore.json')
      writeFileSync(file, JSON.stringify({ content: { path: './data' }, ...config }))
      expect(await longshore(['restore', from, '-c', file])).toMatchObject({ code: 0 })
      const other = await startLongshore({ config, folder })
      expect((await served(other)).equals(bytes)).toBe(true)
      expect(await other.bundle('authz')).toMatchObject({ pin: { to: { release: 2 } } })
      await push(other, 'z')
      await other.stop()
      rmSync(join(folder, 'data'), { recursive: true })
      if (!('state' in config)) continue
      const again = await longshore(['restore', from, '-c', file])
      expect(again.code).not.toBe(0)
      expect(again.stderr).toMatch(/cannot restore into the database .*: there is a state already/)
    }
  })

  it('refuses a new database with a folder that has blobs, but for a rebuild; and another folder', async () => {
    const url = await postgres.createDatabase()
    const server = await startLongshore({ config: configOf(url) })
    const bytes = await push(server, 'x')
    await server.stop()
    server.writeConfig(configOf(await postgres.createDatabase()))
    const refused = await longshore(['serve', '-c', server.configFile])
    expect(refused.stderr).toMatch(/has blobs, but the state that says whose they are is gone/)
    const rebuilt = await startLongshore({
      config: configOf(await postgres.createDatabase()),
      folder: server.folder,
      args: ['--rebuild-state'],
    })
    expect((await served(rebuilt)).equals(bytes)).toBe(true)
    await rebuilt.stop()
    const twice = await longshore(['serve', '-c', rebuilt.configFile, '--rebuild-state'])
    expect(twice.stderr).toMatch(/cannot rebuild the state in the database: there is one/)

    const elsewhere = tempDir('elsewhere')
    const file = join(elsewhere, 'longshore.json')
    writeFileSync(file, JSON.stringify({ content: { path: './data' }, ...configOf(url) }))
    const foreign = await longshore(['serve', '-c', file])
    expect(foreign.code).toBe(1)
    expect(foreign.stderr).toMatch(/belongs to content [0-9a-f-]+, but was given content/)
    expect(foreign.stderr).not.toContain('very-secret-word')
  })

  it('shares its folder with nobody whose state is in there', async () => {
    const server = await startLongshore({ config: configOf(await postgres.createDatabase()) })
    server.writeConfig({ bundles })
    const other = await longshore(['serve', '-c', server.configFile])
    expect(other.stderr).toMatch(/in use by another longshore/)
    await server.stop()
  })
})
