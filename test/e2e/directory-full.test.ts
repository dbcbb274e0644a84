import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { putIntoFolder } from '../../src/artifact/folder/folder.ts'
import type { FolderSpec } from '../../src/artifact/folder/types.ts'
import { tempDir } from '../support/temp.ts'
import { filesOf, isSettled, namesBelow } from '../unit/artifact/folder/support.ts'
import { specOf } from '../support/put-into-folder.ts'

// A real disk of 4 MiB that runs full. Mounting needs root, as in CI's container.
const mayMount = canMount()

function canMount(): boolean {
  try {
    const folder = tempDir('mount')
    mount(folder)
    unmount(folder)
    return true
  } catch {
    process.stderr.write('skipped: a full disk: mounting a tmpfs needs root\n')
    return false
  }
}

function mount(folder: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', folder], { stdio: 'ignore' })
}

function unmount(folder: string): void {
  execFileSync('umount', [folder], { stdio: 'ignore' })
}

describe.runIf(mayMount)('a directory on a disk that is full', () => {
  let disk: string

  beforeEach(() => {
    disk = tempDir('full')
    mount(disk)
  })
  afterEach(() => unmount(disk))

  it.each(['files', 'swap'])(
    'keeps the older files whole, says so, and goes on when there is room: %s',
    async (mode) => {
      const spec: FolderSpec = specOf(join(disk, 'zones'), mode)
      const tell = async () => undefined
      const older = filesOf({ 'db.a': 'older', 'db.b': 'older' })
      await putIntoFolder(spec, older, tell)
      const ballast = join(disk, 'ballast')
      writeFileSync(ballast, randomBytes(2_500_000))
      const before = namesBelow(disk)
      const newer = filesOf({ 'db.a': 'newer', 'db.b': randomBytes(1_000_000).toString('hex') })
      await expect(putIntoFolder(spec, newer, tell)).rejects.toMatchObject({
        code: 'disk_full',
        message: `cannot write ${spec.path}: the disk is full`,
      })
      expect(namesBelow(disk)).toEqual(before)
      expect(readFileSync(join(spec.path, 'db.a'), 'utf8')).toBe('older')
      expect(await isSettled(spec, older)).toBe(true)
      rmSync(ballast)
      await putIntoFolder(spec, newer, tell)
      expect(await isSettled(spec, newer)).toBe(true)
    },
  )
})
