import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { describeDisk } from '../../../src/artifact/disk.ts'
import { packTarGz } from '../../../src/artifact/pack.ts'
import { Spool } from '../../../src/artifact/spool.ts'
import { StorageError } from '../../../src/lib/errors.ts'
import { tempDir } from '../../support/temp.ts'
import { packFile } from './support.ts'

const errno = (code: string) => Object.assign(new Error(`${code}: no`), { code, syscall: 'write' })

describe('what the disk refuses', () => {
  it.each([
    ['ENOSPC', 'disk_full'],
    ['EDQUOT', 'disk_full'],
    ['EROFS', 'read_only'],
    ['EACCES', 'read_only'],
    ['EIO', 'io'],
  ])('%s is told as %s', (code, expected) => {
    const error = describeDisk(errno(code), 'out')
    expect(error).toBeInstanceOf(StorageError)
    expect(error).toMatchObject({ code: expected, message: expect.stringContaining('cannot write out') })
  })

  it('other errors stay what they are', () => {
    const error = new TypeError('bug')
    expect(describeDisk(error, 'out')).toBe(error)
  })

  it('comes out of packing', async () => {
    const dir = join(tempDir('disk'), 'file')
    writeFileSync(dir, '')
    const packing = packTarGz([packFile('a', 'x')], join(dir, 'out'))
    await expect(packing).rejects.toMatchObject({
      name: 'StorageError',
      message: expect.stringContaining(`in ${dir}:`),
    })
  })

  it('comes out of unpacking, and names the folder', () => {
    const dir = join(tempDir('disk'), 'none')
    const message = `cannot write a file for work in progress in ${dir}: there is no such file or folder`
    expect(() => Spool.create(join(dir, 'a.spool'), 1)).toThrow(expect.objectContaining({ code: 'io', message }))
  })
})
