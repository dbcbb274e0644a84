import { rmSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  dockerConfig,
  dockerLayerForeign,
  dockerManifest,
  ociConfig,
  ociIndex,
  ociLayerNondistributable,
  ociLayerTarGzip,
  ociManifest,
} from '../../../src/oci/media.ts'
import type { LocalRepository } from '../../../src/registry/types.ts'
import { collect, descriptor, from, image, index, openRegistry, push, rawOf, type Opened } from './open.ts'

let opened: Opened
let repository: LocalRepository

beforeEach(async () => {
  opened = await openRegistry()
  repository = opened.registry.repository('team/policies')
})

afterEach(() => opened.close())

describe('blobs', () => {
  it('are ingested, verified and visible in their repository only', async () => {
    const blob = await repository.ingestBlob(from('hello'), { digest: digestOf('hello') })
    expect(blob).toEqual({ digest: digestOf('hello'), size: 5 })
    expect(await repository.statBlob(blob.digest)).toEqual({ size: 5 })
    expect(await collect(repository.readBlob(blob.digest, { first: 1, last: 3 }))).toBe('ell')
    expect(await repository.blobFile(blob.digest)).toBe(await opened.content.file(blob.digest))
    const other = opened.registry.repository('other')
    expect(await other.statBlob(blob.digest)).toBeUndefined()
    await expect(other.blobFile(blob.digest)).rejects.toMatchObject({ code: 'not_found' })
    await expect(collect(other.blob({ ...blob, mediaType: 'x/y' }))).rejects.toMatchObject({ code: 'not_found' })
  })

  it('that are damaged are told of with the repository that was asked for them', async () => {
    const stream = new PassThrough()
    const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
    const logging = await openRegistry(undefined, { logger })
    const { digest } = await logging.registry.repository('team/b').ingestBlob(from('hello'), {})
    writeFileSync(await logging.content.file(digest), 'HELLO, changed')
    const reading = () => collect(logging.registry.repository('team/b').readBlob(digest))
    await expect(reading()).rejects.toMatchObject({ code: 'corrupt' })
    const line = JSON.parse(String(stream.read())) as Record<string, unknown>
    expect(line).toMatchObject({ repository: 'team/b', digest, msg: 'a stored blob is damaged or gone' })
    // However often somebody asks: it is gone by now, and told of again in an hour.
    await expect(reading()).rejects.toMatchObject({ code: 'corrupt' })
    expect(stream.read()).toBeNull()
    await logging.close()
  })

  it('have their use noted when somebody asks for them, once a minute', async () => {
    const { digest } = await repository.ingestBlob(from('x'), {})
    const usedAt = async () => (await opened.state.catalog.blob('team/policies', digest))!.usedAt - startedAt
    const startedAt = opened.clock.now()
    await opened.clock.advance(59_000)
    await repository.statBlob(digest)
    expect(await usedAt()).toBe(0)
    await opened.clock.advance(1_000)
    await repository.statBlob(digest)
    expect(await usedAt()).toBe(60_000)
    await opened.clock.advance(120_000)
    await repository.hasBlob({ mediaType: 'x/y', digest, size: 1 })
    expect(await usedAt()).toBe(180_000)
  })

  it('are served though their use cannot be noted', async () => {
    const { digest } = await repository.ingestBlob(from('x'), {})
    opened.state.catalog.useBlob = () => Promise.reject(new Error('the disk is full'))
    await opened.clock.advance(600_000)
    expect(await repository.statBlob(digest)).toEqual({ size: 1 })
  })

  it('that are refused are not visible', async () => {
    const digest = digestOf('hello')
    await expect(repository.ingestBlob(from('else'), { digest })).rejects.toMatchObject({ code: 'digest_mismatch' })
    expect(await repository.statBlob(digest)).toBeUndefined()
  })

  it('are mounted from where they are and may be read', async () => {
    const { digest } = await opened.registry.repository('has').ingestBlob(from('x'), {})
    expect(await repository.mount(digest, { from: 'lacks' })).toBe(false)
    expect(await repository.mount(digest, { readable: ['lacks'] })).toBe(false)
    expect(await repository.statBlob(digest)).toBeUndefined()
    expect(await repository.mount(digest, { readable: ['lacks', 'has'] })).toBe(true)
    expect(await repository.statBlob(digest)).toEqual({ size: 1 })
  })

  it('removed from one repository stay in the others', async () => {
    const { digest } = await repository.ingestBlob(from('x'), {})
    await opened.registry.repository('other').mount(digest, { from: 'team/policies' })
    expect(await repository.removeBlob(digest)).toBe(true)
    expect(await repository.removeBlob(digest)).toBe(false)
    expect(await repository.statBlob(digest)).toBeUndefined()
    expect(await opened.registry.repository('other').statBlob(digest)).toEqual({ size: 1 })
  })
})

