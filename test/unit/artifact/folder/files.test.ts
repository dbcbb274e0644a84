import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ledgerFile } from '../../../../src/artifact/folder/ledger.ts'
import { lookIntoFolder } from '../../../../src/artifact/folder/folder.ts'
import { RemoteError } from '../../../../src/lib/errors.ts'
import { tempDir } from '../../../support/temp.ts'
import { entry, file, tarGz } from '../support.ts'
import { blobs, contentOf, filesOf, isSettled, listing, namesBelow, put, specOf } from './support.ts'

describe('files in a folder', () => {
  it('writes each titled layer as its file, and says so', async () => {
    const spec = specOf()
    const content = filesOf({ 'db.example.org': 'a', 'internal/db.corp': 'b' })
    expect(await isSettled(spec, content)).toBe(false)
    expect(await put(spec, content)).toEqual({ written: ['db.example.org', 'internal/db.corp'], removed: [] })
    expect(listing(spec.path)).toEqual({ 'db.example.org': 'a', 'internal/db.corp': 'b' })
    expect(await isSettled(spec, content)).toBe(true)
  })

  it('looks without writing anything', async () => {
    const spec = specOf()
    expect(await lookIntoFolder(spec, 'zones')).toBeUndefined()
    expect(existsSync(spec.path)).toBe(false)
  })

  it('unpacks a layer that is marked for it', async () => {
    const spec = specOf()
    const packed = blobs.unpackable('zones', tarGz(file('zones/db.a', 'a'), entry({ name: 'zones/run', mode: 0o755 })))
    await put(spec, contentOf([packed, blobs.titled('db.b', 'b')]))
    expect(listing(spec.path)).toEqual({ 'db.b': 'b', 'zones/db.a': 'a', 'zones/run': '' })
    expect(statSync(join(spec.path, 'zones/run')).mode & 0o777).toBe(0o755)
  })

  it('removes what the older artifact had, last, with the folders that it made', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': '1', 'old/db.b': '1', 'shared/db.c': '1' }))
    writeFileSync(join(spec.path, 'shared/own'), 'a person')
    const newer = filesOf({ 'db.a': '2', 'new/db.d': '2' })
    expect(await put(spec, newer)).toEqual({ written: ['db.a', 'new/db.d'], removed: ['old/db.b', 'shared/db.c'] })
    expect(listing(spec.path)).toEqual({ 'db.a': '2', 'new/db.d': '2', 'shared/own': 'a person' })
    expect(existsSync(join(spec.path, 'old'))).toBe(false)
    expect(await isSettled(spec, newer)).toBe(true)
  })

  it('leaves what it did not write', async () => {
    const spec = specOf()
    mkdirSync(join(spec.path, 'internal'), { recursive: true })
    writeFileSync(join(spec.path, 'db.mine'), 'mine')
    await put(spec, filesOf({ 'internal/db.a': 'a' }))
    await put(spec, filesOf({ 'db.b': 'b' }))
    expect(listing(spec.path)).toEqual({ 'db.b': 'b', 'db.mine': 'mine' })
    expect(existsSync(join(spec.path, 'internal'))).toBe(true)
  })

  it('does not touch a file that is as it is to be, and does not fetch it', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': 'same', 'db.b': '1' }))
    const before = statSync(join(spec.path, 'db.a'))
    const newer = filesOf({ 'db.a': 'same', 'db.b': '2' })
    expect(await put(spec, newer)).toEqual({ written: ['db.b'], removed: [] })
    expect(newer.fetched).toHaveLength(1)
    expect(statSync(join(spec.path, 'db.a'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })

  it('can go from a file to a folder of that name, and back', async () => {
    const spec = specOf()
    const [one, two] = [filesOf({ zone: 'a file' }), filesOf({ 'zone/db.a': 'a' })]
    await put(spec, one)
    await put(spec, two)
    expect(listing(spec.path)).toEqual({ 'zone/db.a': 'a' })
    await put(spec, one)
    expect(listing(spec.path)).toEqual({ zone: 'a file' })
    expect(await isSettled(spec, one)).toBe(true)
  })

  it('gives the modes that were asked for, whatever the umask', async () => {
    const spec = specOf({ fileMode: 0o640, folderMode: 0o750 })
    const content = filesOf({ 'internal/db.a': 'a' })
    await put(spec, content)
    expect(statSync(join(spec.path, 'internal/db.a')).mode & 0o777).toBe(0o640)
    expect(statSync(join(spec.path, 'internal')).mode & 0o777).toBe(0o750)
    expect(await isSettled({ ...spec, fileMode: 0o600 }, content)).toBe(false)
    await put({ ...spec, fileMode: 0o600 }, content)
    expect(statSync(join(spec.path, 'internal/db.a')).mode & 0o777).toBe(0o600)
  })

  it.runIf(process.getuid?.() === 0)('gives files and folders to whom they are to belong', async () => {
    const spec = specOf({ uid: 1234, gid: 1235 })
    const content = filesOf({ 'internal/db.a': 'a' })
    await put(spec, content)
    for (const path of ['internal/db.a', 'internal', '.'])
      expect(statSync(join(spec.path, path))).toMatchObject({ uid: 1234, gid: 1235 })
    expect(await isSettled({ ...spec, uid: 99 }, content)).toBe(false)
  })

  it('writes aside under names that no pattern for zones matches', async () => {
    const spec = specOf()
    const seen: string[] = []
    const content = filesOf({ 'db.a': 'a', 'internal/db.b': 'b' })
    const { blob } = content.source
    content.source = {
      blob(...args) {
        seen.push(...namesBelow(spec.path))
        return blob(...args)
      },
    }
    const packed = contentOf([blobs.unpackable('.', tarGz(file('db.c', 'c')))], { owner: 'other' })
    await put(spec, content)
    await put(spec, packed, async () => void seen.push(...namesBelow(spec.path)))
    const own = seen.filter((name) => name.startsWith('.longshore/')).map((name) => name.split('/').at(-1)!)
    expect(own).toContain('.0')
    // CoreDNS takes it for a zone wherever that stands in a name.
    expect(own.filter((name) => /db\.(.*)/.test(name))).toEqual([])
  })
})

describe('somebody else in the folder', () => {
  const change: [string, (path: string) => void][] = [
    ['changed a file', (path) => writeFileSync(join(path, 'db.a'), 'b')],
    ['changed a file, and set its time back', keepTime],
    ['replaced a file by one of its size', replace],
    ['removed a file', (path) => rmSync(join(path, 'db.a'))],
    ['changed its mode', (path) => chmodSync(join(path, 'db.a'), 0o600)],
    ['put a link in its place', link],
    ["put a folder in a link's place", (path) => moveFolder(path)],
  ]
  it.each(change)('%s: that is seen, and put right', async (_what, spoil) => {
    const spec = specOf()
    const content = filesOf({ 'db.a': 'a', 'internal/db.b': 'b' })
    await put(spec, content)
    spoil(spec.path)
    expect(await isSettled(spec, content)).toBe(false)
    if (_what.includes('folder')) {
      await expect(put(spec, content)).rejects.toMatchObject({
        code: 'io',
        message: expect.stringMatching(/internal: it is a link, and links are not followed/),
      })
      return
    }
    await put(spec, content)
    expect(listing(spec.path)).toEqual({ 'db.a': 'a', 'internal/db.b': 'b' })
    expect(await isSettled(spec, content)).toBe(true)
  })

  it('touched a file, which changes nothing', async () => {
    const spec = specOf()
    const content = filesOf({ 'db.a': 'a' })
    await put(spec, content)
    utimesSync(join(spec.path, 'db.a'), 1, 1)
    expect(await isSettled(spec, content)).toBe(true)
  })

  it('spoiled the ledger: that is said, with its name, and nothing is removed', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': 'a' }))
    const ledger = ledgerFile(spec.path, 'zones')
    const text = readFileSync(ledger, 'utf8')
    const outside = join(tempDir('outside'), 'precious')
    writeFileSync(outside, 'x')
    for (const bad of ['{', text.replace('db.a', '../'.repeat(9) + outside)]) {
      writeFileSync(ledger, bad)
      await expect(put(spec, filesOf({ 'db.b': 'b' }))).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining(ledger),
        hint: expect.stringMatching(/^Remove it/),
      })
    }
    expect(existsSync(outside)).toBe(true)
    rmSync(ledger)
    await put(spec, filesOf({ 'db.b': 'b' }))
  })
})

