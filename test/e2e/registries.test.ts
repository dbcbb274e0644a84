// The registry client against registries that others wrote: each of them reads the specification in its own way.
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../../src/oci/client.ts'
import { copy } from '../../src/oci/copy.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Limits } from '../../src/oci/limits.ts'
import { ociIndex } from '../../src/oci/media.ts'
import { referrersTag } from '../../src/oci/referrers.ts'
import type { Repository } from '../../src/oci/repository.ts'
import type { RawManifest } from '../../src/oci/target.ts'
import { needs } from '../support/components.ts'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { startDistributionV2, startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { blobOf, descriptorOf, imageOf, indexOf } from '../support/repository.ts'

const mebibyte = 1024 ** 2

function createClient(limits: Partial<Limits> = {}): OciClient {
  const redactor = new Redactor()
  const random = () => Math.random()
  return createOciClient({ clock: systemClock, random, logger: silentLogger, redactor, limits })
}

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source))
}

async function* inPieces(bytes: Buffer): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += 64 * 1024) yield bytes.subarray(at, at + 64 * 1024)
}

async function push(repository: Repository, bytes: Buffer) {
  const blob = blobOf(bytes)
  await repository.putBlob(blob, () => inPieces(bytes))
  return blob
}

const digests = (found: { digest: string }[]) => found.map(({ digest }) => digest).sort()

/** What of the specification a registry leaves out. */
interface Peculiar {
  start: (options: { allowDelete: boolean }) => Promise<Registry>
  keepsReferrers: boolean
  deletesTags: boolean
  /** Debian's distribution 2 gives all tags at once, however many are asked for. */
  hasPages: boolean
  /** What `tags/list` of a repository that nobody has pushed to is. */
  tagsOfNothing: 'not_found' | 'empty'
}

const distribution = { keepsReferrers: false, tagsOfNothing: 'not_found' } as const

const peers: [name: 'docker-registry' | 'distribution' | 'olareg', Peculiar][] = [
  ['docker-registry', { start: startDistributionV2, ...distribution, deletesTags: false, hasPages: false }],
  ['distribution', { start: startDistributionV3, ...distribution, deletesTags: true, hasPages: true }],
  ['olareg', { start: startOlareg, keepsReferrers: true, deletesTags: true, hasPages: true, tagsOfNothing: 'empty' }],
]

