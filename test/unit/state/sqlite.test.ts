import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { StorageError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createSqliteState } from '../../../src/state/sqlite/client.ts'
import { packError, sqliteError, unpackError } from '../../../src/state/sqlite/errors.ts'
import { tempDir } from '../../support/temp.ts'
import { openState } from './open.ts'

it('makes its folder', async () => {
  const path = join(tempDir('state'), 'made/for/it')
  const state = await openState(path)
  await state.facts.set('k', 'v')
  await state.close()
  expect(existsSync(join(path, 'state.db'))).toBe(true)
})

describe('files that somebody takes away below it', () => {
  for (const name of ['state.db', 'state.db-wal']) {
    it(`writes nothing that would be lost: ${name}`, async () => {
      const path = tempDir('state')
      const [file, elsewhere] = [join(path, name), join(tempDir('elsewhere'), name)]
      const state = await openState(path)
      await state.facts.set('k', 'before')
      renameSync(file, elsewhere)
      await expect(state.facts.set('k', 'meanwhile')).rejects.toMatchObject({
        code: 'io',
        message: `${file} was removed or replaced while longshore uses it: nothing can be kept`,
      })
      copyFileSync(elsewhere, file)
      await expect(state.facts.set('k', 'meanwhile')).rejects.toMatchObject({ code: 'io' })
      expect(await state.facts.get('k')).toBe('before')
      renameSync(elsewhere, file)
      await state.facts.set('k', 'after')
      await state.close()
      const again = await openState(path)
      expect(await again.facts.get('k')).toBe('after')
      await again.close()
    })
  }
})