describe('what may not be written', () => {
  it.each(['../db.a', '/etc/db.a', 'a/../../b'])('%s leaves the folder', (title) => {
    expect(() => filesOf({ [title]: 'x' })).toThrowError(expect.objectContaining({ code: 'unsafe_path' }))
  })

  it('a layer without a title', () => {
    const untitled = blobs.layer('x', 'application/vnd.oci.image.layer.v1.tar')
    expect(() => contentOf([blobs.titled('db.a', 'a'), untitled])).toThrowError(
      expect.objectContaining({ code: 'unsupported_artifact', message: expect.stringMatching(/has no title/) }),
    )
  })

  it('a file of longshore’s own', async () => {
    await expect(put(specOf(), filesOf({ '.longshore/.ledger-x': 'x' }))).rejects.toMatchObject({ code: 'unsafe_path' })
  })

  it('through a link', async () => {
    const spec = specOf()
    const outside = tempDir('outside')
    mkdirSync(spec.path)
    symlinkSync(outside, join(spec.path, 'internal'))
    await expect(put(spec, filesOf({ 'internal/db.a': 'a' }))).rejects.toMatchObject({ code: 'io' })
    expect(listing(outside)).toEqual({})
  })

  it('through a link in place of our own folder', async () => {
    const spec = specOf()
    const outside = tempDir('outside')
    mkdirSync(spec.path)
    symlinkSync(outside, join(spec.path, '.longshore'))
    await expect(put(spec, filesOf({ 'db.a': 'a' }))).rejects.toMatchObject({ code: 'io' })
    expect(namesBelow(outside)).toEqual([])
  })

  it('where a link stands between the root and the path', async () => {
    const root = tempDir('root')
    const outside = tempDir('outside')
    symlinkSync(outside, join(root, 'internal'))
    const spec = specOf({ path: join(root, 'internal/zones'), within: root })
    await expect(put(spec, filesOf({ 'db.a': 'a' }))).rejects.toMatchObject({
      message: expect.stringMatching(/internal: it is a link/),
    })
    expect(namesBelow(outside)).toEqual([])
  })

  it('the root itself may be a link: whoever named it meant that', async () => {
    const folder = tempDir('real')
    const root = join(tempDir('root'), 'link')
    symlinkSync(folder, root)
    await put(specOf({ path: join(root, 'internal'), within: root }), filesOf({ 'db.a': 'a' }))
    expect(listing(folder)).toEqual({ 'internal/db.a': 'a' })
  })

  it('where somebody has a folder: nothing is changed then', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': '1' }))
    mkdirSync(join(spec.path, 'db.b'))
    await expect(put(spec, filesOf({ 'db.a': '2', 'db.b': '2' }))).rejects.toMatchObject({
      message: expect.stringMatching(/db\.b: it is a folder where a file must be/),
    })
    expect(listing(spec.path)).toEqual({ 'db.a': '1' })
  })
})