for (const [name, { start, keepsReferrers, deletesTags, hasPages, tagsOfNothing }] of peers) {
  needs(name)(name, () => {
    let registry: Registry
    let proxy: CountingProxy
    let client: OciClient
    let repositories = 0
    let repository: Repository

    beforeAll(async () => {
      registry = await start({ allowDelete: true })
      proxy = await startCountingProxy(registry)
    })

    beforeEach(() => {
      client = createClient()
      repository = client.repository(`${proxy.host}/acme/app-${++repositories}`)
      proxy.meddle({})
    })

    afterEach(() => client.close())

    afterAll(async () => {
      await proxy.stop()
      await registry.stop()
    })

    /** What is asked of the registry while `run` runs. */
    async function during<T>(run: () => Promise<T>): Promise<{ asked: string[]; bytes: number; result: T }> {
      const before = proxy.passed.length
      const result = await run()
      const passed = proxy.passed.slice(before)
      return {
        asked: passed.map(({ method, status }) => `${method} ${status}`),
        bytes: passed.reduce((sum, one) => sum + one.bytes, 0),
        result,
      }
    }

    test('looking for change is exactly one HEAD and no body', async () => {
      const raw = await imageOf(repository, ['layer'], { tags: ['latest'] })
      for (let look = 0; look < 3; look++) {
        const { asked, bytes, result } = await during(() => repository.head('latest'))
        expect(result).toEqual(descriptorOf(raw))
        expect({ asked, bytes }).toEqual({ asked: ['HEAD 200'], bytes: 0 })
      }
      expect((await during(() => repository.head('nothing'))).asked).toEqual(['HEAD 404'])
      const changed = await imageOf(repository, ['other'], { tags: ['latest'] })
      expect((await during(() => repository.head('latest'))).result?.digest).toBe(changed.digest)
    })

    test('where HEAD tells no digest, it is fetched and hashed', async () => {
      const raw = await imageOf(repository, ['layer'], { tags: ['latest'] })
      proxy.meddle({ hide: ['docker-content-digest'] })
      const { asked, result } = await during(() => repository.head('latest'))
      expect(result).toEqual(descriptorOf(raw))
      expect(asked).toEqual(['HEAD 200', 'GET 200'])
      expect((await repository.manifest('latest')).digest).toBe(raw.digest)
    })

    test('gives back what was pushed, byte for byte, by tag and by digest', async () => {
      const big = randomBytes(3 * mebibyte)
      const raw = await imageOf(repository, [big, ''], { tags: ['v1', 'latest'], annotations: { 'a.b/c': 'ü"\\' } })
      for (const reference of ['v1', 'latest', raw.digest]) {
        const found = await repository.manifest(reference)
        expect(found.digest).toBe(raw.digest)
        expect(Buffer.from(found.bytes).equals(Buffer.from(raw.bytes))).toBe(true)
      }
      for (const bytes of [big, Buffer.alloc(0)]) {
        expect((await bytesOf(repository.blob(blobOf(bytes)))).equals(bytes)).toBe(true)
      }
      expect((await during(() => push(repository, big))).asked).toEqual(['HEAD 200'])
    })

    test('a download that was cut goes on where it was, and is verified as a whole', async () => {
      const bytes = randomBytes(2 * mebibyte)
      const blob = await push(repository, bytes)
      let cuts = 0
      proxy.meddle({ cut: ({ method }) => (method === 'GET' && cuts++ < 2 ? 700_000 : undefined) })
      const { asked, result } = await during(() => bytesOf(repository.blob(blob)))
      expect(result.equals(bytes)).toBe(true)
      expect(asked).toEqual(['GET 200', 'GET 206', 'GET 206'])
    })

    test('a blob that is too much in one piece goes in chunks', async () => {
      const small = createClient({ chunkBytes: 256 * 1024 })
      try {
        const bytes = randomBytes(mebibyte + 1)
        const to = small.repository(repository.name)
        proxy.meddle({
          refuse: ({ method, headers }) =>
            method === 'PUT' && Number(headers['content-length']) > 256 * 1024 ? 413 : undefined,
        })
        const { asked, result: blob } = await during(() => push(to, bytes))
        expect(asked.filter((line) => line.startsWith('PATCH'))).toEqual(Array(5).fill('PATCH 202'))
        expect(asked.at(-1)).toBe('PUT 201')
        expect((await bytesOf(repository.blob(blob))).equals(bytes)).toBe(true)
      } finally {
        await small.close()
      }
    })

    test('a blob whose bytes are wrong gets nowhere', async () => {
      const bytes = randomBytes(100_000)
      const blob = blobOf(bytes)
      const wrong = Buffer.from(bytes)
      wrong[50_000]! ^= 1
      await expect(repository.putBlob(blob, () => inPieces(wrong))).rejects.toMatchObject({ code: 'digest_mismatch' })
      await expect(repository.putBlob(blob, () => inPieces(bytes.subarray(1)))).rejects.toMatchObject({
        code: 'size_mismatch',
      })
      expect(await repository.hasBlob(blob)).toBe(false)
      await repository.putBlob(blob, () => inPieces(bytes))
      expect(await repository.hasBlob(blob)).toBe(true)
    })

    test('takes a blob from another repository without a transfer', async () => {
      const raw = await imageOf(repository, [randomBytes(mebibyte)], { tags: ['v1'] })
      const other = client.repository(`${repository.name}-copy`)
      const { asked, result } = await during(() => copy(repository, 'v1', other, { tags: ['v2'] }))
      expect(result).toMatchObject({ digest: raw.digest, mounted: 2, blobsCopied: 0, bytes: 0 })
      expect(asked.filter((line) => /^(?:PATCH|GET .*blobs)/.test(line))).toEqual([])
      expect(asked.filter((line) => line.startsWith('PUT'))).toEqual(['PUT 201'])
      expect((await other.head('v2'))?.digest).toBe(raw.digest)
      expect(await other.hasBlob(blobOf('nothing'))).toBe(false)
    })

    test(`lists 250 tags, on ${hasPages ? 'five pages' : 'the one page that it has'}`, async () => {
      const tags = Array.from({ length: 250 }, (_, at) => `v${at}`)
      await imageOf(repository, ['layer'], { tags })
      proxy.meddle({
        rewrite: (url) => {
          if (url.pathname.endsWith('/tags/list') && url.searchParams.get('n') === '1000')
            url.searchParams.set('n', '60')
        },
      })
      const { asked, result } = await during(() => Array.fromAsync(repository.tags()))
      expect(result).toEqual(tags.toSorted())
      expect(asked).toEqual(Array(hasPages ? 5 : 1).fill('GET 200'))
      if (!hasPages) return
      const page = await repository.tagPage({ n: 100 })
      expect(page.tags).toHaveLength(100)
      const rest = await repository.tagPage({ n: 200, last: page.next! })
      expect([...page.tags, ...rest.tags].toSorted()).toEqual(tags.toSorted())
    })

    test(`lists referrers ${keepsReferrers ? 'as it knows them' : 'from the tag that we keep'}`, async () => {
      const subject = await imageOf(repository, ['layer'], { tags: ['v1'] })
      // One after the other: olareg itself loses one of two that come at once.
      const first = await indexOf(repository, [await imageOf(repository, ['one'])], { subject })
      const second = await indexOf(repository, [await imageOf(repository, ['two'])], { subject })
      expect(digests(await repository.referrers(subject.digest))).toEqual(digests([first, second]))
      expect((await repository.head(referrersTag(subject.digest))) === undefined).toBe(keepsReferrers)
      expect(await repository.referrers(first.digest)).toEqual([])
      expect(await repository.referrers(subject.digest, { artifactType: 'application/none' })).toEqual([])

      await repository.deleteManifest(first.digest)
      expect(digests(await repository.referrers(subject.digest))).toEqual([second.digest])
    })

    test('deletes what it was told to, and says so where a registry cannot', async () => {
      const kept = await imageOf(repository, ['kept'], { tags: ['kept', 'gone'] })
      const gone = await imageOf(repository, ['gone'])
      await repository.deleteManifest(gone.digest)
      expect(await repository.head(gone.digest)).toBeUndefined()
      await expect(repository.deleteManifest(gone.digest)).rejects.toMatchObject({ code: 'not_found' })
      const blob = await push(repository, randomBytes(1000))
      await repository.deleteBlob(blob.digest)
      expect(await repository.hasBlob(blob)).toBe(false)
      if (deletesTags) await repository.deleteTag('gone')
      else await expect(repository.deleteTag('gone')).rejects.toMatchObject({ code: 'unsupported' })
      expect((await repository.head('gone')) === undefined).toBe(deletesTags)
      expect((await repository.head('kept'))?.digest).toBe(kept.digest)
    })

    test('says what is not there, and what it was sent wrong', async () => {
      const missing = client.repository(`${proxy.host}/no/such`)
      expect(await missing.head('latest')).toBeUndefined()
      await expect(missing.manifest('latest')).rejects.toMatchObject({ code: 'not_found', host: proxy.host })
      await expect(bytesOf(missing.blob(blobOf('x')))).rejects.toMatchObject({ code: 'not_found' })
      const tags = Array.fromAsync(missing.tags())
      if (tagsOfNothing === 'empty') expect(await tags).toEqual([])
      else await expect(tags).rejects.toMatchObject({ code: tagsOfNothing })
      const orphan = await imageOf(repository, ['layer'], {
        layers: [{ mediaType: 'application/x', digest: digestOf('lost'), size: 4 }],
      }).catch((error: unknown) => error)
      expect(orphan).toMatchObject({ code: expect.stringMatching(/^(?:denied|not_found)$/) as string })
    })
  })
}

