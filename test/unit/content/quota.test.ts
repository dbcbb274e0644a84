import { writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Content } from '../../../src/content/content.ts'
import { fileSteps } from '../../../src/content/files.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { tempDir } from '../../support/temp.ts'

let path: string
let content: Content

async function* from(...chunks: string[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk))
}

const open = (more: object = {}) => createFolderContent({ path, logger: silentLogger, quotaBytes: 10, ...more })
const exceeded = { name: 'StorageError', code: 'quota_exceeded' }
/** So much can still come, and no more. */
async function expectLeft(bytes: number): Promise<void> {
  const partial = await content.startPartial()
  await partial.append(from('x'.repeat(bytes)), { maxBytes: 100 })
  await expect(partial.append(from('x'), { maxBytes: 100 })).rejects.toMatchObject(exceeded)
  await partial.cancel()
}

beforeEach(async () => {
  path = tempDir('quota')
  content = await open()
})

describe('a quota', () => {
  it('is for all blobs together, and says what there is', async () => {
    await content.ingest(from('1234', '567'))
    await expect(content.ingest(from('ab', 'cd'))).rejects.toMatchObject({
      ...exceeded,
      message: 'all content together may have 10 B, and has 9 B already',
      hint: expect.stringMatching(/content\.quota/) as string,
    })
    await expectLeft(3)
  })

  it('refuses what is announced to be too much before it is asked for', async () => {
    content = await open({ quotaBytes: 1024 ** 2 })
    let asked = false
    async function* source(): AsyncIterable<Uint8Array> {
      asked = true
      yield await Promise.resolve(Buffer.alloc(1))
    }
    await expect(content.ingest(source(), { size: 1024 ** 2 + 1 })).rejects.toMatchObject(exceeded)
    expect(asked).toBe(false)
  })

  it('counts what is there at the start', async () => {
    await content.ingest(from('1234567'))
    content = await open()
    await expectLeft(3)
  })

  it('counts a blob once, however often it comes', async () => {
    for (let times = 0; times < 2; times++) await content.ingest(from('1234'))
    const partial = await content.startPartial()
    await partial.append(from('1234'), { maxBytes: 4 })
    await partial.finish(digestOf('1234'))
    await expectLeft(6)
  })

  it('counts a damaged blob once that is replaced', async () => {
    const { digest } = await content.ingest(from('1234'))
    writeFileSync(await content.file(digest), '12x4')
    await content.ingest(from('1234'))
    await expectLeft(6)
  })

  it('gets back what is removed', async () => {
    const { digest } = await content.ingest(from('1234567'))
    await content.remove(digest, () => Promise.resolve(false))
    await expectLeft(3)
    await content.remove(digest)
    await content.remove(digest)
    await expectLeft(10)
  })

  it('counts what is under way, until it fails', async () => {
    const partial = await content.startPartial()
    await partial.append(from('1234'), { maxBytes: 10 })
    await expectLeft(6)
    await expect(partial.append(from('56', '78'), { maxBytes: 3 })).rejects.toMatchObject({ code: 'size_mismatch' })
    await expectLeft(6)
    await expect(partial.finish(digestOf('other'))).rejects.toMatchObject({ code: 'digest_mismatch' })
    await expectLeft(10)
    await expect(content.ingest(from('1234'), { digest: digestOf('x') })).rejects.toMatchObject({
      code: 'digest_mismatch',
    })
    await expectLeft(10)
  })

  it('counts a blob that stays though writing down who has it failed', async () => {
    const record = () => Promise.reject(new Error('no'))
    await expect(content.ingest(from('1234'), { record })).rejects.toThrow('no')
    await expectLeft(6)
  })

  it('does not count what could not be stored', async () => {
    const rename = () => Promise.reject(new Error('EIO'))
    content = await open({ steps: { ...fileSteps, rename } })
    await expect(content.ingest(from('1234'))).rejects.toMatchObject({ code: 'io' })
    await expectLeft(10)
  })
})