describe('several in one folder', () => {
  it('share it where no file overlaps, each with its own files', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': '1', 'internal/db.b': '1' }, { owner: 'one' }))
    await put(spec, filesOf({ 'db.c': '2', 'internal/db.d': '2' }, { owner: 'two' }))
    await put(spec, filesOf({ 'db.a': '3' }, { owner: 'one' }))
    expect(listing(spec.path)).toEqual({ 'db.a': '3', 'db.c': '2', 'internal/db.d': '2' })
  })

  it.each([
    ['the same file', 'zones', { 'db.a': 'x' }, 'zones', { 'db.b': 'y', 'db.a': 'y' }],
    ['a file in a folder above', 'zones', { 'in/db.a': 'x' }, 'zones/in', { 'db.a': 'y' }],
    ['a file in a folder below', 'zones/in', { 'db.a': 'x' }, 'zones', { 'in/db.a': 'y' }],
    ['a file where there is a folder', 'zones', { 'in/db.a': 'x' }, 'zones', { in: 'y' }],
    ['a folder where there is a file', 'zones', { in: 'x' }, 'zones', { 'in/db.a': 'y' }],
  ])('are refused with %s, by the names of both', async (_what, first, one, second, two) => {
    const root = tempDir('root')
    await put(specOf({ path: join(root, first) }), filesOf(one, { owner: 'one' }))
    const before = listing(root)
    const refused = put(specOf({ path: join(root, second) }), filesOf(two, { owner: 'two' }))
    await expect(refused).rejects.toMatchObject({
      code: 'overlap',
      message: expect.stringMatching(/^two and one both have a file at .*: two is not written$/),
      hint: expect.stringContaining('.longshore/.ledger-'),
    })
    expect(listing(root)).toEqual(before)
  })
})

