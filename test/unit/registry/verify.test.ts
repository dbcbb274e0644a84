import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociLayerTarGzip, ociManifest } from '../../../src/oci/media.ts'
import { rebuildCatalog } from '../../../src/registry/rebuild.ts'
import { verifyContent, type Finding, type VerifyOptions } from '../../../src/registry/verify.ts'
import { waitFor } from '../../support/wait.ts'
import { descriptor, from, image, index, openRegistry, push, type Opened } from './open.ts'

let opened: Opened

beforeEach(async () => {
  opened = await openRegistry()
})

afterEach(() => opened.close())

const verify = (options: VerifyOptions = {}) => verifyContent({ ...opened, catalog: opened.state.catalog }, options)

async function findings(): Promise<Omit<Finding, 'message'>[]> {
  const { findings } = await verify()
  return findings.map(({ digest, kind }) => ({ digest, kind }))
}

const order = (a: { digest: string; kind: string }, b: { digest: string; kind: string }) =>
  `${a.kind}${a.digest}` < `${b.kind}${b.digest}` ? -1 : 1

describe('verifying', () => {
  it('finds nothing where nothing is wrong, and says how much it read', async () => {
    const { bytes } = await push(opened.registry.repository('a'), 'x', ['v1'])
    await opened.content.ingest(from('nobody names this'))
    const seen: object[] = []
    const verified = await verify({ progress: (one) => void seen.push(one) })
    expect(verified).toEqual({ blobs: 4, bytes: bytes.length + 2 + 1 + 17, found: 0, findings: [] })
    expect(seen).toHaveLength(4)
    expect(seen.at(-1)).toEqual({ blobs: 4, bytes: verified.bytes })
  })

  it('finds blobs that are damaged or gone, each once, and takes away what is damaged', async () => {
    const a = opened.registry.repository('a')
    const manifest = await push(a, 'layer', ['v1'])
    const { digest: other } = await opened.registry.repository('b').ingestBlob(from('other'), {})
    // It is in memory from here on.
    await a.manifest('v1')
    writeFileSync(await opened.content.file(digestOf('layer')), 'LAYER')
    writeFileSync(await opened.content.file(other), 'oth')
    rmSync(await opened.content.file(manifest.digest))
    const wanted = [
      { digest: digestOf('layer'), kind: 'damaged' as const },
      { digest: other, kind: 'damaged' as const },
      { digest: manifest.digest, kind: 'missing' as const },
    ]
    expect((await findings()).sort(order)).toEqual(wanted.sort(order))
    expect(await opened.content.stat(digestOf('layer'))).toBeUndefined()
    expect(await a.hasBlob(descriptor('layer', ociLayerTarGzip))).toBe(false)
    await expect(a.manifest('v1')).rejects.toMatchObject({ code: 'corrupt' })
    expect((await findings()).map(({ kind }) => kind)).toEqual(['missing', 'missing', 'missing'])
    // What is pushed again is there again.
    await push(a, 'layer', ['v1'])
    await opened.registry.repository('b').ingestBlob(from('other'), {})
    expect(await findings()).toEqual([])
  })

  it('leaves what only the reading got wrong', async () => {
    await push(opened.registry.repository('a'), 'layer', ['v1'])
    const right = opened.content.verify.bind(opened.content)
    let wrong: string | undefined
    opened.content.verify = async (digest) => {
      if (wrong !== undefined) return right(digest)
      wrong = digest
      return false
    }
    const { findings: found } = await verify()
    expect(found).toEqual([
      { digest: wrong, kind: 'damaged', message: expect.stringMatching(/right when they were read again/) },
    ])
    expect(await findings()).toEqual([])
  })

  it('finds what the catalog has under another size', async () => {
    await opened.content.ingest(from('x'), {
      record: ({ digest }) => opened.state.catalog.addBlob('a', { digest, size: 7 }, 1),
    })
    expect(await findings()).toEqual([{ digest: digestOf('x'), kind: 'wrong_size' }])
  })

  it('goes on where a blob goes meanwhile', async () => {
    await opened.content.ingest(from('x'))
    const right = opened.content.verify.bind(opened.content)
    opened.content.verify = async (digest) => {
      await opened.content.remove(digest)
      return right(digest)
    }
    expect(await findings()).toEqual([])
  })

  it('rests as long as it works, unless it is alone', async () => {
    for (const text of ['x', 'y', 'z']) await opened.content.ingest(from(text))
    const { clock } = opened
    const right = opened.content.verify.bind(opened.content)
    opened.content.verify = async (digest) => {
      await clock.advance(30)
      return right(digest)
    }
    const startedAt = clock.monotonic()
    await verify({ isAlone: true })
    expect(clock.monotonic() - startedAt).toBe(90)
    const shared = verify()
    let isDone = false
    void shared.then(() => (isDone = true))
    await waitFor('it to end', async () => {
      if (clock.nextInMs() !== undefined) await clock.advance(clock.nextInMs()!)
      return isDone
    })
    expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(90 + 180)
  })

  it('stops at the signal', async () => {
    await push(opened.registry.repository('a'), 'x')
    await expect(verify({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })
})

describe('rebuilding', () => {
  /** The database is lost, the folder is not. */
  async function lose() {
    await opened.close()
    for (const name of ['state.db', 'state.db-wal', 'state.db-shm']) rmSync(join(opened.folder, name), { force: true })
    opened = await openRegistry(opened.folder)
    const { folder, content, clock } = opened
    return rebuildCatalog({ folder, content, clock, catalog: opened.state.catalog })
  }

  it('restores repositories, tags, blobs, indexes and referrers', async () => {
    const a = opened.registry.repository('team/a')
    const child = await push(a, 'x', ['v1', 'latest'])
    const list = index(child)
    await a.putManifest(list, ['multi'])
    const subject = { mediaType: ociManifest, digest: child.digest, size: child.bytes.byteLength }
    const signature = await push(a, 'sig', [], { subject, artifactType: 'sig/nature' })
    await push(opened.registry.repository('a/blobs'), 'y', ['only'])

    expect(await lose()).toEqual({ repositories: 2, manifests: 4, tags: 4, problems: [] })
    const again = opened.registry.repository('team/a')
    expect(await opened.registry.repositories({ limit: 9 })).toEqual(['a/blobs', 'team/a'])
    expect(await again.tagPage({ limit: 9 })).toEqual(['latest', 'multi', 'v1'])
    expect(Buffer.compare((await again.manifest('v1')).bytes, child.bytes)).toBe(0)
    expect((await again.head('multi'))!.digest).toBe(list.digest)
    expect(await again.listReferrers(child.digest)).toMatchObject([
      { digest: signature.digest, artifactType: 'sig/nature' },
    ])
    expect(await again.statBlob(digestOf('x'))).toEqual({ size: 1 })
    expect(await again.statBlob(digestOf('y'))).toBeUndefined()
  })

  it('tells what is gone, and restores the rest', async () => {
    const a = opened.registry.repository('a')
    const [whole, partly, gone] = [
      await push(a, 'x', ['whole']),
      await push(a, 'y', ['partly']),
      await push(a, 'z', ['gone']),
    ]
    rmSync(await opened.content.file(gone.digest))
    rmSync(await opened.content.file(digestOf('y')))
    const { problems, ...counts } = await lose()
    expect(counts).toEqual({ repositories: 1, manifests: 2, tags: 2 })
    expect(problems).toHaveLength(2)
    expect(problems.join()).toContain(digestOf('y'))
    expect(problems.join()).toContain(gone.digest.slice(7))
    const again = opened.registry.repository('a')
    expect(await again.tagPage({ limit: 9 })).toEqual(['partly', 'whole'])
    expect(await again.head('whole')).toMatchObject({ digest: whole.digest })
    expect(await again.head('partly')).toMatchObject({ digest: partly.digest })
  })

  it('refuses an index that cannot be read: it is not an empty one', async () => {
    await push(opened.registry.repository('a'), 'x', ['v1'])
    await opened.registry.close()
    writeFileSync(join(opened.folder, 'repositories/a/index.json'), '{"manifests":[{"digest":"sha256:')
    await expect(lose()).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
    writeFileSync(join(opened.folder, 'repositories/a/index.json'), '{"schemaVersion":2}')
    await expect(lose()).rejects.toMatchObject({ name: 'StorageError', code: 'corrupt' })
  })

  it('finds nothing in a new folder', async () => {
    expect(await lose()).toEqual({ repositories: 0, manifests: 0, tags: 0, problems: [] })
    expect(await opened.registry.repository('a').head(image('x').digest)).toBeUndefined()
  })
})
