import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { collect } from '../../../src/registry/collect.ts'
import type { LocalRepository } from '../../../src/registry/types.ts'
import { FakeClock } from '../../support/clock.ts'
import { from, image, openRegistry, push, type Opened } from './open.ts'

// Whoever asked before asks again after each kind of change: what was true a moment ago must not be answered.

const graceMs = 3_600_000
const layer = digestOf('layer')
let opened: Opened
let clock: FakeClock
let a: LocalRepository
let b: LocalRepository

beforeEach(async () => {
  clock = new FakeClock(Date.now())
  opened = await openRegistry(undefined, { clock, quotaOf: (name) => (name === 'small' ? 10 : undefined) })
  a = opened.registry.repository('a')
  b = opened.registry.repository('b')
})

afterEach(() => opened.close())

/** What a client gets that asks for a tag, a manifest, a blob: as v2 asks. */
async function seen(repository: LocalRepository, tag: string, blob = layer) {
  const manifest = await repository.manifest(tag).catch(() => undefined)
  const stat = await repository.statBlob(blob)
  const bytes = stat && (repository.heldBlob(blob) ?? (await repository.smallBlob({ digest: blob, ...stat })))
  return [manifest?.digest, bytes && Buffer.from(bytes).toString()]
}

describe('what was read before', () => {
  it('is gone with its tag, while the manifest stays', async () => {
    const { digest } = await push(a, 'layer', ['v1', 'v2'])
    expect(await seen(a, 'v1')).toEqual([digest, 'layer'])
    await a.removeTag('v1')
    expect(await seen(a, 'v1')).toEqual([undefined, 'layer'])
    expect(await seen(a, 'v2')).toEqual([digest, 'layer'])
    expect(await seen(a, digest)).toEqual([digest, 'layer'])
  })

  it('is gone with the manifest, by digest and by every tag', async () => {
    const { digest } = await push(a, 'layer', ['v1', 'v2'])
    for (const reference of ['v1', 'v2', digest]) expect(await seen(a, reference)).toEqual([digest, 'layer'])
    await a.removeManifest(digest)
    for (const reference of ['v1', 'v2', digest]) expect(await seen(a, reference)).toEqual([undefined, 'layer'])
  })

  it('is gone with the blob, from that repository alone', async () => {
    const { digest } = await push(a, 'layer', ['v1'])
    await b.mount(layer, { from: 'a' })
    expect(await seen(a, 'v1')).toEqual([digest, 'layer'])
    expect(await seen(b, 'v1')).toEqual([undefined, 'layer'])
    await a.removeBlob(layer)
    expect(await seen(a, 'v1')).toEqual([digest, undefined])
    expect(await seen(b, 'v1')).toEqual([undefined, 'layer'])
  })

  it('is what a tag was moved to', async () => {
    const first = await push(a, 'layer', ['latest'])
    expect(await seen(a, 'latest')).toEqual([first.digest, 'layer'])
    const second = await push(a, 'another layer', ['latest'])
    expect(await seen(a, 'latest')).toEqual([second.digest, 'layer'])
    await a.putManifest(first, ['latest'])
    expect(await seen(a, 'latest')).toEqual([first.digest, 'layer'])
  })

  it('is in no repository that it was not put into', async () => {
    await push(a, 'layer', ['v1'])
    await seen(a, 'v1')
    expect(await seen(b, 'v1')).toEqual([undefined, undefined])
    expect(await b.mount(layer, { from: 'a' })).toBe(true)
    expect(await seen(b, 'v1')).toEqual([undefined, 'layer'])
  })

  it('is what a push over the quota left', async () => {
    const small = opened.registry.repository('small')
    await small.ingestBlob(from('layer'), {})
    expect(await seen(small, 'v1')).toEqual([undefined, 'layer'])
    await expect(small.putManifest(image('layer'), ['v1'])).rejects.toThrow()
    expect(await seen(small, 'v1')).toEqual([undefined, 'layer'])
  })

  it('is gone when it was collected, from memory too', async () => {
    await a.ingestBlob(from('layer'), {})
    expect(await seen(a, 'v1')).toEqual([undefined, 'layer'])
    await clock.advance(2 * graceMs)
    const { content, registry, state } = opened
    const parts = { content, registry, collection: state.collection, clock, logger: silentLogger }
    await collect(
      { ...parts, limits: { graceMs, pauseMs: 0, settleMs: 0 } },
      { dryRun: false, keep: new Map(), untaggedMs: null },
    )
    expect(await seen(a, 'v1')).toEqual([undefined, undefined])
    expect(a.heldBlob(layer)).toBeUndefined()
  })
})

it('a blob that is not small is not held', async () => {
  const bytes = Buffer.alloc(64 * 1024 + 1)
  const blob = await a.ingestBlob(from(bytes), {})
  expect(await a.smallBlob(blob)).toBeUndefined()
  expect(a.heldBlob(blob.digest)).toBeUndefined()
})