needs(
  'docker-registry',
  'distribution',
  'olareg',
)('from one to the next', () => {
  test('goes an index with its members and what refers to them, every digest the same', async () => {
    const registries = await Promise.all(peers.map(([, { start }]) => start({ allowDelete: true })))
    const client = createClient()
    try {
      const [v2, v3, modern] = registries.map(({ host }) => client.repository(`${host}/acme/app`))
      const members = await Promise.all(['amd64', 'arm64'].map((text) => imageOf(v2!, [text, 'shared'])))
      const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }))
      const root = await indexOf(v2!, members, { tags: ['v1'], platforms })
      const signatures: RawManifest[] = []
      for (const subject of [root, members[0]!]) {
        signatures.push(await indexOf(v2!, [await imageOf(v2!, [`of ${subject.digest}`])], { subject }))
      }
      for (const [from, to] of [
        [v2!, v3!],
        [v3!, modern!],
        [modern!, v2!],
      ] as const) {
        await copy(from, 'v1', to, { tags: ['v1', 'again'], referrers: true })
        for (const raw of [root, ...members, ...signatures]) {
          expect((await to.manifest(raw.digest)).bytes.length, to.name).toBe(raw.bytes.length)
        }
        expect(await to.head('again')).toEqual({ ...descriptorOf(root), mediaType: ociIndex })
        expect(digests(await to.referrers(root.digest))).toEqual([signatures[0]!.digest])
        expect(digests(await to.referrers(members[0]!.digest))).toEqual([signatures[1]!.digest])
      }
    } finally {
      await client.close()
      await Promise.all(registries.map((registry) => registry.stop()))
    }
  })
})

needs('olareg')('one signal', () => {
  test('for hundreds of blobs leaves no listener behind, and no warning', async () => {
    const registry = await startOlareg()
    const client = createClient({ concurrency: 10 })
    const warned: Error[] = []
    const listen = (warning: Error) => warned.push(warning)
    process.on('warning', listen)
    try {
      const { signal } = new AbortController()
      const from = client.repository(`${registry.host}/many/from`)
      const texts = Array.from({ length: 300 }, (_, at) => `layer ${at}`)
      await imageOf(from, texts, { tags: ['v1'] })
      const done = await copy(from, 'v1', client.repository(`${registry.host}/many/to`), { tags: ['v1'], signal })
      expect(done.mounted + done.blobsCopied).toBe(301)
      await new Promise((resolve) => setImmediate(resolve))
      expect(warned).toEqual([])
    } finally {
      process.off('warning', listen)
      await client.close()
      await registry.stop()
    }
  })
})
