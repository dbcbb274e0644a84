import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { annotationRefName, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { layoutFolder, repositoryAt } from '../../../src/registry/layout.ts'
import { manifestRow } from '../state/open.ts'
import { waitFor } from '../../support/wait.ts'
import { openRegistry, push, type Opened } from './open.ts'

let opened: Opened

beforeEach(async () => {
  opened = await openRegistry()
})

afterEach(() => opened.close())

const layout = (name: string) => join(opened.folder, 'repositories', name)
const indexText = (name: string) => readFileSync(join(layout(name), 'index.json'), 'utf8')
const entries = (name: string) => (JSON.parse(indexText(name)) as { manifests: Descriptor[] }).manifests
const tagsIn = (name: string) => entries(name).map(({ annotations }) => annotations?.[annotationRefName] ?? null)

/** The clock stands still, the disk does not: until all that is stale is written. */
async function settle(): Promise<void> {
  await waitFor('indexes to be written', async () => {
    await opened.clock.advance(1_000)
    return (await opened.state.catalog.staleIndexes(1)).length === 0
  })
}

describe('a repository on disk', () => {
  it('is an OCI image layout with its tags and its other manifests, sharing the blobs', async () => {
    const repository = opened.registry.repository('team/policies')
    const tagged = await push(repository, 'x', ['v1', 'latest'])
    const untagged = await push(repository, 'y', [], { artifactType: 'application/x' })
    await settle()
    const entry = { mediaType: ociManifest, digest: tagged.digest, size: tagged.bytes.byteLength }
    expect(JSON.parse(indexText('team/policies'))).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [
        { ...entry, annotations: { [annotationRefName]: 'latest' } },
        { ...entry, annotations: { [annotationRefName]: 'v1' } },
        { ...entry, digest: untagged.digest, size: untagged.bytes.byteLength, artifactType: 'application/x' },
      ],
    })
    expect(JSON.parse(readFileSync(join(layout('team/policies'), 'oci-layout'), 'utf8'))).toEqual({
      imageLayoutVersion: '1.0.0',
    })
    expect(lstatSync(join(layout('team/policies'), 'blobs')).isSymbolicLink()).toBe(true)
    expect(realpathSync(join(layout('team/policies'), 'blobs'))).toBe(realpathSync(join(opened.folder, 'blobs')))
    expect(readdirSync(opened.content.scratch)).toEqual([])
  })

  it('follows what changes', async () => {
    const repository = opened.registry.repository('r')
    const { digest } = await push(repository, 'x', ['a', 'b'])
    await settle()
    await repository.removeTag('a')
    await push(repository, 'y', ['c'])
    await settle()
    expect(tagsIn('r')).toEqual(['b', 'c'])
    await repository.removeManifest(digest)
    await settle()
    expect(tagsIn('r')).toEqual(['c'])
  })

  it('is complete when it has more entries than are read at once', async () => {
    const repository = opened.registry.repository('r')
    const tags = Array.from({ length: 2_500 }, (_, at) => `v${String(at).padStart(4, '0')}`)
    const { digest } = await push(repository, 'x', tags)
    const others = Array.from({ length: 1_100 }, (_, at) => manifestRow(`m${at}`))
    await Promise.all(others.map((row) => opened.state.catalog.putManifest('r', row, [], [], 1)))
    await settle()
    expect(tagsIn('r')).toEqual([...tags, ...others.map(() => null)])
    expect(new Set(entries('r').map((entry) => entry.digest))).toEqual(
      new Set([digest, ...others.map((row) => row.digest)]),
    )
  })

  it('is written once for many changes', async () => {
    const repository = opened.registry.repository('r')
    let written = 0
    const { catalog } = opened.state
    const indexWritten = catalog.indexWritten.bind(catalog)
    catalog.indexWritten = (...args) => {
      written++
      return indexWritten(...args)
    }
    for (let at = 0; at < 20; at++) await push(repository, 'x', [`v${at}`])
    expect(existsSync(layout('r'))).toBe(false)
    await settle()
    expect(written).toBe(1)
    expect(tagsIn('r')).toHaveLength(20)
  })

  it('is replaced, never half written: a reader sees the old or the new one', async () => {
    const repository = opened.registry.repository('r')
    await push(repository, 'x', ['a'])
    await settle()
    const before = lstatSync(join(layout('r'), 'index.json')).ino
    await push(repository, 'x', ['b'])
    await settle()
    expect(lstatSync(join(layout('r'), 'index.json')).ino).not.toBe(before)
  })

  it('goes away with its last manifest, and so do the folders above it', async () => {
    const [inner, outer] = [opened.registry.repository('a/b/c'), opened.registry.repository('a')]
    const { digest } = await push(inner, 'x', ['v1'])
    await push(outer, 'x', ['v1'])
    await settle()
    await inner.removeManifest(digest)
    await settle()
    expect(existsSync(layout('a/b'))).toBe(false)
    expect(tagsIn('a')).toEqual(['v1'])
    await outer.removeManifest(digest)
    await settle()
    expect(readdirSync(join(opened.folder, 'repositories'))).toEqual([])
    // Taking the folder away does not follow the link.
    expect(await opened.content.verify(digest)).toBe(true)
  })

  it('has none where its only manifest went before there was one, which is no failure', async () => {
    const repository = opened.registry.repository('team/policies')
    await repository.removeManifest((await push(repository, 'x')).digest)
    await settle()
    expect(existsSync(join(opened.folder, 'repositories'))).toBe(false)
  })

  it('goes away while one below it stays', async () => {
    const [inner, outer] = [opened.registry.repository('a/b'), opened.registry.repository('a')]
    const { digest } = await push(outer, 'x', ['v1'])
    await push(inner, 'x', ['v1'])
    await settle()
    await outer.removeManifest(digest)
    await settle()
    expect(readdirSync(layout('a'))).toEqual(['b'])
    expect(tagsIn('a/b')).toEqual(['v1'])
  })
})

