import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dropFromFolder } from '../../../../src/artifact/folder/folder.ts'
import { filesOf, listing, namesBelow, put, specOf } from './support.ts'

const nobody = async () => undefined

describe('mode: files', () => {
  it('takes away what the owner wrote, and the folders that were made for it', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': 'a', 'x/y/db.b': 'b' }))
    await put(spec, filesOf({ 'db.c': 'c', 'x/db.d': 'd' }, { owner: 'other' }))
    writeFileSync(join(spec.path, 'theirs'), 'of somebody else')
    expect((await dropFromFolder(spec, 'zones', nobody)).sort()).toEqual(['db.a', 'x/y/db.b'])
    expect(listing(spec.path)).toEqual({ 'db.c': 'c', 'x/db.d': 'd', theirs: 'of somebody else' })
    expect(existsSync(join(spec.path, 'x/y'))).toBe(false)
    expect(await dropFromFolder(spec, 'zones', nobody)).toEqual([])
    await dropFromFolder(spec, 'other', nobody)
    // It was in use when the owner that made it left.
    expect(namesBelow(spec.path)).toEqual(['theirs', 'x'])
  })

  it('tells whoever is to be told, again where it failed, and not where nothing was there', async () => {
    const spec = specOf()
    const told: string[] = []
    const tell = async () => void told.push('told')
    await dropFromFolder(spec, 'zones', tell)
    expect(told).toEqual([])
    await put(spec, filesOf({ 'db.a': 'a' }))
    await expect(dropFromFolder(spec, 'zones', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(listing(spec.path)).toEqual({})
    await dropFromFolder(spec, 'zones', tell)
    await dropFromFolder(spec, 'zones', tell)
    expect(told).toEqual(['told'])
  })

  it('goes through no link that somebody put in the way', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'x/db.a': 'a' }))
    const elsewhere = join(dirname(spec.path), 'elsewhere')
    mkdirSync(elsewhere)
    writeFileSync(join(elsewhere, 'db.a'), 'of somebody else')
    rmSync(join(spec.path, 'x'), { recursive: true })
    symlinkSync(elsewhere, join(spec.path, 'x'))
    await dropFromFolder(spec, 'zones', nobody)
    expect(listing(elsewhere)).toEqual({ 'db.a': 'of somebody else' })
  })

  it('finds nothing where there is no folder', async () => {
    expect(await dropFromFolder(specOf(), 'zones', nobody)).toEqual([])
  })
})

describe('mode: swap', () => {
  it('takes away the link and every version', async () => {
    const spec = specOf({ mode: 'swap' })
    await put(spec, filesOf({ 'db.a': 'a' }))
    await put(spec, filesOf({ 'db.b': 'b' }))
    expect(await dropFromFolder(spec, 'zones', nobody)).toEqual(['db.b'])
    expect(namesBelow(dirname(spec.path))).toEqual([])
  })

  it('goes on where an attempt before took only the link', async () => {
    const spec = specOf({ mode: 'swap' })
    await put(spec, filesOf({ 'db.a': 'a' }))
    await expect(dropFromFolder(spec, 'zones', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(existsSync(spec.path)).toBe(false)
    await dropFromFolder(spec, 'zones', nobody)
    expect(namesBelow(dirname(spec.path))).toEqual([])
  })

  it('leaves what another owner has there, and a link that is not ours', async () => {
    const spec = specOf({ mode: 'swap' })
    await put(spec, filesOf({ 'db.a': 'a' }, { owner: 'other' }))
    expect(await dropFromFolder(spec, 'zones', nobody)).toEqual([])
    expect(listing(spec.path)).toEqual({ 'db.a': 'a' })
    const foreign = specOf({ mode: 'swap' })
    symlinkSync('/etc', foreign.path)
    await expect(dropFromFolder(foreign, 'zones', nobody)).rejects.toMatchObject({ name: 'StorageError' })
  })
})
