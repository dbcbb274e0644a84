import { utimesSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Content } from '../../../src/content/content.ts'
import { removeIfDamaged } from '../../../src/content/damage.ts'
import { fileSteps, type FileSteps } from '../../../src/content/files.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { tempDir } from '../../support/temp.ts'

let path: string
let content: Content

beforeEach(async () => {
  path = tempDir('removing')
  content = await open()
})

function open(steps?: FileSteps): Promise<Content> {
  return createFolderContent({ path, logger: silentLogger, ...(steps && { steps }) })
}

async function* from(text: string): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text))
}

const digest = digestOf('x')
const isThere = async () => (await content.stat(digest)) !== undefined

describe('removing', () => {
  it('asks first', async () => {
    await content.ingest(from('x'))
    expect(await content.remove(digest, () => Promise.resolve(false))).toBe(false)
    expect(await isThere()).toBe(true)
    expect(await content.remove(digest, () => Promise.resolve(true))).toBe(true)
    expect(await isThere()).toBe(false)
  })

  it('is not done while the same is being written down', async () => {
    const recorded = Promise.withResolvers<void>()
    const stored = Promise.withResolvers<void>()
    const record = () => {
      stored.resolve()
      return recorded.promise
    }
    const ingested = content.ingest(from('x'), { record })
    await stored.promise
    expect(await content.remove(digest)).toBe(false)
    recorded.resolve()
    await ingested
    expect(await isThere()).toBe(true)
  })

  it.each(['ingest', 'partial'] as const)('is over before the same is stored again (%s)', async (way) => {
    await content.ingest(from('x'))
    const asked = Promise.withResolvers<boolean>()
    const removed = content.remove(digest, () => asked.promise)
    const partial = await content.startPartial()
    await partial.append(from('x'), { maxBytes: 1 })
    const order: string[] = []
    const record = async () => void order.push('recorded')
    const ingested = way === 'ingest' ? content.ingest(from('x'), { record }) : partial.finish(digest, record)
    void removed.then(() => order.push('removed'))
    // Enough turns for an ingest that does not wait to be done.
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve))
    asked.resolve(true)
    await ingested
    expect(order).toEqual(['removed', 'recorded'])
    expect(await isThere()).toBe(true)
    if (way === 'ingest') await partial.cancel()
  })

  it('lets others go on: a removal holds nobody but those who store the same', async () => {
    await content.ingest(from('x'))
    const asked = Promise.withResolvers<boolean>()
    const removed = content.remove(digest, () => asked.promise)
    await content.ingest(from('y'))
    asked.resolve(true)
    expect(await removed).toBe(true)
  })

  it('lets many store the same at once, and is possible afterwards', async () => {
    const all = Promise.withResolvers<void>()
    let waiting = 0
    const record = () => {
      waiting += 1
      if (waiting === 3) all.resolve()
      return all.promise
    }
    await Promise.all([1, 2, 3].map(() => content.ingest(from('x'), { record })))
    expect(await content.remove(digest)).toBe(true)
  })

  it('is possible after an ingest that failed, and after a removal that failed', async () => {
    const record = () => Promise.reject(new Error('the state is gone'))
    await expect(content.ingest(from('x'), { record })).rejects.toThrow('the state is gone')
    let failures = 1
    content = await open({
      ...fileSteps,
      remove: (file) => {
        if (file.includes('blobs') && failures-- > 0) return Promise.reject(new Error('EIO'))
        return fileSteps.remove(file)
      },
    })
    await expect(content.remove(digest)).rejects.toMatchObject({ code: 'io' })
    expect(await content.remove(digest)).toBe(true)
  })
})

it('takes a damaged blob away, but never the good one that comes meanwhile', async () => {
  await content.ingest(from('x'))
  writeFileSync(await content.file(digest), 'y')
  const verify = content.verify.bind(content)
  let coming: Promise<unknown> | undefined
  const noticed = removeIfDamaged(
    {
      async remove(which, confirm) {
        await coming
        return content.remove(which, confirm)
      },
      verify: async (which) => {
        const isRight = await verify(which)
        coming = content.ingest(from('x'))
        return isRight
      },
    },
    digest,
  )
  expect(await noticed).toBe(true)
  await coming
  expect(await content.verify(digest)).toBe(true)
})

it('lists when a file came here, even where it is older than that', async () => {
  const before = Date.now() - 1000
  await content.ingest(from('x'))
  utimesSync(await content.file(digest), 1, 1)
  for await (const { changedAt } of content.list()) expect(changedAt).toBeGreaterThan(before)
})