describe('nothing is forgotten', () => {
  it('at a close', async () => {
    await push(opened.registry.repository('r'), 'x', ['a'])
    await opened.registry.close()
    expect(tagsIn('r')).toEqual(['a'])
  })

  it('when the process ends before an index was written', async () => {
    await push(opened.registry.repository('r'), 'x', ['a'])
    await opened.state.close()
    opened = await openRegistry(opened.folder)
    await settle()
    expect(tagsIn('r')).toEqual(['a'])
  })

  it('of what changes by the way of releases', async () => {
    await push(opened.registry.repository('bundles/authz'), 'x')
    await settle()
    const [entry] = entries('bundles/authz')
    await opened.state.bundles.append(
      {
        bundle: 'authz',
        bundleDigest: digestOf('x'),
        size: 1,
        manifestDigest: entry!.digest,
        sourceDigest: entry!.digest,
        form: 'original',
        version: 'v1',
        revision: null,
        reason: 'first',
      },
      { tags: ['latest', 'v1'], memo: { bundle: 'authz', fingerprint: 'f', recipe: 'r' }, places: [], keep: 1, at: 1 },
    )
    opened.registry.refreshIndexes()
    await settle()
    expect(tagsIn('bundles/authz')).toEqual(['latest', 'v1'])
  })

  it('when writing fails: the others are written, and it is tried again', async () => {
    mkdirSync(join(opened.folder, 'repositories'))
    writeFileSync(layout('broken'), 'a file where the folder should be')
    await push(opened.registry.repository('broken'), 'x', ['a'])
    await push(opened.registry.repository('r'), 'x', ['a'])
    await waitFor('the other index', async () => {
      await opened.clock.advance(1_000)
      return existsSync(layout('r'))
    })
    rmSync(layout('broken'))
    await settle()
    expect(tagsIn('broken')).toEqual(['a'])
  })
})

it('rests ten times as long as a round took, so that big indexes do not take all the time', async () => {
  await push(opened.registry.repository('r'), 'x', ['a'])
  const { catalog } = opened.state
  const tagged = catalog.tagged.bind(catalog)
  catalog.tagged = async (...args) => {
    // As if reading it took so long: the clock goes on, nothing waits.
    if (args[0] === 'r') await opened.clock.sleep(3_000)
    return tagged(...args)
  }
  await opened.clock.advance(1_000)
  await waitFor('the first round', async () => {
    await opened.clock.advance(100)
    return existsSync(join(layout('r'), 'index.json'))
  })
  await waitFor('the rest', () => (opened.clock.nextInMs() ?? 0) > 20_000)
  catalog.tagged = tagged
})

describe('names', () => {
  it.each(['a', 'team/policies', 'a/blobs', 'blobs', 'a/index.json/oci-layout', 'bundles/authz'])(
    '%s has a folder of its own, and is found there',
    (name) => {
      const folder = layoutFolder('/data', name)
      const components = folder.slice('/data/repositories/'.length).split('/')
      expect(repositoryAt(components)).toBe(name)
      expect(components).not.toContain('blobs')
      expect(components).not.toContain('index.json')
    },
  )

  it.each(['', '..', 'a/../b', '/a', 'A', 'a//b', 'a_'])('%j has none', (name) => {
    expect(() => layoutFolder('/data', name)).toThrow(expect.objectContaining({ code: 'unsafe_path' }))
  })

  it('that the layout itself uses do no harm', async () => {
    await push(opened.registry.repository('a'), 'x', ['v1'])
    await push(opened.registry.repository('a/blobs'), 'x', ['v2'])
    await push(opened.registry.repository('a/index.json'), 'x', ['v3'])
    await settle()
    expect(tagsIn('a')).toEqual(['v1'])
    expect(tagsIn('a/blobs_')).toEqual(['v2'])
    expect(tagsIn('a/index.json_')).toEqual(['v3'])
  })
})

describe('where another process acts by now', () => {
  it('no index is written, and none is taken away', async () => {
    await push(opened.registry.repository('stays'), 'x', ['v1'])
    await settle()
    const { folder } = opened
    await opened.close()
    let isOurs = true
    const mayWrite = () => (isOurs ? Promise.resolve() : Promise.reject(new Error('another one acts')))
    opened = await openRegistry(folder, { mayWrite })
    isOurs = false
    const [stays, fresh] = ['stays', 'fresh'].map((name) => opened.registry.repository(name))
    await stays!.deleteManifest((await stays!.head('v1'))!.digest)
    await push(fresh!, 'y', ['v1'])
    await opened.registry.close()
    expect(tagsIn('stays')).toEqual(['v1'])
    expect(existsSync(join(layout('fresh'), 'index.json'))).toBe(false)
    expect(await opened.state.catalog.staleIndexes(9)).toHaveLength(2)
  })
})
