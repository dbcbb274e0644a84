import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createQuotas } from '../../../src/app/storage.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { from, image, openRegistry, push, type Opened } from './open.ts'

let opened: Opened
let maxBytes: number | undefined

beforeEach(async () => {
  maxBytes = 1000
  opened = await openRegistry(undefined, { quotaOf: (repository) => (repository === 'a' ? maxBytes : undefined) })
})

afterEach(() => opened.close())

const exceeded = { name: 'StorageError', code: 'quota_exceeded' }
const big = 'x'.repeat(600)
const hourMs = 3_600_000
const usage = () => opened.state.catalog.usage('a')

describe("a repository's quota", () => {
  it('refuses a blob that would be too much, before all of it came, and says so', async () => {
    const repository = opened.registry.repository('a')
    await repository.ingestBlob(from(big), {})
    let taken = 0
    async function* endless(): AsyncIterable<Uint8Array> {
      for (;;) {
        taken += 100
        yield await Promise.resolve(Buffer.alloc(100))
      }
    }
    await expect(repository.ingestBlob(endless(), {})).rejects.toMatchObject({
      ...exceeded,
      message: 'repository a may have 1000 B, and would have more',
    })
    expect(taken).toBe(500)
    expect(await usage()).toBe(600)
  })

  it('refuses what is announced to be too much before it is asked for', async () => {
    let asked = false
    async function* source(): AsyncIterable<Uint8Array> {
      asked = true
      yield await Promise.resolve(Buffer.alloc(1))
    }
    const descriptor = { mediaType: 'text/plain', digest: digestOf('y'), size: 1001 }
    await expect(opened.registry.repository('a').putBlob(descriptor, source)).rejects.toMatchObject({
      ...exceeded,
      message: 'repository a may have 1000 B, and would have 1001 B',
    })
    expect(asked).toBe(false)
  })

  it('is asked again when it is written: two uploads at once do not both fit', async () => {
    const repository = opened.registry.repository('a')
    const both = await Promise.allSettled(['1', '2'].map((end) => repository.ingestBlob(from(big + end), {})))
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await usage()).toBe(601)
  })

  it('holds for sessions, from their start on', async () => {
    const { uploads } = opened.registry
    const id = await uploads.start('a')
    await uploads.append('a', id, from(big), { maxBytes: 10_000 })
    await expect(uploads.append('a', id, from(big), { maxBytes: 10_000 })).rejects.toMatchObject(exceeded)
    await uploads.finish('a', id, digestOf(big))
    await opened.registry.repository('a').ingestBlob(from('y'.repeat(400)), {})
    await expect(uploads.start('a')).rejects.toMatchObject(exceeded)
    await uploads.start('b')
  })

  it('keeps nothing for a session that it refused, until that goes on', async () => {
    const { clock, registry } = opened
    const { uploads } = registry
    const id = await uploads.start('a')
    await clock.advance(hourMs / 2)
    expect(registry.quietBefore('a')).toBe(clock.now() - 1.5 * hourMs)
    await expect(uploads.append('a', id, from(big + big), { maxBytes: 10_000 })).rejects.toMatchObject(exceeded)
    await clock.advance(hourMs + 1)
    expect(registry.quietBefore('a')).toBe(clock.now() - hourMs)
    const again = await uploads.start('a')
    await expect(uploads.append('a', again, from(big + big), { maxBytes: 10_000 })).rejects.toMatchObject(exceeded)
    await uploads.append('a', again, from(big), { maxBytes: 10_000 })
    await clock.advance(hourMs / 2)
    expect(registry.quietBefore('a')).toBe(clock.now() - 1.5 * hourMs)
  })

  it('holds for mounts and manifests', async () => {
    const [a, b] = [opened.registry.repository('a'), opened.registry.repository('b')]
    await b.ingestBlob(from('z'.repeat(1001)), {})
    await expect(a.mount(digestOf('z'.repeat(1001)), { from: 'b' })).rejects.toMatchObject(exceeded)
    for (const text of ['{}', big]) await a.ingestBlob(from(text), {})
    await expect(a.put(image(big, { annotations: { long: big } }), ['v1'])).rejects.toMatchObject(exceeded)
    expect(await a.tagPage({ limit: 10 })).toEqual([])
    expect(await usage()).toBe(602)
  })

  it('lets what is there come again, even when it is too much by now', async () => {
    const repository = opened.registry.repository('a')
    const manifest = await push(repository, 'layer', ['v1'])
    maxBytes = 10
    await repository.ingestBlob(from('layer'), { digest: digestOf('layer') })
    expect(await repository.mount(digestOf('layer'), { from: 'a' })).toBe(true)
    await repository.putManifest(manifest, ['v2'])
    await expect(repository.ingestBlob(from('more'), {})).rejects.toMatchObject(exceeded)
    await push(opened.registry.repository('b'), big, ['v1'])
  })
})

it('of several patterns the longest that matches counts', () => {
  const quotas = { '*': 1, 'policies/*': 2, 'policies/authz': 3, 'a.b': 4, '*/big': 5 }
  const quotaOf = createQuotas(Object.entries(quotas).map(([pattern, maxBytes]) => ({ pattern, maxBytes })))
  const names = ['other', 'policies/x/y', 'policies/authz', 'policies/authz2', 'a.b', 'aab', 'x/big']
  expect(names.map(quotaOf)).toEqual([1, 2, 3, 2, 4, 1, 5])
  expect(createQuotas([])('a')).toBeUndefined()
})