describe('an attempt that fails or is cut short', () => {
  it('leaves the older files whole when a blob cannot be had, and nothing of its own', async () => {
    const spec = specOf()
    const good = filesOf({ 'db.a': '1' })
    await put(spec, good)
    const before = namesBelow(spec.path)
    const bad = filesOf({ 'db.a': '2', 'db.b': '2' })
    const { blob } = bad.source
    bad.source = {
      async *blob(descriptor, signal) {
        if (bad.fetched.length === 1) throw new RemoteError('not_found', 'gone', { host: 'test' })
        yield* blob(descriptor, signal)
      },
    }
    await expect(put(spec, bad)).rejects.toMatchObject({ code: 'not_found' })
    expect(namesBelow(spec.path)).toEqual(before)
    expect(await isSettled(spec, good)).toBe(true)
  })

  it('tells again until it was told, and not when nothing changed', async () => {
    const spec = specOf()
    const content = filesOf({ 'db.a': '1' })
    let told = 0
    const tell = async () => {
      told += 1
      if (told < 3) throw new Error('the reader does not answer')
    }
    await expect(put(spec, content, tell)).rejects.toThrow('does not answer')
    expect(await isSettled(spec, content)).toBe(false)
    await expect(put(spec, content, tell)).rejects.toThrow('does not answer')
    expect(await put(spec, content, tell)).toEqual({ written: [], removed: [] })
    expect(await isSettled(spec, content)).toBe(true)
    await put(spec, content, tell)
    expect(told).toBe(3)
  })

  it('goes on from a ledger that says what may have been written', async () => {
    const spec = specOf()
    await put(spec, filesOf({ 'db.a': '1', 'db.old': '1' }))
    const ledger = ledgerFile(spec.path, 'zones')
    const half = { ...JSON.parse(readFileSync(ledger, 'utf8')), state: 'writing', incoming: ['db.a', 'db.half'] }
    writeFileSync(ledger, JSON.stringify(half))
    for (const name of ['db.a', 'db.half']) writeFileSync(join(spec.path, name), 'half-way')
    const left = join(spec.path, '.longshore', `work-${ledger.slice(-16)}`)
    mkdirSync(left)
    writeFileSync(join(left, '.0'), 'left')
    const content = filesOf({ 'db.a': '3' })
    await put(spec, content)
    expect(listing(spec.path)).toEqual({ 'db.a': '3' })
    expect(existsSync(left)).toBe(false)
    expect(await isSettled(spec, content)).toBe(true)
  })
})

function keepTime(path: string): void {
  const { atime, mtime } = statSync(join(path, 'db.a'))
  writeFileSync(join(path, 'db.a'), 'changed')
  utimesSync(join(path, 'db.a'), atime, mtime)
}

function replace(path: string): void {
  writeFileSync(join(path, 'new'), 'b')
  renameSync(join(path, 'new'), join(path, 'db.a'))
}

function link(path: string): void {
  rmSync(join(path, 'db.a'))
  symlinkSync(join(path, 'internal/db.b'), join(path, 'db.a'))
}

function moveFolder(path: string): void {
  const elsewhere = join(tempDir('elsewhere'), 'internal')
  mkdirSync(elsewhere)
  writeFileSync(join(elsewhere, 'db.b'), 'b')
  rmSync(join(path, 'internal'), { recursive: true })
  symlinkSync(elsewhere, join(path, 'internal'))
}
