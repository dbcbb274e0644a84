import { describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { copy } from '../../../src/oci/copy.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { ociIndex, ociLayerNondistributable, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../../src/oci/target.ts'
import { blobOf, imageOf, indexOf, MemoryRepository } from '../../support/repository.ts'

const linux = { os: 'linux', architecture: 'amd64' }
const arm = { os: 'linux', architecture: 'arm64' }

describe('copy', () => {
  it('copies a manifest and its blobs, bytes unchanged, and reports what it took', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const raw = await imageOf(from, ['one', 'two'], { tags: ['v1'] })
    const progress: number[] = []
    const result = await copy(from, 'v1', to, {
      tags: ['latest', 'v1'],
      onProgress: ({ bytes }) => progress.push(bytes),
    })
    expect(result).toEqual({
      mediaType: ociManifest,
      digest: raw.digest,
      size: raw.bytes.length,
      blobsCopied: 3,
      bytes: 8,
      mounted: 0,
      skipped: 0,
    })
    expect(Buffer.from((await to.manifest('latest')).bytes)).toEqual(Buffer.from(raw.bytes))
    expect(to.tagged).toEqual(
      new Map([
        ['latest', raw.digest],
        ['v1', raw.digest],
      ]),
    )
    expect(progress.at(-1)).toBe(8)
  })

  it('sends nothing twice, and shared layers once', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const members = [await imageOf(from, ['shared', 'a']), await imageOf(from, ['shared', 'b'])]
    const index = await indexOf(from, members, { tags: ['v1'] })
    expect(await copy(from, 'v1', to)).toMatchObject({ digest: index.digest, mediaType: ociIndex, blobsCopied: 4 })
    expect(await copy(from, 'v1', to)).toMatchObject({ blobsCopied: 0 })
    expect(to.log.filter((line) => line.startsWith('putBlob'))).toHaveLength(4)
  })

  it('puts children before parents, through nested indexes', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const image = await imageOf(from, ['x'])
    const inner = await indexOf(from, [image])
    const outer = await indexOf(from, [inner], { tags: ['v1'] })
    await copy(from, 'v1', to)
    expect(to.log.filter((line) => line.startsWith('putManifest'))).toEqual(
      [image, inner, outer].map((raw) => `putManifest ${raw.digest} `),
    )
  })

  it('mounts what the other side can take without a transfer', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    to.mountable = true
    await imageOf(from, ['one'], { tags: ['v1'] })
    expect(await copy(from, 'v1', to)).toMatchObject({ mounted: 2, blobsCopied: 0, bytes: 0 })
  })

  it('takes of an index only the member for the platform, which becomes the root', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const [wanted, other] = [await imageOf(from, ['amd']), await imageOf(from, ['arm'])]
    await indexOf(from, [other, wanted], { tags: ['v1'], platforms: [arm, linux] })
    expect(await copy(from, 'v1', to, { platform: 'linux/amd64' })).toMatchObject({ digest: wanted.digest })
    expect(to.manifests.has(other.digest)).toBe(false)
    await expect(copy(from, 'v1', to, { platform: 'windows/amd64' })).rejects.toMatchObject({
      code: 'unsupported_artifact',
      message: expect.stringContaining('linux/arm64, linux/amd64') as string,
    })
  })

  it('leaves out layers that may not be distributed', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const foreign: Descriptor = {
      mediaType: `${ociLayerNondistributable}+gzip`,
      digest: digestOf('elsewhere'),
      size: 9,
    }
    await imageOf(from, ['own'], { tags: ['v1'], layers: [foreign] })
    expect(await copy(from, 'v1', to)).toMatchObject({ blobsCopied: 2, skipped: 1 })
  })

  it('takes referrers along, and theirs, and what cosign tagged; the tag comes last', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const image = await imageOf(from, ['x'], { tags: ['v1'] })
    const signature = await imageOf(from, ['signature'], { subject: image })
    const countersignature = await imageOf(from, ['again'], { subject: signature })
    const cosigned = await imageOf(from, ['cosign'], { tags: [`${image.digest.replace(':', '-')}.sig`] })
    await copy(from, 'v1', to, { referrers: true, tags: ['latest'] })
    expect([...to.manifests.keys()].sort()).toEqual(
      [image, signature, countersignature, cosigned].map(({ digest }) => digest).sort(),
    )
    expect(to.tagged.get(`${image.digest.replace(':', '-')}.sig`)).toBe(cosigned.digest)
    expect(to.log.at(-1)).toBe(`putManifest ${image.digest} latest`)
    expect(to.log.filter((line) => line.endsWith(' latest'))).toHaveLength(1)
  })

  it('takes the subject of what it copies along, where there is one, but not what else refers to that', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const subject = await imageOf(from, ['subject'])
    const root = await imageOf(from, ['root'], { tags: ['v1'], subject })
    const other = await imageOf(from, ['other'], { subject })
    const signature = await imageOf(from, ['signature'], { subject: root })
    await copy(from, 'v1', to, { referrers: true })
    expect([...to.manifests.keys()]).toEqual([subject, root, signature].map(({ digest }) => digest))
    expect(to.manifests.has(other.digest)).toBe(false)
    const without = new MemoryRepository('without')
    from.manifests.delete(subject.digest)
    await copy(from, 'v1', without)
    expect([...without.manifests.keys()]).toEqual([root.digest])
  })

  it('ends when a referrer names its subject again', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const image = await imageOf(from, ['x'], { tags: ['v1'] })
    await indexOf(from, [image], { subject: image })
    await copy(from, 'v1', to, { referrers: true })
    expect(to.manifests.size).toBe(2)
  })

  it('fails without its referrers, unless told that they may be missed', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    await imageOf(from, ['x'], { tags: ['v1'] })
    from.referrers = () => Promise.reject(new RemoteError('unavailable', 'down', { host: 'from' }))
    await expect(copy(from, 'v1', to, { referrers: true })).rejects.toMatchObject({ code: 'unavailable' })
    const missed: string[] = []
    await copy(from, 'v1', to, { referrers: true, onMissedReferrers: ({ code }) => missed.push(code), tags: ['v1'] })
    expect(missed).toEqual(['unavailable'])
    expect(to.tagged.has('v1')).toBe(true)
  })

  it('sends the children once more when the registry lost one that it said it had', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    await imageOf(from, ['x'], { tags: ['v1'] })
    const put = to.putManifest.bind(to)
    to.hasBlob = () => Promise.resolve(true)
    to.putManifest = async (raw, tags) => {
      const lost = to.blobs.size === 0
      if (lost)
        throw new RegistryError('not_found', 'no blob', {
          host: 'to',
          status: 404,
          specCodes: ['MANIFEST_BLOB_UNKNOWN'],
        })
      await put(raw, tags)
    }
    expect(await copy(from, 'v1', to)).toMatchObject({ blobsCopied: 2 })
    to.putManifest = () =>
      Promise.reject(new RegistryError('denied', 'no', { host: 'to', status: 403, specCodes: ['DENIED'] }))
    await expect(copy(from, 'v1', to)).rejects.toMatchObject({ code: 'denied' })
  })

  it('refuses a manifest that names nothing but itself deeper and deeper', async () => {
    const from = new MemoryRepository('from')
    let raw: RawManifest = await imageOf(from, ['x'])
    for (let depth = 0; depth < 12; depth++) raw = await indexOf(from, [raw])
    await expect(copy(from, raw.digest, new MemoryRepository('to'))).rejects.toMatchObject({ code: 'bad_manifest' })
  })

  it('stops everything at the first failure and leaves nothing running', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    const raw = await imageOf(from, ['good', 'bad'], { tags: ['v1'] })
    from.blobs.set(blobOf('bad').digest, Buffer.from('a lie'))
    await expect(copy(from, 'v1', to, { tags: ['v1'] })).rejects.toMatchObject({ code: 'size_mismatch' })
    expect(to.manifests.has(raw.digest)).toBe(false)
  })

  it('moves at most so many blobs at once', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    await imageOf(from, ['a', 'b', 'c', 'd', 'e', 'f'], { tags: ['v1'] })
    const put = to.putBlob.bind(to)
    let [now, most] = [0, 0]
    to.putBlob = async (descriptor, open) => {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setImmediate(resolve))
      await put(descriptor, open)
      now--
    }
    await copy(from, 'v1', to, { concurrency: 2 })
    expect(most).toBe(2)
  })

  it('stops when it is told to', async () => {
    const [from, to] = [new MemoryRepository('from'), new MemoryRepository('to')]
    await imageOf(from, ['a'], { tags: ['v1'] })
    const stop = new AbortController()
    to.putBlob = (_descriptor, _open, signal) => {
      stop.abort(new Error('enough'))
      return Promise.reject(signal!.reason as Error)
    }
    await expect(copy(from, 'v1', to, { signal: stop.signal })).rejects.toThrow('enough')
  })
})
