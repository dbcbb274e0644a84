import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { CatalogState, State } from '../../../src/state/state.ts'
import { blobReference, manifestRow } from '../../unit/state/open.ts'
import type { OpenState } from './open.ts'

export function testCatalog(open: OpenState): void {
  let state: State
  let catalog: CatalogState
  let repository: string
  let count = 0

  beforeAll(async () => {
    state = await open()
    catalog = state.catalog
  })

  beforeEach(() => {
    repository = `repo-${count++}`
  })

  afterAll(() => state.close())

  const put = (name: string, tags: string[] = [], more = {}) =>
    catalog.putManifest(repository, manifestRow(name, more), [], tags, 1)

  describe('blobs', () => {
    const blob = { digest: digestOf('blob'), size: 4 }

    it('belong to repositories', async () => {
      await catalog.addBlob(repository, blob, 1)
      expect(await catalog.blob(repository, blob.digest)).toEqual({ size: 4, usedAt: 1 })
      expect(await catalog.blob(`${repository}/other`, blob.digest)).toBeUndefined()
      expect(await catalog.removeBlob(repository, blob.digest)).toBe(true)
      expect(await catalog.removeBlob(repository, blob.digest)).toBe(false)
      expect(await catalog.blob(repository, blob.digest)).toBeUndefined()
    })

    it('remember their latest use, and do not come back by it', async () => {
      await catalog.addBlob(repository, blob, 5)
      await catalog.useBlob(repository, blob.digest, 9)
      await catalog.useBlob(repository, blob.digest, 7)
      expect(await catalog.blob(repository, blob.digest)).toEqual({ size: 4, usedAt: 9 })
      await catalog.removeBlob(repository, blob.digest)
      await catalog.useBlob(repository, blob.digest, 11)
      expect(await catalog.blob(repository, blob.digest)).toBeUndefined()
    })

    it.each([
      ['the repository that is named', { from: 'has' }, true],
      ['a named one that does not have it', { from: 'lacks' }, false],
      ['any that may be read', { readable: ['lacks', 'has'] }, true],
      ['those that may be read when none has it', { readable: ['lacks'] }, false],
      ['anywhere when all may be read', { readable: 'all' as const }, true],
      ['nowhere when nothing is said', {}, false],
      ['one of very many', { readable: [...Array.from({ length: 999 }, (_, at) => `no-${at}`), 'has'] }, true],
    ])('are mounted from %s', async (_what, from, works) => {
      const fresh = { digest: digestOf(repository), size: 3 }
      await catalog.addBlob('has', fresh, 1)
      const mounted = await catalog.mountBlob({ digest: fresh.digest, to: repository, ...from }, 5)
      expect(mounted).toEqual(works ? { size: 3 } : undefined)
      expect(await catalog.blob(repository, fresh.digest)).toEqual(works ? { size: 3, usedAt: 5 } : undefined)
    })
  })

  describe('manifests', () => {
    it('are found by tag and by digest, with everything they were put with', async () => {
      const row = manifestRow('m', {
        artifactType: 'application/x',
        subject: digestOf('s'),
        annotations: { a: 'ü', ['__proto__x']: '1' },
      })
      const outcome = await catalog.putManifest(repository, row, [], ['v1', 'latest'], 1)
      expect(outcome).toEqual({
        missing: [],
        moved: [
          { tag: 'v1', from: null },
          { tag: 'latest', from: null },
        ],
      })
      expect(await catalog.manifest(repository, 'v1')).toEqual(row)
      expect(await catalog.manifest(repository, row.digest)).toEqual(row)
      expect(await catalog.manifest(repository, 'v2')).toBeUndefined()
      expect(await catalog.manifest('elsewhere', 'v1')).toBeUndefined()
    })

    it('take their tags from others', async () => {
      await put('a', ['latest', 'a'])
      expect((await put('b', ['latest', 'b'])).moved).toEqual([
        { tag: 'latest', from: digestOf('a') },
        { tag: 'b', from: null },
      ])
      expect((await put('b', ['latest'])).moved).toEqual([])
      expect((await catalog.manifest(repository, 'latest'))?.digest).toBe(digestOf('b'))
      expect((await catalog.manifest(repository, 'a'))?.digest).toBe(digestOf('a'))
    })

    it('are refused, and nothing is written, while what they need is missing', async () => {
      const [here, gone, optional] = ['here', 'gone', 'optional'].map((name) => digestOf(name + repository)) as [
        ReturnType<typeof digestOf>,
        ReturnType<typeof digestOf>,
        ReturnType<typeof digestOf>,
      ]
      await catalog.addBlob(repository, { digest: here, size: 1 }, 1)
      await catalog.addBlob('other', { digest: gone, size: 1 }, 1)
      const references = [blobReference(here), blobReference(gone), blobReference(gone), blobReference(optional, false)]
      const outcome = await catalog.putManifest(repository, manifestRow('m'), references, ['v1'], 1)
      expect(outcome).toEqual({ missing: [gone], moved: [] })
      expect(await catalog.manifest(repository, 'v1')).toBeUndefined()
      expect(await catalog.manifest(repository, digestOf('m'))).toBeUndefined()
      await catalog.addBlob(repository, { digest: gone, size: 1 }, 1)
      expect((await catalog.putManifest(repository, manifestRow('m'), references, ['v1'], 1)).missing).toEqual([])
    })

    it('count as members of an index, not as the blobs of an image', async () => {
      await put('child')
      const child = digestOf('child')
      const index = await catalog.putManifest(
        repository,
        manifestRow('index'),
        [{ digest: child, kind: 'manifest', required: true }],
        [],
        1,
      )
      expect(index.missing).toEqual([])
      const image = await catalog.putManifest(repository, manifestRow('image'), [blobReference(child)], [], 1)
      expect(image.missing).toEqual([child])
    })

    it('may name more than one statement takes', async () => {
      const digests = Array.from({ length: 450 }, (_, at) => digestOf(`${repository}/${at}`))
      await Promise.all(digests.map((digest) => catalog.addBlob(repository, { digest, size: 1 }, 1)))
      const references = [...digests, digestOf('none')].map((digest) => blobReference(digest))
      expect(await catalog.putManifest(repository, manifestRow('m'), references, [], 1)).toMatchObject({
        missing: [digestOf('none')],
      })
      expect(await catalog.putManifest(repository, manifestRow('m'), references.slice(0, -1), [], 1)).toMatchObject({
        missing: [],
      })
    })

    it('go with every tag that pointed at them', async () => {
      await put('a', ['x', 'b', 'a'])
      await put('b', ['keep'])
      expect(await catalog.removeManifest(repository, digestOf('a'), 9)).toEqual({ tags: ['a', 'b', 'x'] })
      expect(await catalog.removeManifest(repository, digestOf('a'), 9)).toBeUndefined()
      expect(await catalog.manifest(repository, 'x')).toBeUndefined()
      expect(await catalog.tags(repository, { limit: 10 })).toEqual(['keep'])
    })

    it('stay when a tag goes', async () => {
      await put('a', ['x'])
      expect(await catalog.removeTag(repository, 'x', 9)).toBe(digestOf('a'))
      expect(await catalog.removeTag(repository, 'x', 9)).toBeUndefined()
      expect(await catalog.manifest(repository, digestOf('a'))).toBeDefined()
    })

    it('may be removed while an index names them', async () => {
      await put('child')
      const member = { digest: digestOf('child'), kind: 'manifest' as const, required: true }
      await catalog.putManifest(repository, manifestRow('index'), [member], [], 1)
      expect(await catalog.removeManifest(repository, digestOf('child'), 9)).toEqual({ tags: [] })
      expect(await catalog.manifest(repository, digestOf('index'))).toBeDefined()
    })
  })

  describe('lists', () => {
    it('give tags in the order of their bytes, page by page', async () => {
      await put('a', ['b', 'a', 'B', '_', '1', 'a.1', 'a-1', 'aa'])
      const order = ['1', 'B', '_', 'a', 'a-1', 'a.1', 'aa', 'b']
      expect(await catalog.tags(repository, { limit: 100 })).toEqual(order)
      expect(await catalog.tags(repository, { limit: 3 })).toEqual(order.slice(0, 3))
      expect(await catalog.tags(repository, { after: '_', limit: 3 })).toEqual(order.slice(3, 6))
      expect(await catalog.tags(repository, { after: 'not there', limit: 3 })).toEqual([])
      expect(await catalog.tags(repository, { limit: 0 })).toEqual([])
    })

    it('give tags with what they stand for, and the rest', async () => {
      await put('a', ['x', 'y'])
      await put('b')
      await put('c')
      const tagged = await catalog.tagged(repository, { limit: 10 })
      expect(tagged).toEqual(['x', 'y'].map((tag) => ({ tag, manifest: manifestRow('a') })))
      const untagged = [manifestRow('b'), manifestRow('c')].sort((a, b) => (a.digest < b.digest ? -1 : 1))
      expect(await catalog.untagged(repository, { limit: 10 })).toEqual(untagged)
      expect(await catalog.untagged(repository, { after: untagged[0]!.digest, limit: 10 })).toEqual(untagged.slice(1))
    })

    it('give referrers in the order of arrival, by type when asked', async () => {
      const subject = digestOf('subject')
      for (const [name, type] of [
        ['z', 'sig'],
        ['a', 'sbom'],
        ['m', 'sig'],
      ] as const) {
        await put(name, [], { subject, artifactType: type })
      }
      await put('z', [], { subject, artifactType: 'sig' })
      const names = async (type?: string) =>
        (await catalog.referrers(repository, subject, type)).map((row) => row.digest)
      expect(await names()).toEqual(['z', 'a', 'm'].map((name) => digestOf(name)))
      expect(await names('sig')).toEqual(['z', 'm'].map((name) => digestOf(name)))
      expect(await names('none')).toEqual([])
      expect(await catalog.referrers('other', subject)).toEqual([])
    })

    it('give repositories that hold a manifest; one that holds only a blob is there too', async () => {
      const own = await open()
      for (const name of ['b', 'a/z', 'a']) {
        await own.catalog.putManifest(name, manifestRow(name), [], [], 1)
      }
      await own.catalog.addBlob('c', { digest: digestOf('x'), size: 1 }, 1)
      expect(await own.catalog.repositories({ limit: 10 })).toEqual(['a', 'a/z', 'b'])
      expect(await own.catalog.repositories({ after: 'a', limit: 1 })).toEqual(['a/z'])
      expect(await own.catalog.hasRepository('c')).toBe(true)
      expect(await own.catalog.hasRepository('d')).toBe(false)
      await own.catalog.removeManifest('a', digestOf('a'), 9)
      expect(await own.catalog.repositories({ limit: 10 })).toEqual(['a/z', 'b'])
      expect(await own.catalog.hasRepository('a')).toBe(false)
      await own.close()
    })

    it('give every digest once, in order', async () => {
      const own = await open()
      const digests = Array.from({ length: 5 }, (_, at) => digestOf(`${at}`)).sort()
      await own.catalog.addBlob('a', { digest: digests[0]!, size: 1 }, 1)
      await own.catalog.addBlob('b', { digest: digests[0]!, size: 1 }, 1)
      await own.catalog.addBlob('a', { digest: digests[3]!, size: 3 }, 1)
      for (const at of [1, 2, 3, 4]) {
        await own.catalog.putManifest('a', { ...manifestRow('x', { size: 3 }), digest: digests[at]! }, [], [], 1)
      }
      const all = digests.map((digest, at) => ({ digest, size: at === 0 ? 1 : 3 }))
      expect(await own.catalog.digests({ limit: 10 })).toEqual(all)
      expect(await own.catalog.digests({ after: digests[1]!, limit: 2 })).toEqual(all.slice(2, 4))
      await own.close()
    })
  })

  describe('indexes', () => {
    it('are stale from a change until they are written as of that change', async () => {
      const own = await open()
      await own.catalog.putManifest('a', manifestRow('m'), [], ['t'], 1)
      await own.catalog.addBlob('b', { digest: digestOf('x'), size: 1 }, 1)
      const [stale] = await own.catalog.staleIndexes(10)
      expect(stale).toEqual({ repository: 'a', version: 1, empty: false })
      await own.catalog.removeTag('a', 't', 9)
      await own.catalog.indexWritten('a', stale!.version)
      expect(await own.catalog.staleIndexes(10)).toEqual([{ repository: 'a', version: 2, empty: false }])
      await own.catalog.indexWritten('a', 2)
      expect(await own.catalog.staleIndexes(10)).toEqual([])
      await own.catalog.removeManifest('a', digestOf('m'), 9)
      expect(await own.catalog.staleIndexes(10)).toEqual([{ repository: 'a', version: 3, empty: true }])
      await own.catalog.indexWritten('a', 3)
      expect(await own.catalog.staleIndexes(10)).toEqual([])
      await own.close()
    })
  })
}
