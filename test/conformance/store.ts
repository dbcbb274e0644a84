import { describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import type { Sink } from '../../src/oci/target.ts'
import type { Store } from '../../src/stores/store.ts'
import { imageOf, indexOf, MemoryRepository } from '../support/repository.ts'

export interface StoreUnderTest {
  store: Store
  /** Where the store reads: what is pushed here it must offer. */
  origin: Sink
}

const signal = new AbortController().signal
const options = { platform: 'linux/amd64', signal }

/** What every store over OCI content promises. `open` gives an empty one each time. */
export function testStore(kind: string, open: () => Promise<StoreUnderTest>): void {
  describe(`store ${kind}`, () => {
    it('offers what a tag stands for, and sees when that changes', async () => {
      const { store, origin } = await open()
      const first = await imageOf(origin, ['one'], { tags: ['v1'] })
      const offered = await store.resolve({ tag: 'v1' }, signal)
      expect(offered).toEqual({ version: 'v1', fingerprint: first.digest })
      expect(await store.resolve({ tag: 'v1' }, signal)).toEqual(offered)
      const second = await imageOf(origin, ['two'], { tags: ['v1'] })
      expect(await store.resolve({ tag: 'v1' }, signal)).toEqual({ version: 'v1', fingerprint: second.digest })
    })

    it('offers a digest wherever tags go', async () => {
      const { store, origin } = await open()
      const raw = await imageOf(origin, ['one'], { tags: ['v1'] })
      await imageOf(origin, ['two'], { tags: ['v1'] })
      const offered = await store.resolve({ digest: raw.digest }, signal)
      expect(offered).toEqual({ version: raw.digest, fingerprint: raw.digest })
    })

    it('has nothing for what is not there: that is an answer, no error', async () => {
      const { store, origin } = await open()
      await imageOf(origin, ['one'], { tags: ['v1'] })
      expect(await store.resolve({ tag: 'v2' }, signal)).toBeUndefined()
      expect(await store.resolve({ digest: digestOf('nothing') }, signal)).toBeUndefined()
    })

    it('brings what it offered, bytes unchanged, though the tag has moved on', async () => {
      const { store, origin } = await open()
      const raw = await imageOf(origin, ['one', 'more'], { tags: ['v1'] })
      const offered = await store.resolve({ tag: 'v1' }, signal)
      await imageOf(origin, ['two'], { tags: ['v1'] })
      const into = new MemoryRepository('into')
      const { manifest, bytes } = await store.fetch(offered!, into, options)
      expect(manifest).toEqual({ mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length })
      expect(Buffer.from(into.manifests.get(raw.digest)!.bytes)).toEqual(Buffer.from(raw.bytes))
      expect(into.blobs.get(digestOf('more'))?.toString()).toBe('more')
      expect(into.tagged.size).toBe(0)
      expect(bytes).toBeGreaterThan(0)
    })

    it('brings of an index the member for the platform, and its signatures', async () => {
      const { store, origin } = await open()
      const [wanted, other] = [await imageOf(origin, ['amd64']), await imageOf(origin, ['arm64'])]
      const platforms = ['arm64', 'amd64'].map((architecture) => ({ os: 'linux', architecture }))
      const index = await indexOf(origin, [other, wanted], { tags: ['v1'], platforms })
      const signature = await imageOf(origin, ['signature'], { subject: wanted })
      const offered = await store.resolve({ tag: 'v1' }, signal)
      expect(offered?.fingerprint).toBe(index.digest)
      const into = new MemoryRepository('into')
      const { manifest } = await store.fetch(offered!, into, options)
      expect(manifest.digest).toBe(wanted.digest)
      expect([...into.manifests.keys()].sort()).toEqual([wanted.digest, signature.digest].sort())
    })

    it('refuses an index without a member for the platform', async () => {
      const { store, origin } = await open()
      const platforms = [{ os: 'windows', architecture: 'amd64' }]
      await indexOf(origin, [await imageOf(origin, ['x'])], { tags: ['v1'], platforms })
      const offered = await store.resolve({ tag: 'v1' }, signal)
      const fetched = store.fetch(offered!, new MemoryRepository('into'), options)
      await expect(fetched).rejects.toMatchObject({ name: 'IntegrityError', code: 'unsupported_artifact' })
    })

    it('lists the names of all it has', async () => {
      const { store, origin } = await open()
      const raw = await imageOf(origin, ['one'], { tags: ['v1', 'v2', 'junk'] })
      await imageOf(origin, ['untagged'])
      expect((await store.versions(signal)).sort()).toEqual(['junk', 'v1', 'v2'])
      await origin.putManifest(raw, ['v3'])
      expect((await store.versions(signal)).sort()).toEqual(['junk', 'v1', 'v2', 'v3'])
    })

    it('says when something was made, as far as it says so itself', async () => {
      const { store, origin } = await open()
      const annotations = { 'org.opencontainers.image.created': '2024-06-01T12:00:00Z' }
      const dated = await imageOf(origin, ['one'], { tags: ['v1'], annotations })
      const undated = await imageOf(origin, ['two'], { tags: ['v2'] })
      const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }))
      const index = await indexOf(origin, [dated, undated], { tags: ['v3'], platforms })
      const at = (raw: { digest: string }) => store.createdAt({ version: 'v', fingerprint: raw.digest }, options)
      expect(await at(dated)).toBe(Date.UTC(2024, 5, 1, 12))
      expect(await at(undated)).toBeUndefined()
      expect(await at(index)).toBe(Date.UTC(2024, 5, 1, 12))
    })

    it('stops when it is told to', async () => {
      const { store, origin } = await open()
      const raw = await imageOf(origin, ['one'], { tags: ['v1'] })
      const aborted = AbortSignal.abort(new Error('enough'))
      await expect(store.resolve({ tag: 'v1' }, aborted)).rejects.toThrow('enough')
      const candidate = { version: 'v1', fingerprint: raw.digest }
      const fetched = store.fetch(candidate, new MemoryRepository('into'), { ...options, signal: aborted })
      await expect(fetched).rejects.toThrow('enough')
    })

    it('says what it is and where it reads', async () => {
      const { store } = await open()
      expect(store.name).not.toBe('')
      expect(store.address).not.toBe('')
      await store.close?.()
    })
  })
}
