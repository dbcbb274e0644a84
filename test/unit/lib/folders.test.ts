import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { diskReason } from '../../../src/lib/disk.ts'
import { makeFolders } from '../../../src/lib/folders.ts'
import { tempDir } from '../../support/temp.ts'

it('makes what is missing, and says from where on', async () => {
  const root = tempDir('folders')
  expect(await makeFolders(join(root, 'a/b/c'), 0o700)).toBe(join(root, 'a'))
  expect(statSync(join(root, 'a/b/c')).mode & 0o777).toBe(0o700)
  expect(await makeFolders(join(root, 'a/b'))).toBeUndefined()
  symlinkSync('a', join(root, 'link'))
  expect(await makeFolders(join(root, 'link/b/d'))).toBe(join(root, 'link/b/d'))
})

it('makes them beside somebody who makes the same', async () => {
  const path = join(tempDir('folders'), 'a/b/c/d')
  await Promise.all(Array.from({ length: 8 }, () => makeFolders(path)))
  expect(statSync(path).isDirectory()).toBe(true)
})

// Node's own never comes back from there, and holds a thread for ever.
it.each(['/proc/longshore', '/proc/longshore/a/b', '/proc/1/longshore', '/sys/longshore'])(
  'fails where none can be made: %s',
  async (path) => {
    const error = await makeFolders(path).catch((why: unknown) => why)
    expect(error).toBeInstanceOf(Error)
    expect(diskReason(error).why).toMatch(
      /^(?:no folder can be made there|permission was denied|the file system is read-only)$/,
    )
  },
)

it('fails where something else is', async () => {
  const root = tempDir('folders')
  writeFileSync(join(root, 'file'), '')
  mkdirSync(join(root, 'folder'))
  symlinkSync('nowhere', join(root, 'folder/link'))
  for (const path of ['file', 'folder/link', 'folder/link/a']) {
    const error = await makeFolders(join(root, path)).catch((why: unknown) => why)
    expect(diskReason(error).why).toBe('something else is there already')
  }
  const below = await makeFolders(join(root, 'file/a')).catch((why: unknown) => why)
  expect(diskReason(below).why).toBe('a file is where a folder must be')
})

it('says what it knows no word for by its code', () => {
  const error = Object.assign(new Error('EXDEV: cross-device link'), { code: 'EXDEV', syscall: 'link' })
  expect(diskReason(error)).toEqual({ code: 'io', why: 'EXDEV' })
  expect(diskReason(new Error('odd'))).toEqual({ code: 'io', why: 'odd' })
})
