import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ensureAdminToken } from '../../../../src/server/guard/token-file.ts'
import { tempDir } from '../../../support/temp.ts'

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('the admin token of a data folder', () => {
  it('is made at the first start, for its owner alone, and stays', async () => {
    const folder = tempDir()
    const first = await ensureAdminToken(folder)
    expect(first).toMatchObject({ path: join(folder, 'token'), created: true })
    expect(first.secret.length).toBeGreaterThanOrEqual(43)
    expect(readFileSync(first.path, 'utf8').trim()).toBe(first.secret)
    expect(modeOf(first.path)).toBe('600')
    expect(await ensureAdminToken(folder)).toEqual({ ...first, created: false })
  })

  it('is taken as somebody wrote it, and closed to others', async () => {
    const path = join(tempDir(), 'token')
    writeFileSync(path, '  a-token-of-my-own-choice\n', { mode: 0o644 })
    expect(await ensureAdminToken(join(path, '..'))).toMatchObject({
      secret: 'a-token-of-my-own-choice',
      created: false,
    })
    expect(modeOf(path)).toBe('600')
  })

  it('is made anew when the file is empty, and refused when it is short', async () => {
    const path = join(tempDir(), 'token')
    writeFileSync(path, '\n')
    expect(await ensureAdminToken(join(path, '..'))).toMatchObject({ created: true })
    writeFileSync(path, 'short')
    await expect(ensureAdminToken(join(path, '..'))).rejects.toMatchObject({ name: 'ConfigError' })
  })

  it('says so when it cannot be written', async () => {
    await expect(ensureAdminToken(join(tempDir(), 'nowhere'))).rejects.toMatchObject({
      name: 'StorageError',
      code: 'io',
    })
  })
})
