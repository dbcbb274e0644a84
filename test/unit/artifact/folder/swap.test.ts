import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RemoteError } from '../../../../src/lib/errors.ts'
import { tempDir } from '../../../support/temp.ts'
import { file, tarGz } from '../support.ts'
import { blobs, contentOf, filesOf, isSettled, listing, namesBelow, put, specOf } from './support.ts'

function swapSpec(path = join(tempDir('place'), 'zones')) {
  return specOf({ path, mode: 'swap' })
}

/** The folders of versions, beside the link. */
function versions(path: string): string[] {
  const own = join(dirname(path), '.longshore')
  const home = readdirSync(own).find((name) => name.startsWith('swap-'))!
  return readdirSync(join(own, home)).filter((name) => /^[0-9a-f]{16}$/.test(name))
}

describe('a folder that is swapped', () => {
  it('is a link to a new folder each time', async () => {
    const spec = swapSpec()
    const [one, two] = [filesOf({ 'db.a': '1', 'in/db.b': '1' }), filesOf({ 'db.a': '2', 'db.c': '2' })]
    expect(await isSettled(spec, one)).toBe(false)
    expect(await put(spec, one)).toEqual({ written: ['db.a', 'in/db.b'], removed: [] })
    expect(listing(spec.path)).toEqual({ 'db.a': '1', 'in/db.b': '1' })
    expect(await isSettled(spec, one)).toBe(true)
    const first = readlinkSync(spec.path)
    expect(await put(spec, two)).toEqual({ written: ['db.a', 'db.c'], removed: ['in/db.b'] })
    expect(listing(spec.path)).toEqual({ 'db.a': '2', 'db.c': '2' })
    expect(readlinkSync(spec.path)).not.toBe(first)
    expect(await isSettled(spec, one)).toBe(false)
    expect(await isSettled(spec, two)).toBe(true)
  })

  it('keeps the version before for whoever is reading it, and no older one', async () => {
    const spec = swapSpec()
    for (const text of ['1', '2', '3', '4']) await put(spec, filesOf({ 'db.a': text }))
    const found = versions(spec.path).map(
      (id) => listing(join(dirname(join(dirname(spec.path), readlinkSync(spec.path))), id))['db.a'],
    )
    expect(found.sort()).toEqual(['3', '4'])
  })

  it('leads nowhere outside: the link is relative, so that it stands wherever the folder above is mounted', async () => {
    const spec = swapSpec()
    await put(spec, filesOf({ 'db.a': '1' }))
    expect(readlinkSync(spec.path)).toMatch(/^\.longshore\/swap-[0-9a-f]{16}\/[0-9a-f]{16}$/)
  })

  it('is not swapped for what is there already', async () => {
    const spec = swapSpec()
    const content = filesOf({ 'db.a': '1' })
    await put(spec, content)
    const before = readlinkSync(spec.path)
    expect(await put(spec, content)).toEqual({ written: [], removed: [] })
    expect(readlinkSync(spec.path)).toBe(before)
  })

  it.each([
    ['changed a file', (path: string) => writeFileSync(join(path, 'db.a'), '9')],
    ['removed a file', (path: string) => rmSync(join(path, 'db.a'))],
    ['removed the link', (path: string) => rmSync(path)],
  ])('is put right where somebody %s', async (_what, spoil) => {
    const spec = swapSpec()
    const content = filesOf({ 'db.a': '1' })
    await put(spec, content)
    spoil(spec.path)
    expect(await isSettled(spec, content)).toBe(false)
    await put(spec, content)
    expect(listing(spec.path)).toEqual({ 'db.a': '1' })
    expect(await isSettled(spec, content)).toBe(true)
  })

  it('unpacks, and writes the same folder twice in different forms', async () => {
    const spec = swapSpec()
    const layer = blobs.unpackable('.', tarGz(file('db.a', 'a')))
    await put(spec, contentOf([layer]))
    const tarball = contentOf([layer], { form: 'tarball', parts: [{ type: 'file', layer, path: 'zones.tar.gz' }] })
    expect(await isSettled(spec, tarball)).toBe(false)
    await put(spec, tarball)
    expect(Object.keys(listing(spec.path))).toEqual(['zones.tar.gz'])
  })

  it.each([
    ['a folder', (path: string) => mkdirSync(path), /it is a folder, and mode: swap puts a link there/],
    ['a file', (path: string) => writeFileSync(path, ''), /it is a file, and mode: swap puts a link there/],
    ['a link', (path: string) => symlinkSync('/tmp', path), /it is a link to \/tmp, which longshore did not make/],
  ])('is refused where somebody has %s', async (_what, make, why) => {
    const spec = swapSpec()
    make(spec.path)
    await expect(put(spec, filesOf({ 'db.a': '1' }))).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(why),
      hint: expect.any(String),
    })
    expect(lstatSync(spec.path)).toBeDefined()
  })

  it('belongs to one owner', async () => {
    const spec = swapSpec()
    await put(spec, filesOf({ 'db.a': '1' }, { owner: 'one' }))
    await expect(put(spec, filesOf({ 'db.b': '1' }, { owner: 'two' }))).rejects.toMatchObject({
      message: expect.stringMatching(/one is there, and two may not take its place/),
    })
  })

  it('is not written into by mode: files', async () => {
    const spec = swapSpec()
    await put(spec, filesOf({ 'db.a': '1' }))
    await expect(put({ ...spec, mode: 'files' }, filesOf({ 'db.a': '2' }))).rejects.toMatchObject({
      message: expect.stringMatching(/which mode: swap made/),
    })
    expect(listing(spec.path)).toEqual({ 'db.a': '1' })
  })

  it('stays as it was when a blob cannot be had; nothing is left', async () => {
    const spec = swapSpec()
    const good = filesOf({ 'db.a': '1' })
    await put(spec, good)
    const before = namesBelow(dirname(spec.path))
    const bad = filesOf({ 'db.b': '2' })
    bad.source = {
      // eslint-disable-next-line require-yield
      async *blob() {
        throw new RemoteError('not_found', 'gone', { host: 'test' })
      },
    }
    await expect(put(spec, bad)).rejects.toMatchObject({ code: 'not_found' })
    expect(namesBelow(dirname(spec.path))).toEqual(before)
    expect(await isSettled(spec, good)).toBe(true)
  })

  it('tells again until it was told', async () => {
    const spec = swapSpec()
    const content = filesOf({ 'db.a': '1' })
    let told = 0
    const tell = async () => {
      told += 1
      if (told < 2) throw new Error('the reader does not answer')
    }
    await expect(put(spec, content, tell)).rejects.toThrow('does not answer')
    expect(await isSettled(spec, content)).toBe(false)
    await put(spec, content, tell)
    await put(spec, content, tell)
    expect(told).toBe(2)
    expect(existsSync(join(spec.path, 'db.a'))).toBe(true)
  })
})