describe('the lock', () => {
  it('refuses a second one, and says which folder and what to do', async () => {
    const path = tempDir('state')
    const state = await openState(path)
    const error = (await openState(path).catch((e: unknown) => e)) as StorageError
    expect(error).toBeInstanceOf(StorageError)
    expect(error).toMatchObject({ code: 'locked', message: expect.stringContaining(path) as string })
    expect(error.hint).toMatch(/Stop that one/)
    // Refusing must not have freed it.
    await expect(openState(path)).rejects.toMatchObject({ code: 'locked' })
    await state.close()
    await (await openState(path)).close()
  })

  it('is held against another process, and is free once that is killed', async () => {
    const path = tempDir('state')
    const program = `
      const { createSqliteState } = await import(${JSON.stringify(resolve('src/state/sqlite/client.ts'))})
      const state = await createSqliteState({ path: ${JSON.stringify(path)}, contentId: 'content-1', logger: console })
      await state.facts.set('k', 'v')
      process.stdout.write('ready')`
    const file = join(tempDir('program'), 'hold.mjs')
    writeFileSync(file, program)
    const child = spawn(process.execPath, [file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    try {
      await once(child.stdout, 'data')
      await expect(openState(path)).rejects.toMatchObject({ code: 'locked' })
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    const state = await openState(path)
    expect(await state.facts.get('k')).toBe('v')
    await state.close()
  })
})

describe('a state that somebody emptied', () => {
  const open = (path: string) =>
    createSqliteState({ path, contentId: 'content-1', mustExist: true, logger: silentLogger })

  it.each([
    ['cut to nothing', (path: string) => truncateSync(join(path, 'state.db'))],
    ['made anew', (path: string) => new DatabaseSync(join(path, 'state.db')).exec('pragma journal_mode = wal')],
  ])('%s, is not taken for a new one where there is content', async (_what, empty) => {
    const path = tempDir('state')
    await (await openState(path)).close()
    rmSync(join(path, 'state.db'))
    writeFileSync(join(path, 'state.db'), '')
    empty(path)
    await expect(open(path)).rejects.toMatchObject({
      ...{
        name: 'StorageError',
        code: 'corrupt',
        message: expect.stringMatching(/is empty, but there are blobs/) as string,
      },
      hint: expect.stringMatching(/^Restore a backup .*--rebuild-state/) as string,
    })
    await (await openState(path)).close()
    await (await open(path)).close()
  })
})

it('keeps something to give up again once it is closed', async () => {
  const path = tempDir('state')
  const state = await openState(path)
  rmSync(join(path, 'spare'))
  await state.close()
  expect(statSync(join(path, 'spare')).size).toBe(1024 ** 2)
})

describe('a folder that is not for us', () => {
  it('is refused when the state knows other content', async () => {
    const path = tempDir('state')
    await (await openState(path, 'mine')).close()
    const error = (await openState(path, 'yours').catch((e: unknown) => e)) as StorageError
    expect(error).toMatchObject({ name: 'StorageError', code: 'foreign' })
    expect(error.message).toContain('mine')
    // Nor is the lock left behind.
    await (await openState(path, 'mine')).close()
  })

  it('is refused when a newer longshore wrote the schema', async () => {
    const path = tempDir('state')
    await (await openState(path)).close()
    const database = new DatabaseSync(join(path, 'state.db'))
    database.exec('update schema_version set version = 999')
    database.close()
    const error = (await openState(path).catch((e: unknown) => e)) as StorageError
    expect(error).toMatchObject({ code: 'foreign', message: expect.stringContaining('999') as string })
    expect(error.hint).toMatch(/newer longshore/)
  })

  it('is refused when the database is none', async () => {
    const path = tempDir('state')
    writeFileSync(join(path, 'state.db'), 'this is no database, whatever its name says. '.repeat(100))
    await expect(openState(path)).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
  })

  it('is refused when it is no folder', async () => {
    const path = join(tempDir('state'), 'file')
    writeFileSync(path, '')
    await expect(openState(path)).rejects.toMatchObject({ name: 'StorageError', code: 'io' })
  })
})

describe('durability', () => {
  it('is WAL with full synchronisation and foreign keys', async () => {
    const { openDatabase } = await import('../../../src/state/sqlite/database.ts')
    const { raw } = openDatabase(join(tempDir('state'), 'x.db'))
    const pragma = (name: string) => Object.values(raw.prepare(`pragma ${name}`).get()!)[0]
    expect([pragma('journal_mode'), pragma('synchronous'), pragma('foreign_keys')]).toEqual(['wal', 2, 1])
    raw.close()
  })

  it('has room for its log from the start, so that a full disk does not stop it, and keeps it when it is used', async () => {
    const path = tempDir('state')
    const log = join(path, 'state.db-wal')
    const allocated = () => statSync(log).blocks * 512
    for (const text of ['one', 'two']) {
      const state = await openState(path)
      // And a start later has something to give up.
      expect(statSync(join(path, 'spare')).size).toBe(1024 ** 2)
      expect(allocated()).toBeGreaterThanOrEqual(4 * 1024 ** 2)
      for (let at = 0; at < 20; at++) await state.facts.set('k', `${text} ${at} ${'x'.repeat(200_000)}`)
      expect(allocated()).toBeGreaterThanOrEqual(4 * 1024 ** 2)
      await state.close()
    }
  })
})

describe('errors on their way between threads', () => {
  it.each([
    [13, 'disk_full'],
    [8, 'read_only'],
    [8 | (1 << 8), 'read_only'],
    [10 | (3 << 8), 'io'],
    [11, 'corrupt'],
    [26, 'corrupt'],
    [5, 'locked'],
    [14, 'io'],
  ])('SQLite’s %i arrives as %s', (errcode, code) => {
    const error = sqliteError(Object.assign(new Error('sqlite'), { errcode }), 'the operation x', '/data/state.db')
    const arrived = unpackError(structuredClone(packError(error)))
    expect(arrived).toBeInstanceOf(StorageError)
    expect(arrived).toMatchObject({ code, message: expect.stringContaining('/data/state.db') as string })
    expect((arrived as StorageError).hint).toBeTruthy()
  })

  it('a defect stays one', () => {
    const error = sqliteError(Object.assign(new Error('constraint failed'), { errcode: 19 }), 'x', '/y')
    const arrived = unpackError(structuredClone(packError(error)))
    expect(arrived).not.toBeInstanceOf(StorageError)
    expect(arrived.message).toBe('constraint failed')
  })
})
