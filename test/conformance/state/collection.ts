import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { State } from '../../../src/state/state.ts'
import { blobReference, draft, manifestRow } from '../../unit/state/open.ts'
import type { OpenState } from './open.ts'

export function testCollection(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  const [a, b, c] = ['a', 'b', 'c'].map((name) => digestOf(name)) as [
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
    ReturnType<typeof digestOf>,
  ]
  const addBlob = (repository: string, name: string, usedAt = 1) =>
    state.catalog.addBlob(repository, { digest: digestOf(name), size: name.length }, usedAt)
  const drop = { limit: 10, usedBefore: 100, dryRun: false }

  describe('what repositories hold', () => {
    it('are all that have a manifest or a blob, in order, page by page', async () => {
      await addBlob('b', 'x')
      await addBlob('B', 'x')
      await state.catalog.putManifest('a/z', manifestRow('m'), [], [], 1)
      await state.catalog.putManifest('b', manifestRow('m'), [], [], 1)
      expect(await state.collection.repositories({ limit: 10 })).toEqual(['B', 'a/z', 'b'])
      expect(await state.collection.repositories({ after: 'B', limit: 1 })).toEqual(['a/z'])
      expect(await state.collection.repositories({ after: 'b', limit: 1 })).toEqual([])
    })

    it('is counted in bytes, blobs and manifests, more than a number of 32 bits', async () => {
      expect(await state.catalog.usage('r')).toBe(0)
      await state.catalog.addBlob('r', { digest: a, size: 3_000_000_000 }, 1_800_000_000_000)
      await state.catalog.addBlob('r', { digest: b, size: 3_000_000_000 }, 1)
      await state.catalog.putManifest('r', manifestRow('four'), [], [], 1_800_000_000_000)
      expect(await state.catalog.usage('r')).toBe(6_000_000_004)
      expect(await state.catalog.blob('r', a)).toEqual({ size: 3_000_000_000, usedAt: 1_800_000_000_000 })
    })

    it('has a limit where one is given, and then nothing was written', async () => {
      await state.catalog.addBlob('r', { digest: a, size: 5 }, 1, 10)
      const over = { name: 'StorageError', code: 'quota_exceeded' }
      await expect(state.catalog.addBlob('r', { digest: b, size: 6 }, 1, 10)).rejects.toMatchObject(over)
      await expect(state.catalog.putManifest('r', manifestRow('too long'), [], ['v1'], 1, 10)).rejects.toMatchObject(
        over,
      )
      await state.catalog.addBlob('s', { digest: c, size: 6 }, 1)
      await expect(state.catalog.mountBlob({ digest: c, from: 's', to: 'r' }, 1, 10)).rejects.toMatchObject(over)
      expect(await state.catalog.usage('r')).toBe(5)
      expect(await state.catalog.manifest('r', 'v1')).toBeUndefined()
    })
  })

  describe('the parts of a manifest', () => {
    it('are itself and the blobs that it names, whether or not they are there', async () => {
      await addBlob('r', 'a')
      const references = [blobReference(a), blobReference(b, false)]
      await state.catalog.putManifest('r', manifestRow('m'), references, [], 1)
      const parts = await state.catalog.parts('r', digestOf('m'))
      expect(parts).toHaveLength(3)
      expect(parts).toEqual(
        expect.arrayContaining([
          { digest: digestOf('m'), size: 1 },
          { digest: a, size: 1 },
          { digest: b, size: null },
        ]),
      )
      expect(await state.catalog.parts('r', digestOf('n'))).toBeUndefined()
    })
  })

  describe('blobs that nothing names', () => {
    it('go, but for those that were used since, page by page', async () => {
      for (const name of ['a', 'b', 'c']) await addBlob('r', name, name === 'b' ? 100 : 99)
      await addBlob('r', 'named')
      await state.catalog.putManifest('r', manifestRow('m'), [blobReference(digestOf('named'))], [], 1)
      const sorted = [a, c].sort().map((digest) => ({ digest, size: 1, usedAt: 99, named: 0 }))
      const seen = []
      for (let after: string | null = ''; after !== null;) {
        const page: Awaited<ReturnType<typeof state.collection.dropBlobs>> = await state.collection.dropBlobs('r', {
          ...{ ...drop, after, limit: 1 },
        })
        seen.push(...page.blobs)
        after = page.next
      }
      expect(seen).toEqual(sorted)
      expect(await state.catalog.blob('r', a)).toBeUndefined()
      expect(await state.catalog.blob('r', b)).toBeDefined()
      expect(await state.catalog.blob('r', digestOf('named'))).toBeDefined()
    })

    it('are told in a dry run with all that were not used, and by how many each is named', async () => {
      for (const name of ['a', 'b']) await addBlob('r', name)
      await addBlob('r', 'c', 100)
      for (const name of ['m', 'n']) await state.catalog.putManifest('r', manifestRow(name), [blobReference(a)], [], 1)
      const dry = await state.collection.dropBlobs('r', { ...drop, dryRun: true })
      expect(new Map(dry.blobs.map(({ digest, named }) => [digest, named]))).toEqual(
        new Map([
          [a, 2],
          [b, 0],
        ]),
      )
      expect((await state.collection.dropBlobs('r', drop)).blobs).toEqual([{ digest: b, size: 1, usedAt: 1, named: 0 }])
    })
  })

  describe('files', () => {
    it('have owners, counted no further than is asked', async () => {
      for (const repository of ['r', 's', 't']) await addBlob(repository, 'a')
      await state.catalog.putManifest('r', manifestRow('b'), [], [], 1)
      const owners = await state.collection.owners([a, b, c], 2)
      expect(new Map(owners.map((row) => [row.digest, row.owners]))).toEqual(
        new Map([
          [a, 2],
          [b, 1],
          [c, 0],
        ]),
      )
      expect(await state.collection.owners([], 2)).toEqual([])
    })

    it('are buried where nobody has them, once, and dug up by whoever has them again', async () => {
      await addBlob('r', 'a')
      await state.catalog.putManifest('r', manifestRow('b'), [], [], 1)
      expect(await state.collection.bury([a, b, c], 5)).toEqual([c])
      expect(await state.collection.bury([c], 6)).toEqual([c])
      expect(await state.collection.tombstones({ limit: 10 })).toEqual([c])
      expect(await state.collection.isBuried(c)).toBe(true)
      expect(await state.collection.isBuried(a)).toBe(false)
      await addBlob('s', 'c')
      expect(await state.collection.tombstones({ limit: 10 })).toEqual([])
      expect(await state.collection.isBuried(c)).toBe(false)
    })

    it('are listed in order, and unburied when they are gone', async () => {
      const digests = Array.from({ length: 450 }, (_, at) => digestOf(`none ${at}`)).sort()
      expect((await state.collection.bury(digests, 1)).sort()).toEqual(digests)
      expect(await state.collection.tombstones({ after: digests[9]!, limit: 2 })).toEqual(digests.slice(10, 12))
      await state.collection.unbury(digests.slice(1))
      expect(await state.collection.tombstones({ limit: 10 })).toEqual([digests[0]])
    })
  })

  describe('manifests of releases', () => {
    const repository = 'bundles/authz'
    const put = (name: string, more = {}, names: string[] = []) =>
      state.catalog.putManifest(
        repository,
        manifestRow(name, more),
        names.map((named) => ({ digest: digestOf(named), kind: 'manifest', required: false })),
        [],
        1,
      )
    const release = async (name: string, more = {}) => {
      await put(name)
      const memo = { bundle: 'authz', fingerprint: name, recipe: 'r' }
      await state.bundles.append(draft(name, more), { tags: [name], memo, places: [], keep: 10, at: 7 })
    }
    const all = { bundle: 'authz', without: [], before: 100, limit: 100, dryRun: false }

    it('go with their release, and what refers to them and is named by them too', async () => {
      for (const name of ['old', 'new']) {
        await put(`${name} member`)
        await put(`${name} index`, {}, [`${name} member`])
        await put(`${name} source`)
        await release(name, { sourceDigest: digestOf(`${name} index`), form: 'repacked' })
        await put(`signature of ${name}`, { subject: digestOf(name) })
        await put(`signature of that of ${name}`, { subject: digestOf(`signature of ${name}`) })
      }
      // What is kept refers to this one: it is its subject.
      await put('described', {}, ['attached'])
      await put('attached')
      await put('new referrer', { subject: digestOf('described') })
      await put('holder', { subject: digestOf('new') }, ['new referrer'])
      await put('stray')
      await state.catalog.putManifest(repository, manifestRow('just put'), [], [], 100)
      const releases = await state.collection.dropReleases('authz', { keep: 1, dryRun: true })
      expect(releases).toEqual([1])
      const dry = await state.collection.dropManifests(repository, { ...all, without: releases, dryRun: true })
      const gone = ['old', 'old member', 'old index', 'old source', 'new source', 'stray']
      const signatures = ['signature of old', 'signature of that of old']
      expect(dry.manifests.map(({ digest }) => digest)).toEqual(
        [...gone, ...signatures].map((name) => digestOf(name)).sort(),
      )
      expect((await state.bundles.release('authz', 1))!.kept).toBe(true)
      expect(dry.names).toEqual([digestOf('old member')])
      expect(await state.collection.dropReleases('authz', { keep: 1, dryRun: false })).toEqual([1])
      expect((await state.bundles.release('authz', 1))!.kept).toBe(false)
      expect(await state.collection.dropManifests(repository, all)).toEqual({ ...dry, names: [] })
      expect(await state.catalog.manifest(repository, 'old')).toBeUndefined()
      expect(await state.catalog.manifest(repository, digestOf('attached'))).toBeDefined()
      expect(await state.collection.dropReleases('authz', { keep: 1, dryRun: false })).toEqual([])
      expect(await state.collection.dropManifests(repository, all)).toEqual({ manifests: [], names: [], next: null })
    })

    it('go elsewhere where no tag needs them', async () => {
      const other = 'policies/authz'
      const put = (name: string, at: number, more = {}, names: string[] = [], tags: string[] = []) => {
        const links = names.map((named) => ({ digest: digestOf(named), kind: 'manifest' as const, required: false }))
        return state.catalog.putManifest(other, manifestRow(name, more), links, tags, at)
      }
      await put('member', 1)
      await put('index', 1, {}, ['member'], ['latest'])
      await put('signature', 1, { subject: digestOf('member') })
      await put('stray', 1)
      await put('signature of stray', 1, { subject: digestOf('stray') })
      await put('just put', 100)
      // A release came from here; so did one that is kept no more.
      for (const name of ['let go', 'released']) {
        await release(name)
        await put(name, 1)
      }
      await state.collection.dropReleases('authz', { keep: 1, dryRun: false })
      await state.collection.dropManifests(repository, all)
      const options = { bundle: null, without: [], before: 100, limit: 100 }
      const dry = await state.collection.dropManifests(other, { ...options, dryRun: true })
      const gone = ['stray', 'signature of stray', 'let go'].map((name) => digestOf(name)).sort()
      expect(dry.manifests.map(({ digest }) => digest)).toEqual(gone)
      expect(dry.names).toEqual([])
      expect(await state.collection.dropManifests(other, { ...options, dryRun: false })).toEqual(dry)
      expect(await state.catalog.manifest(other, digestOf('stray'))).toBeUndefined()
      expect(await state.catalog.manifest(other, digestOf('member'))).toBeDefined()
      expect(await state.catalog.manifest(repository, digestOf('released'))).toBeDefined()
      expect(await state.catalog.manifest(other, digestOf('released'))).toBeDefined()
      expect((await state.bundles.release('authz', 2))!.kept).toBe(true)
    })

    it('stay as long as a tag holds what never was a release', async () => {
      await release('one')
      await state.catalog.putManifest(repository, manifestRow('tagged'), [], ['mine'], 1)
      expect((await state.collection.dropManifests(repository, all)).manifests).toEqual([])
      await state.catalog.removeTag(repository, 'mine', 1)
      const dropped = await state.collection.dropManifests(repository, all)
      expect(dropped.manifests).toEqual([{ digest: digestOf('tagged'), size: 6 }])
    })
  })
}
