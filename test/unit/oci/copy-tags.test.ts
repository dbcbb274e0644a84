import { describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { copyTags } from '../../../src/oci/copy-tags.ts'
import { imageOf, indexOf, MemoryRepository } from '../../support/repository.ts'

const pair = () => [new MemoryRepository('from'), new MemoryRepository('to')] as const

describe('copying all tags', () => {
  it('brings every tag, and once what several share', async () => {
    const [from, to] = pair()
    const one = await imageOf(from, ['shared', 'a'], { tags: ['v1', 'latest'] })
    const two = await imageOf(from, ['shared', 'b'], { tags: ['v2'] })
    const index = await indexOf(from, [one, two], { tags: ['all'] })
    const result = await copyTags(from, to)
    expect(to.tagged).toEqual(from.tagged)
    expect(result).toEqual({
      tags: [
        { tag: 'all', digest: index.digest, changed: true },
        { tag: 'latest', digest: one.digest, changed: true },
        { tag: 'v1', digest: one.digest, changed: true },
        { tag: 'v2', digest: two.digest, changed: true },
      ],
      blobsCopied: 4,
      bytes: 10,
      mounted: 0,
      skipped: 0,
    })
    expect(to.log.filter((line) => line.startsWith('putBlob'))).toHaveLength(4)
  })

  it('asks a new target only for what is big, another for everything', async () => {
    const [from, to] = pair()
    const asked: number[] = []
    const hasBlob = to.hasBlob.bind(to)
    to.hasBlob = (descriptor) => {
      asked.push(descriptor.size)
      return hasBlob(descriptor)
    }
    const big = 'b'.repeat(16 * 1024 + 1)
    await imageOf(from, ['small', big], { tags: ['v1'] })
    await copyTags(from, to)
    expect(asked).toEqual([big.length])
    asked.length = 0
    await imageOf(from, ['more'], { tags: ['v2'] })
    await copyTags(from, to)
    // The config, which both have, and the new layer.
    expect(asked.toSorted()).toEqual([2, 4])
  })

  it('leaves alone what is the same at both, and what only the target has', async () => {
    const [from, to] = pair()
    await imageOf(from, ['a'], { tags: ['v1'] })
    await copyTags(from, to)
    const own = await imageOf(to, ['own'], { tags: ['own'] })
    const two = await imageOf(from, ['b'], { tags: ['v2'] })
    from.log.length = to.log.length = 0
    const { tags } = await copyTags(from, to)
    expect(tags.map(({ tag, changed }) => [tag, changed])).toEqual([
      ['v1', false],
      ['v2', true],
    ])
    expect(to.tagged.get('own')).toBe(own.digest)
    expect(to.log.filter((line) => line.startsWith('putManifest'))).toEqual([`putManifest ${two.digest} v2`])
    expect(from.log.filter((line) => line.startsWith('manifest'))).toEqual(['manifest v2'])
  })

  it('moves a tag that stands for something else there', async () => {
    const [from, to] = pair()
    await imageOf(to, ['old'], { tags: ['v1'] })
    const wanted = await imageOf(from, ['new'], { tags: ['v1'] })
    await copyTags(from, to)
    expect(to.tagged.get('v1')).toBe(wanted.digest)
  })

  it('brings what refers to each along, and the tags only then', async () => {
    const [from, to] = pair()
    const image = await imageOf(from, ['a'], { tags: ['v1'] })
    const signature = await imageOf(from, ['signature'], { subject: image })
    await copyTags(from, to, { referrers: true })
    const puts = to.log.filter((line) => line.startsWith('putManifest'))
    expect(puts.indexOf(`putManifest ${signature.digest} `)).toBeLessThan(
      puts.indexOf(`putManifest ${image.digest} v1`),
    )
    expect(puts).toContain(`putManifest ${signature.digest} `)
  })

  it('ends with the first failure, with nothing left under way', async () => {
    const [from, to] = pair()
    for (let at = 0; at < 30; at++) await imageOf(from, [`layer ${at}`], { tags: [`v${at}`] })
    let calls = 0
    to.putBlob = async () => {
      calls += 1
      await Promise.resolve()
      throw new RemoteError('denied', 'no', { host: 'to' })
    }
    await expect(copyTags(from, to)).rejects.toMatchObject({ code: 'denied' })
    const before = calls
    await new Promise(setImmediate)
    expect(calls).toBe(before)
    expect(to.tagged.size).toBe(0)
  })

  it('fills a repository that is not there yet, and hears why it cannot look at another', async () => {
    const [from, to] = pair()
    await imageOf(from, ['a'], { tags: ['v1'] })
    const refusal = (code: 'not_found' | 'denied') => new RemoteError(code, 'no', { host: 'to' })
    // eslint-disable-next-line require-yield
    to.tags = async function* () {
      throw refusal('not_found')
    }
    expect((await copyTags(from, to)).tags).toHaveLength(1)
    // eslint-disable-next-line require-yield
    to.tags = async function* () {
      throw refusal('denied')
    }
    await expect(copyTags(from, to)).rejects.toMatchObject({ code: 'denied' })
  })
})
