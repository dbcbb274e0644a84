import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { unpackArtifact } from '../../../src/artifact/unpack.ts'
import { IntegrityError, StorageError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociIndex } from '../../../src/oci/media.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { tempDir } from '../../support/temp.ts'
import { entry, file, folder, image, limits, refusal, tarGz, TestBlobs } from './support.ts'

const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
const blobs = new TestBlobs()

const source = {
  async *blob(descriptor: Descriptor) {
    yield readFileSync(await blobs.file(descriptor.digest))
  },
}

function unpack(layers: Descriptor[], into: string) {
  return unpackArtifact(image(layers), source, into, { limits })
}

function listing(path: string): Record<string, string> {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).filter((one) => !one.isDirectory())
  return Object.fromEntries(
    entries
      .map((one) => join(one.parentPath, one.name))
      .map((name) => [name.slice(path.length + 1), readFileSync(name, 'utf8')] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}

describe('unpacking an artifact', () => {
  it('makes a file of each titled layer', async () => {
    const into = join(tempDir('pull'), 'new/folder')
    const paths = await unpack([blobs.titled('zones/db.a', 'a'), blobs.titled('b.tar.gz', 'b', gzip)], into)
    expect(paths).toEqual(['b.tar.gz', 'zones/db.a'])
    expect(listing(into)).toEqual({ 'b.tar.gz': 'b', 'zones/db.a': 'a' })
  })

  it('stays in a folder that is there, though empty: it may be where somebody stands, or a mount point', async () => {
    const into = tempDir('pull')
    const { ino } = statSync(into)
    await unpack([blobs.titled('zones/db.a', 'a')], into)
    expect(statSync(into).ino).toBe(ino)
    expect(listing(into)).toEqual({ 'zones/db.a': 'a' })
  })

  it('unpacks a layer that is marked for it', async () => {
    const into = join(tempDir('pull'), 'out')
    await unpack(
      [blobs.unpackable('p', tarGz(file('p/a.rego', 'package a'), file('p/sub/b', 'b'))), blobs.titled('c', 'c')],
      into,
    )
    expect(listing(into)).toEqual({ c: 'c', 'p/a.rego': 'package a', 'p/sub/b': 'b' })
  })

  it('unpacks an untitled bundle, as OPA writes it', async () => {
    const into = join(tempDir('pull'), 'out')
    await unpack([blobs.layer(tarGz(file('/data.json', '{}'), file('/a/p.rego', 'package a')), gzip)], into)
    expect(listing(into)).toEqual({ 'a/p.rego': 'package a', 'data.json': '{}' })
  })

  it('lays the layers of an image on each other', async () => {
    const into = join(tempDir('pull'), 'out')
    const docker = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
    await unpack(
      [
        blobs.layer(tarGz(file('a', '1'), file('b', '1')), docker),
        blobs.layer(tarGz(file('.wh.a', ''), file('b', '2')), docker),
      ],
      into,
    )
    expect(listing(into)).toEqual({ b: '2' })
  })

  it('keeps what is executable, and nothing else of the modes', async () => {
    const into = join(tempDir('pull'), 'out')
    const layer = tarGz(entry({ name: 'run', mode: 0o4777 }), entry({ name: 'read', mode: 0o666 }))
    await unpack([blobs.unpackable('.', layer)], into)
    const modes = ['run', 'read'].map((name) => statSync(join(into, name)).mode & 0o7777)
    const allowed = ~process.umask()
    expect(modes).toEqual([0o755 & allowed, 0o644 & allowed])
  })

  it('leaves other files of a folder alone and replaces its own', async () => {
    const into = folder({ 'zones/db.a': 'old', 'zones/own': 'own', other: 'other' })
    await unpack([blobs.titled('zones/db.a', 'new'), blobs.titled('zones/sub/db.b', 'b')], into)
    expect(listing(into)).toEqual({ other: 'other', 'zones/db.a': 'new', 'zones/own': 'own', 'zones/sub/db.b': 'b' })
  })

  it('follows the folder that the user names, if that is a link', async () => {
    const real = folder({ keep: '1' })
    const link = join(tempDir('pull'), 'link')
    symlinkSync(real, link)
    await unpack([blobs.titled('a', '1')], link)
    expect(lstatSync(link).isSymbolicLink()).toBe(true)
    expect(listing(real)).toEqual({ a: '1', keep: '1' })
  })

  it('is not held back by limits on unpacking where nothing is unpacked', async () => {
    const into = join(tempDir('pull'), 'out')
    const raw = image([blobs.titled('big', 'x'.repeat(5000))])
    await unpackArtifact(raw, source, into, { limits: { ...limits, maxUnpackedBytes: 1000, maxFileBytes: 1000 } })
    expect(statSync(join(into, 'big')).size).toBe(5000)
  })
})

describe('never outside of the folder', () => {
  it.each(['../evil', '/tmp/evil', 'a/../../evil'])('by a title: %s', async (title) => {
    const into = join(tempDir('pull'), 'in/out')
    expect(await refusal(unpack([blobs.titled(title, '1')], into))).toMatchObject({ code: 'unsafe_path' })
    expect(existsSync(into)).toBe(false)
  })

  it.each([
    ['a name', file('../evil')],
    ['an absolute name', file('/tmp/evil')],
    ['a link', entry({ name: 'l', type: '2', edit: (header) => header.write('/tmp', 157) })],
    ['a hard link', entry({ name: 'l', type: '1', edit: (header) => header.write('../../victim', 157) })],
  ])('by %s in a layer that is marked for unpacking', async (_what, hostile) => {
    const into = join(tempDir('pull'), 'out')
    const refused = await refusal(unpack([blobs.unpackable('.', tarGz(hostile))], into))
    expect(refused).toMatchObject({ code: 'unsafe_path' })
    expect(existsSync(into)).toBe(false)
  })

  it('by names beside the title of such a layer', async () => {
    const into = join(tempDir('pull'), 'out')
    const refused = await refusal(unpack([blobs.unpackable('p', tarGz(file('q/x')))], into))
    expect(refused).toMatchObject({ code: 'unsafe_path', file: 'q/x' })
  })

  it('GHSA-8xwf-rjm4-xvhv: through a link that lies in the folder already', async () => {
    const outside = tempDir('outside')
    const into = folder({ keep: '1' })
    symlinkSync(outside, join(into, 'out'))
    for (const layer of [blobs.titled('out/evil', '1'), blobs.unpackable('out', tarGz(file('out/evil')))]) {
      await expect(unpack([blobs.titled('a', '1'), layer], into)).rejects.toThrow(StorageError)
    }
    expect(readdirSync(outside)).toEqual([])
    expect(readdirSync(into).sort()).toEqual(['keep', 'out'])
  })

  it('through a link in place of a file: the link is replaced', async () => {
    const outside = folder({ victim: 'before' })
    const into = folder({ keep: '1' })
    symlinkSync(join(outside, 'victim'), join(into, 'a'))
    await unpack([blobs.titled('a', 'new')], into)
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('before')
    expect(lstatSync(join(into, 'a')).isSymbolicLink()).toBe(false)
  })
})

describe('all or nothing', () => {
  it('when a blob is not what it should be', async () => {
    const into = tempDir('pull')
    writeFileSync(join(into, 'a'), 'before')
    const broken = {
      async *blob() {
        yield Buffer.from('half')
        throw new IntegrityError('digest_mismatch', 'not the bytes that were asked for')
      },
    }
    const promise = unpackArtifact(image([blobs.titled('a', '1')]), broken, into, { limits })
    expect(await refusal(promise)).toMatchObject({ code: 'digest_mismatch' })
    expect(listing(into)).toEqual({ a: 'before' })
  })

  it('when a folder stands where a file must be, or the reverse', async () => {
    const into = folder({ 'a/x': '1', b: '1' })
    await expect(unpack([blobs.titled('0-new', '1'), blobs.titled('a', '1')], into)).rejects.toThrow(StorageError)
    await expect(unpack([blobs.titled('0-new', '1'), blobs.titled('b/c', '1')], into)).rejects.toThrow(StorageError)
    expect(listing(into)).toEqual({ 'a/x': '1', b: '1' })
  })

  it('when the target is a file', async () => {
    const into = join(folder({ a: '1' }), 'a')
    await expect(unpack([blobs.titled('x', '1')], into)).rejects.toThrow(StorageError)
  })

  it('when the archive breaks a limit', async () => {
    const parent = tempDir('pull')
    const layer = blobs.unpackable('.', tarGz(file('zeros', Buffer.alloc(7 * 1024 * 1024))))
    expect(await refusal(unpack([layer], join(parent, 'out')))).toMatchObject({ code: 'bad_archive' })
    expect(readdirSync(parent)).toEqual([])
  })

  it('when it is aborted', async () => {
    const parent = tempDir('pull')
    const promise = unpackArtifact(image([blobs.titled('x', '1')]), source, join(parent, 'out'), {
      signal: AbortSignal.abort(new Error('enough')),
    })
    await expect(promise).rejects.toThrow()
    expect(readdirSync(parent)).toEqual([])
  })
})

describe('what cannot be unpacked', () => {
  it.each([
    ['an untitled layer, which is named', [blobs.titled('a', '1'), blobs.layer('2', 'text/plain')]],
    ['nothing', []],
    ['an empty layer', [blobs.layer('{}', 'application/vnd.oci.empty.v1+json')]],
    ['a title that names the folder', [blobs.titled('.', '1')]],
  ])('%s', async (_what, layers) => {
    expect(await refusal(unpack(layers, join(tempDir('pull'), 'out')))).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('an index, of which nothing was chosen', async () => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }))
    const promise = unpackArtifact({ mediaType: ociIndex, digest: digestOf(bytes), bytes }, source, tempDir('pull'))
    expect(await refusal(promise)).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('a folder that cannot be made', async () => {
    await expect(unpack([blobs.titled('a', '1')], '/proc/longshore/out')).rejects.toMatchObject({
      code: 'io',
      message: 'cannot write /proc/longshore/out: no folder can be made there',
      hint: 'Name one below a folder that can be written.',
    })
  })

  it('two layers with one title', async () => {
    mkdirSync(join(tempDir('pull'), 'x'))
    const refused = refusal(unpack([blobs.titled('a', '1'), blobs.titled('./a', '2')], join(tempDir('pull'), 'out')))
    expect(await refused).toMatchObject({ code: 'bad_archive', file: 'a' })
  })
})