describe('as a sink', () => {
  const blob = descriptor('hello', ociLayerTarGzip)

  it('takes blobs that match, and only those', async () => {
    expect(await repository.hasBlob(blob)).toBe(false)
    await expect(repository.putBlob({ ...blob, size: 4 }, () => from('hello'))).rejects.toMatchObject({
      code: 'size_mismatch',
    })
    expect(await repository.hasBlob(blob)).toBe(false)
    await repository.putBlob(blob, () => from('hello'))
    expect(await repository.hasBlob(blob)).toBe(true)
    expect(await collect(repository.blob(blob))).toBe('hello')
  })

  it('verifies blobs as they pass', async () => {
    await repository.putBlob(blob, () => from('hello'))
    await expect(collect(repository.blob({ ...blob, size: 3 }))).rejects.toMatchObject({ code: 'size_mismatch' })
    writeFileSync(await opened.content.file(blob.digest), 'jello')
    await expect(collect(repository.blob(blob))).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
  })

  it('mounts from a neighbour, and not from elsewhere', async () => {
    const neighbour = opened.registry.repository('neighbour')
    await neighbour.putBlob(blob, () => from('hello'))
    expect(await repository.mountBlob(blob, { ...neighbour })).toBe(false)
    expect(await repository.mountBlob({ ...blob, size: blob.size + 1 }, neighbour)).toBe(false)
    expect(await repository.mountBlob(blob, neighbour)).toBe(true)
    expect(await repository.hasBlob(blob)).toBe(true)
    expect(await repository.hasBlob({ ...blob, size: blob.size - 1 })).toBe(false)
  })

  it('is whole while manifest and blobs are there, in their sizes, and looking is no use of them', async () => {
    const manifest = await push(repository, 'hello', ['v1'])
    const before = await opened.state.catalog.blob('team/policies', digestOf('hello'))
    await opened.clock.advance(3_600_000)
    expect(await repository.isWhole(manifest.digest)).toBe(true)
    expect(await opened.state.catalog.blob('team/policies', digestOf('hello'))).toEqual(before)
    expect(await repository.isWhole(digestOf('unknown'))).toBe(false)
    expect(await opened.registry.repository('other').isWhole(manifest.digest)).toBe(false)
    const file = await opened.content.file(digestOf('hello'))
    writeFileSync(file, 'hell')
    expect(await repository.isWhole(manifest.digest)).toBe(false)
    writeFileSync(file, 'hello')
    expect(await repository.isWhole(manifest.digest)).toBe(true)
    rmSync(await opened.content.file(manifest.digest))
    expect(await repository.isWhole(manifest.digest)).toBe(false)
  })

  it('is not whole once the repository has a blob no more', async () => {
    const manifest = await push(repository, 'hello', ['v1'])
    await repository.removeBlob(digestOf('hello'))
    expect(await repository.isWhole(manifest.digest)).toBe(false)
  })

  it('lists tags, all of them, in order', async () => {
    const tags = Array.from({ length: 1_234 }, (_, at) => `v${String(at).padStart(4, '0')}`)
    await push(repository, 'x', tags)
    const found = []
    for await (const tag of repository.tags()) found.push(tag)
    expect(found).toEqual(tags)
    expect(await repository.tagPage({ after: 'v0002', limit: 2 })).toEqual(['v0003', 'v0004'])
  })

  it('says not_found for what is not there', async () => {
    expect(await repository.head('latest')).toBeUndefined()
    for (const use of [
      () => repository.manifest('latest'),
      () => repository.deleteTag('latest'),
      () => repository.deleteManifest(digestOf('x')),
    ])
      await expect(use()).rejects.toMatchObject({ name: 'RemoteError', code: 'not_found', status: 404 })
  })
})

