import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { openLayout } from '../../../src/oci/layout.ts'
import { copy } from '../../../src/oci/copy.ts'
import type { Descriptor, Source } from '../../../src/oci/target.ts'
import { blobOf, descriptorOf, imageOf, indexOf, MemoryRepository } from '../../support/repository.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layout-'))
})
afterEach(() => rm(folder, { recursive: true }))

describe('openLayout', () => {
  it('makes an empty layout where it is told to, and leaves one that is there alone', async () => {
    const path = join(folder, 'new', 'one')
    await imageOf(await openLayout(path, { create: true }), ['x'], { tags: ['v1'] })
    expect(JSON.parse(await readFile(join(path, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' })
    const again = await openLayout(path, { create: true })
    expect(await all(again.tags())).toEqual(['v1'])
  })

  it('refuses a folder that is no layout, and names what is missing', async () => {
    await expect(openLayout(folder)).rejects.toMatchObject({ code: 'no_layout' })
    await expect(openLayout(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'no_layout' })
  })

  it.each([
    ['cut off', '{"schemaVersion":2,"manifests":['],
    ['empty', ''],
    ['without a list', '{"schemaVersion":2}'],
    ['with a bad digest', '{"manifests":[{"mediaType":"a/b","digest":"sha256:../../etc","size":1}]}'],
  ])('never takes an index that is %s for an empty one', async (_what, text) => {
    const layout = await openLayout(folder, { create: true })
    await writeFile(join(folder, 'index.json'), text)
    const corrupt = { code: 'corrupt' }
    await expect(openLayout(folder)).rejects.toMatchObject(corrupt)
    await expect(layout.head('v1')).rejects.toMatchObject(corrupt)
    await expect(imageOf(layout, ['x'], { tags: ['v1'] })).rejects.toMatchObject(corrupt)
    expect(await readFile(join(folder, 'index.json'), 'utf8')).toBe(text)
  })

  it('does not take a missing index for an empty one, nor an unknown version for ours', async () => {
    await openLayout(folder, { create: true })
    await rm(join(folder, 'index.json'))
    await expect(openLayout(folder)).rejects.toMatchObject({ code: 'corrupt' })
    await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
    await expect(openLayout(folder)).rejects.toMatchObject({ code: 'corrupt' })
  })
})

describe('a layout', () => {
  it('gives back what was put, by tag and by digest', async () => {
    const layout = await openLayout(folder, { create: true })
    const raw = await imageOf(layout, ['one', 'two'], { tags: ['v1', 'latest'] })
    expect(await layout.head('latest')).toMatchObject(descriptorOf(raw))
    expect(await layout.manifest(raw.digest)).toEqual(raw)
    expect(Buffer.concat(await all(layout.blob(blobOf('two')))).toString()).toBe('two')
    expect(await layout.hasBlob(blobOf('two'))).toBe(true)
    expect(await layout.hasBlob(blobOf('three'))).toBe(false)
    expect(await layout.head('v2')).toBeUndefined()
    expect(await layout.head(digestOf('nothing'))).toBeUndefined()
    await expect(layout.manifest('v2')).rejects.toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining('latest') as string,
    })
  })

  it('sees what another program writes meanwhile', async () => {
    const [ours, theirs] = [await openLayout(folder, { create: true }), await openLayout(folder)]
    const raw = await imageOf(theirs, ['x'], { tags: ['v1'] })
    expect(await ours.head('v1')).toMatchObject({ digest: raw.digest })
  })

  it('finds manifests by digest inside nested indexes', async () => {
    const layout = await openLayout(folder, { create: true })
    const image = await imageOf(layout, ['x'])
    const inner = await indexOf(layout, [image])
    await indexOf(layout, [inner], { tags: ['v1'] })
    for (const raw of [image, inner]) await layout.deleteManifest(raw.digest)
    expect(await layout.manifest(image.digest)).toEqual(image)
  })

  it('moves a tag, and keeps the manifest that it stood for, without it', async () => {
    const layout = await openLayout(folder, { create: true })
    const first = await imageOf(layout, ['1'], { tags: ['latest'] })
    const second = await imageOf(layout, ['2'], { tags: ['latest'] })
    expect((await layout.head('latest'))?.digest).toBe(second.digest)
    expect((await layout.head(first.digest))?.annotations).toBeUndefined()
    await layout.deleteTag('latest')
    expect(await all(layout.tags())).toEqual([])
    expect(await layout.head(second.digest)).toBeDefined()
    await layout.deleteManifest(second.digest)
    expect(await layout.head(second.digest)).toBeUndefined()
    await expect(layout.deleteTag('latest')).rejects.toMatchObject({ code: 'not_found' })
    await expect(layout.deleteManifest(second.digest)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('keeps fields of the index that it does not know', async () => {
    const layout = await openLayout(folder, { create: true })
    const raw = await imageOf(layout, ['x'], { tags: ['v1'] })
    const path = join(folder, 'index.json')
    const json = JSON.parse(await readFile(path, 'utf8')) as { manifests: object[] }
    const odd = { ...json, 'x-field': 1, manifests: json.manifests.map((entry) => ({ ...entry, 'x-entry': 2 })) }
    await writeFile(path, JSON.stringify(odd))
    await layout.deleteTag('v1')
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({
      'x-field': 1,
      manifests: [{ digest: raw.digest, 'x-entry': 2 }],
    })
  })

  it('writes at the same time lose nothing', async () => {
    const layout = await openLayout(folder, { create: true })
    const tags = Array.from({ length: 20 }, (_, at) => `v${at}`)
    await Promise.all(tags.map((tag) => imageOf(layout, [tag], { tags: [tag] })))
    expect(await all(layout.tags())).toEqual(tags.toSorted())
  })

  it('lists referrers, with their type', async () => {
    const layout = await openLayout(folder, { create: true })
    const image = await imageOf(layout, ['x'], { tags: ['v1'] })
    const signature = await imageOf(layout, ['s'], { subject: image, annotations: { by: 'me' } })
    const artifactType = 'application/vnd.oci.image.config.v1+json'
    expect(await layout.referrers(image.digest)).toEqual([
      { ...descriptorOf(signature), artifactType, annotations: { by: 'me' } },
    ])
    expect(await layout.referrers(image.digest, { artifactType: 'a/b' })).toEqual([])
    expect(await layout.referrers(signature.digest)).toEqual([])
  })

  it('lets no blob in that is not what it should be, and leaves nothing of it', async () => {
    const layout = await openLayout(folder, { create: true })
    const put = (descriptor: Descriptor, text: string) => layout.putBlob(descriptor, () => bytes(text))
    await expect(put(blobOf('right'), 'wrong')).rejects.toMatchObject({ code: 'digest_mismatch' })
    await expect(put(blobOf('right'), 'righteous')).rejects.toMatchObject({ code: 'size_mismatch' })
    await expect(put(blobOf('right'), 'rig')).rejects.toMatchObject({ code: 'size_mismatch' })
    const broken = async function* () {
      yield Buffer.from('ri')
      throw new Error('line cut')
    }
    await expect(layout.putBlob(blobOf('right'), broken)).rejects.toThrow('line cut')
    expect(await readdir(join(folder, 'ingest'))).toEqual([])
    expect(await readdir(join(folder, 'blobs', 'sha256'))).toEqual([])
  })

  it('lets no blob out that is not what it should be', async () => {
    const layout = await openLayout(folder, { create: true })
    const raw = await imageOf(layout, ['right'], { tags: ['v1'] })
    const place = (digest: string) => join(folder, 'blobs', 'sha256', digest.slice(7))
    await writeFile(place(blobOf('right').digest), 'wrong')
    await expect(all(layout.blob(blobOf('right')))).rejects.toMatchObject({ code: 'digest_mismatch' })
    await writeFile(place(blobOf('right').digest), 'right and more')
    await expect(all(layout.blob(blobOf('right')))).rejects.toMatchObject({ code: 'size_mismatch' })
    await rm(place(blobOf('right').digest))
    await expect(all(layout.blob(blobOf('right')))).rejects.toMatchObject({ code: 'not_found' })
    await writeFile(place(raw.digest), Buffer.from(raw.bytes).toString().replace('2', '3'))
    await expect(layout.manifest('v1')).rejects.toMatchObject({ code: 'digest_mismatch' })
  })

  it('says which disk error it was', async () => {
    const layout = await openLayout(folder, { create: true })
    await rm(join(folder, 'blobs'), { recursive: true })
    await writeFile(join(folder, 'blobs'), '')
    await expect(imageOf(layout, ['x'])).rejects.toMatchObject({ code: 'io', name: 'StorageError' })
    await rm(join(folder, 'blobs'))
    await mkdir(join(folder, 'blobs'))
    await imageOf(layout, ['x'])
  })

  it('is a source and a target for copies', async () => {
    const from: Source = new MemoryRepository('memory')
    const image = await imageOf(from as MemoryRepository, ['one'], { tags: ['v1'] })
    await imageOf(from as MemoryRepository, ['sig'], { subject: image })
    const layout = await openLayout(folder, { create: true })
    await copy(from, 'v1', layout, { tags: ['v1'], referrers: true })
    const back = new MemoryRepository('back')
    await copy(layout, 'v1', back, { tags: ['v1'], referrers: true })
    expect(back.tagged.get('v1')).toBe(image.digest)
    expect(back.manifests.size).toBe(2)
  })
})

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(source)
}

async function* bytes(text: string): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}
