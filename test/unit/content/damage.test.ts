import { randomBytes } from 'node:crypto'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Content } from '../../../src/content/content.ts'
import { removeIfDamaged } from '../../../src/content/damage.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'

let content: Content
let clock: FakeClock
let digest: Digest
let path: string
const bytes = randomBytes(900_000)

beforeEach(async () => {
  clock = new FakeClock()
  content = await createFolderContent({ path: tempDir('damage'), logger: silentLogger, clock })
  digest = (await content.ingest(from(bytes))).digest
  path = await content.file(digest)
})

async function* from(chunk: Uint8Array): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(chunk)
}

function flip(at: number): void {
  const changed = readFileSync(path)
  changed[at]! ^= 4
  writeFileSync(path, changed)
}

/** What came before it failed. */
async function take(source: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; error?: unknown }> {
  const chunks: Uint8Array[] = []
  try {
    for await (const chunk of source) chunks.push(chunk)
    return { bytes: Buffer.concat(chunks) }
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error }
  }
}

const corrupt = { name: 'StorageError', code: 'corrupt' }

describe('a blob that the disk changed', () => {
  it.each([0, 450_000, 899_999])('does not come to its end when it is read (byte %i)', async (at) => {
    flip(at)
    const read = await take(content.read(digest))
    expect(read.error).toMatchObject(corrupt)
    expect(read.bytes.length).toBeLessThan(bytes.length)
  })

  it('gives no piece of itself, not even one that is right', async () => {
    flip(10)
    for (const range of [
      { first: 0, last: 99 },
      { first: 800_000, last: 800_099 },
    ]) {
      expect(await take(content.read(digest, range))).toMatchObject({ bytes: Buffer.alloc(0), error: corrupt })
    }
  })

  it('is no file for others', async () => {
    flip(10)
    await expect(content.file(digest)).rejects.toMatchObject(corrupt)
  })

  it('is noticed later, even where nobody seems to have written', async () => {
    const { atimeMs, mtimeMs } = statSync(path)
    expect((await take(content.read(digest))).error).toBeUndefined()
    flip(10)
    utimesSync(path, atimeMs / 1000, mtimeMs / 1000)
    await clock.advance(60_000)
    expect((await take(content.read(digest))).error).toMatchObject(corrupt)
  })

  it('is replaced by the same that comes again', async () => {
    flip(10)
    await content.ingest(from(bytes), { digest })
    expect((await take(content.read(digest))).bytes.equals(bytes)).toBe(true)
  })

  it('is taken away, but not what was stored in its place since', async () => {
    flip(10)
    expect(await removeIfDamaged(content, digest)).toBe(true)
    expect(await removeIfDamaged(content, digest)).toBe(true)
    await content.ingest(from(bytes), { digest })
    expect(await removeIfDamaged(content, digest)).toBe(false)

    flip(10)
    let stored: Promise<unknown> | undefined
    const racing: Pick<Content, 'verify' | 'remove'> = {
      remove: (...args) => content.remove(...args),
      async verify(asked) {
        const isRight = await content.verify(asked)
        stored ??= content.ingest(from(bytes), { digest })
        // Time enough for it to come to its end, if nothing holds it up.
        await Promise.race([stored, clockless(200)])
        return isRight
      },
    }
    await removeIfDamaged(racing, digest)
    await stored
    expect((await take(content.read(digest))).bytes.equals(bytes)).toBe(true)
  })
})

/** So many turns of the loop. */
async function clockless(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
}

describe('a blob that is right', () => {
  it('is read whole and in pieces, the same as it came', async () => {
    await clock.advance(60_000)
    expect((await take(content.read(digest, { first: 5, last: 300_000 }))).bytes).toEqual(bytes.subarray(5, 300_001))
    await clock.advance(60_000)
    expect((await take(content.read(digest))).bytes.equals(bytes)).toBe(true)
    const empty = await content.ingest(from(Buffer.alloc(0)))
    await clock.advance(60_000)
    expect(await take(content.read(empty.digest))).toEqual({ bytes: Buffer.alloc(0) })
  })

  it('is there in full when somebody reads the one before', async () => {
    flip(10)
    await clock.advance(60_000)
    const reading = content.read(digest)[Symbol.asyncIterator]()
    await reading.next()
    await content.ingest(from(bytes), { digest })
    const rest = await take({ [Symbol.asyncIterator]: () => reading })
    expect(rest.error).toMatchObject(corrupt)
    expect((await take(content.read(digest))).bytes.equals(bytes)).toBe(true)
  })
})