describe('manifests', () => {
  it('come back byte for byte, by tag and by digest', async () => {
    const manifest = await push(repository, 'x', ['v1'], { annotations: { note: 'ü' } })
    expect(await repository.head('v1')).toEqual({
      mediaType: ociManifest,
      digest: manifest.digest,
      size: manifest.bytes.byteLength,
      annotations: { note: 'ü' },
    })
    for (const reference of ['v1', manifest.digest]) {
      const raw = await repository.manifest(reference)
      expect(raw).toEqual({ ...manifest, bytes: raw.bytes })
      expect(Buffer.compare(raw.bytes, manifest.bytes)).toBe(0)
    }
  })

  it('are not blobs of their repository', async () => {
    const manifest = await push(repository, 'x', ['v1'])
    expect(await repository.statBlob(manifest.digest)).toBeUndefined()
    await repository.ingestBlob(from(manifest.bytes), {})
    expect(await repository.statBlob(manifest.digest)).toBeDefined()
  })

  it('are refused with what is missing, and nothing is stored', async () => {
    await repository.ingestBlob(from('{}'), {})
    expect(await repository.put(image('x'), ['v1'])).toEqual({ missing: [digestOf('x')] })
    await expect(repository.putManifest(image('x'), ['v1'])).rejects.toMatchObject({
      name: 'IntegrityError',
      code: 'bad_manifest',
      message: expect.stringContaining(digestOf('x')) as string,
    })
    expect(await repository.head('v1')).toBeUndefined()
    expect(await repository.head(image('x').digest)).toBeUndefined()
    expect(opened.changes).toEqual([])
  })

  it.each([
    ['OCI', ociLayerNondistributable, ociConfig, ociManifest],
    ['Docker', dockerLayerForeign, dockerConfig, dockerManifest],
  ])('need no layers that must not be passed on (%s)', async (_what, layer, config, mediaType) => {
    await repository.ingestBlob(from('{}'), {})
    const manifest = rawOf(
      { schemaVersion: 2, mediaType, config: descriptor('{}', config), layers: [descriptor('windows', layer)] },
      mediaType,
    )
    expect(await repository.put(manifest, ['v1'])).toEqual({ missing: [], subject: null })
  })

  it('of indexes need their members, which may go later', async () => {
    const child = image('x')
    const list = index(child)
    expect(await repository.put(list, [])).toEqual({ missing: [child.digest] })
    await push(repository, 'x')
    expect(await repository.put(list, ['multi'])).toEqual({ missing: [], subject: null })
    expect(await repository.removeManifest(child.digest)).toBe(true)
    expect((await repository.manifest('multi')).mediaType).toBe(ociIndex)
  })

  it('never need their subject, and are listed as its referrers', async () => {
    const subject = { mediaType: ociManifest, digest: digestOf('none'), size: 4 }
    const typed = await push(repository, 'sig', [], {
      subject,
      artifactType: 'application/sig',
      annotations: { a: 'b' },
    })
    const plain = await push(repository, 'sbom', [], { subject })
    expect(await repository.put(typed, [])).toEqual({ missing: [], subject: subject.digest })
    const entry = { mediaType: ociManifest, digest: typed.digest, size: typed.bytes.byteLength }
    expect(await repository.listReferrers(subject.digest)).toEqual([
      { ...entry, artifactType: 'application/sig', annotations: { a: 'b' } },
      { ...entry, artifactType: ociConfig, digest: plain.digest, size: plain.bytes.byteLength },
    ])
    expect(await repository.referrers(subject.digest, { artifactType: ociConfig })).toHaveLength(1)
    expect(await repository.listReferrers(digestOf('nobody'))).toEqual([])
  })

  it.each([
    ['a type that is none', rawOf({ schemaVersion: 2 }, 'application/json'), 'bad_manifest'],
    ['another digest', { ...image('x'), digest: digestOf('else') }, 'digest_mismatch'],
    [
      'text that is no JSON',
      { mediaType: ociManifest, digest: digestOf('{'), bytes: Buffer.from('{') },
      'bad_manifest',
    ],
    ['an image that came as an index', { ...image('x'), mediaType: ociIndex }, 'bad_manifest'],
    [
      'a digest that is a path',
      image('x', { layers: [{ ...descriptor('x', 'a/b'), digest: '../../x' }] }),
      'bad_manifest',
    ],
  ])('are refused for %s', async (_what, raw, code) => {
    await expect(repository.put(raw, [])).rejects.toMatchObject({ name: 'IntegrityError', code })
  })

  it('of a foreign type are refused with the types that are taken', async () => {
    await expect(repository.put(rawOf({}, 'application/json'), [])).rejects.toMatchObject({
      hint: expect.stringContaining(ociManifest) as string,
    })
  })

  it('are stored under sha512 when that is how they are put', async () => {
    await repository.ingestBlob(from('{}'), {})
    await repository.ingestBlob(from('x'), { digest: digestOf('x', 'sha512') })
    const value = {
      schemaVersion: 2,
      config: descriptor('{}', ociConfig),
      layers: [descriptor('x', ociLayerTarGzip, 'sha512')],
    }
    const [short, long] = [rawOf(value), rawOf(value, ociManifest, 'sha512')]
    await repository.putManifest(long, ['v1'])
    expect((await repository.manifest('v1')).digest).toBe(long.digest)
    expect(await repository.head(short.digest)).toBeUndefined()
    await repository.putManifest(short, ['v2'])
    expect((await repository.head('v1'))!.digest).toBe(long.digest)
    expect((await repository.head(short.digest))!.digest).toBe(short.digest)
    expect(await opened.content.verify(long.digest)).toBe(true)
  })

  it('are read from memory the second time, but never when the repository lost them', async () => {
    const manifest = await push(repository, 'x', ['v1'])
    await repository.manifest('v1')
    rmSync(await opened.content.file(manifest.digest))
    expect((await repository.manifest('v1')).digest).toBe(manifest.digest)
    await repository.removeManifest(manifest.digest)
    await expect(repository.manifest(manifest.digest)).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('changes', () => {
  const of = (action: 'push' | 'delete', tag: string | null, digest: string) => ({
    repository: 'team/policies',
    action,
    tag,
    digest,
  })

  it('are told once per tag, once without', async () => {
    const { digest } = await push(repository, 'x', ['a', 'b'])
    const other = await push(repository, 'y')
    await repository.removeTag('a')
    await repository.removeTag('a')
    await repository.removeManifest(digest)
    await repository.removeManifest(other.digest)
    expect(opened.changes).toEqual([
      of('push', 'a', digest),
      of('push', 'b', digest),
      of('push', null, other.digest),
      of('delete', 'a', digest),
      of('delete', 'b', digest),
      of('delete', null, other.digest),
    ])
  })

  it('are told when they can be read', async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const stop = opened.registry.onChange(({ tag }) => {
      resolve(repository.head(tag!))
    })
    const { digest } = await push(repository, 'x', ['a'])
    expect(await promise).toMatchObject({ digest })
    stop()
  })

  it('are told to all, whatever a listener does, until it stops', async () => {
    const heard: string[] = []
    opened.registry.onChange(() => {
      throw new Error('a broken listener')
    })
    const stop = opened.registry.onChange(({ tag }) => heard.push(tag!))
    await push(repository, 'x', ['a'])
    stop()
    await push(repository, 'x', ['b'])
    expect(heard).toEqual(['a'])
  })
})

it('knows its repositories', async () => {
  await push(opened.registry.repository('b'), 'x')
  await push(opened.registry.repository('a'), 'x')
  expect(await opened.registry.repositories({ limit: 10 })).toEqual(['a', 'b'])
  expect(await opened.registry.hasRepository('a')).toBe(true)
  expect(await opened.registry.hasRepository('c')).toBe(false)
})
