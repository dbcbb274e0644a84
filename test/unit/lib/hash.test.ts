import { createHash, randomBytes } from 'node:crypto'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { afterAll, describe, expect, it } from 'vitest'
import { GrowingHash } from '../../../src/lib/hash/growing.ts'
import { heldBack } from '../../../src/lib/hash/held-back.ts'
import { hashOf, lentBytes, mostLentUnderWay, mostUnderWay, Pour, slabBytes } from '../../../src/lib/hash/pour.ts'
import { HashThreads } from '../../../src/lib/hash/threads.ts'
import { lend, release } from '../../../src/lib/lent.ts'

class CountedThreads extends HashThreads {
  begun = 0

  override begin(algorithm: string) {
    this.begun += 1
    return super.begin(algorithm)
  }
}

const mebibyte = 1024 ** 2
const threads = new CountedThreads(2)
afterAll(() => threads.close())

const growing = (algorithm = 'sha256') => new GrowingHash(algorithm, () => threads)
const hexOf = (bytes: Uint8Array, algorithm = 'sha256') => createHash(algorithm).update(bytes).digest('hex')

async function* inPieces(bytes: Uint8Array, length: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

/** Pours all of it; what was written, in one piece. */
async function pour(hash: GrowingHash, bytes: Uint8Array, piece: number): Promise<Buffer> {
  const written = Buffer.alloc(bytes.length)
  const pouring = new Pour({
    hash,
    async write(buffers, offset) {
      let at = offset
      for (const buffer of buffers) {
        // Whoever reuses a slab too early shows here.
        await new Promise(setImmediate)
        written.set(buffer, at)
        at += buffer.length
      }
    },
  })
  for await (const chunk of inPieces(bytes, piece)) await pouring.add(chunk)
  await pouring.end()
  await pouring.settle()
  return written
}

describe('bytes that are hashed and written as they come', () => {
  const lengths = [0, 1, slabBytes - 1, slabBytes, slabBytes + 1, 5 * slabBytes, 6 * slabBytes + 77]
  const cases = lengths.flatMap((length) =>
    [1000, 65_536, slabBytes, 3 * slabBytes + 5].map((piece) => [length, piece]),
  )

  it.each(cases)('%i bytes in pieces of %i', async (length, piece) => {
    const bytes = randomBytes(length)
    const hash = growing()
    const written = await pour(hash, bytes, piece)
    expect(written.equals(bytes)).toBe(true)
    expect(await hash.digest()).toBe(hexOf(bytes))
    hash.end()
  })

  it('go to a thread when they are many, and only then', async () => {
    const before = threads.begun
    expect(await hashOf(inPieces(randomBytes(slabBytes - 1), 5_000), growing())).toHaveLength(64)
    expect(threads.begun - before).toBe(0)
    const bytes = randomBytes(3 * slabBytes)
    expect(await hashOf(inPieces(bytes, 65_536), growing('sha512'))).toBe(hexOf(bytes, 'sha512'))
    expect(threads.begun - before).toBe(1)
  })

  it.each([
    ['many after many', 2 * slabBytes, 2 * slabBytes],
    ['few after many', 2 * slabBytes, 10],
    ['many after few', 10, 2 * slabBytes],
    ['few after few', 10, 10],
  ])('go on where the last ones ended, or back to there: %s', async (_, first, second) => {
    const hash = growing()
    const [one, lost, two] = [randomBytes(first), randomBytes(second), randomBytes(second)]
    await pour(hash, one, 65_536)
    hash.mark()
    await pour(hash, lost, 65_536)
    hash.rollback()
    await pour(hash, two, 65_536)
    expect(await hash.digest()).toBe(hexOf(Buffer.concat([one, two])))
    hash.end()
  })

  it('are written in order, one write at a time, and no faster than they are written', async () => {
    let writing = 0
    let taken = 0
    const offsets: number[] = []
    const turn = Promise.withResolvers<undefined>()
    const hash = growing()
    const pouring = new Pour({
      hash,
      async write(_buffers, offset) {
        expect(writing++).toBe(0)
        offsets.push(offset)
        await turn.promise
        writing -= 1
      },
    })
    const work = (async () => {
      for await (const chunk of inPieces(randomBytes(16 * slabBytes), 65_536)) {
        await pouring.add(chunk)
        taken += chunk.length
      }
      await pouring.end()
    })()
    // The thread answers as often as it likes: it is the write that is waited for.
    for (let round = 0; round < 20; round++) await hashOf(inPieces(randomBytes(slabBytes), slabBytes), growing())
    expect(taken).toBeLessThanOrEqual((mostUnderWay + 1) * slabBytes)
    turn.resolve(undefined)
    await work
    expect(offsets).toEqual(Array.from({ length: 16 }, (_, index) => index * slabBytes))
    await pouring.settle()
    hash.end()
  })

  it('end with the error of a write, and leave nothing under way', async () => {
    const hash = growing()
    let after = 0
    const pouring = new Pour({
      hash,
      async write(_buffers, offset) {
        if (offset === slabBytes) throw new Error('the disk is full')
        if (offset > slabBytes) after += 1
      },
    })
    const work = (async () => {
      for await (const chunk of inPieces(randomBytes(8 * slabBytes), 65_536)) await pouring.add(chunk)
      await pouring.end()
    })()
    await expect(work).rejects.toThrow('the disk is full')
    await pouring.settle()
    expect(after).toBe(0)
    hash.end()
  })
})

describe('bytes that come in shared memory', () => {
  /** Read into buffers one behind the other, of which each is used again once all of it was released. */
  function lender(bytes: Uint8Array, bufferBytes: number) {
    const spare: SharedArrayBuffer[] = []
    const made = new Set<SharedArrayBuffer>()
    async function* read(lengths: number[]): AsyncIterable<Uint8Array> {
      let at = 0
      for (let turn = 0; at < bytes.length;) {
        const buffer = spare.pop() ?? new SharedArrayBuffer(bufferBytes)
        made.add(buffer)
        const all = new Uint8Array(buffer)
        lend(all, bufferBytes, () => {
          // Whoever still reads it finds something else.
          all.fill(0)
          spare.push(buffer)
        })
        for (let from = 0; from < bufferBytes; turn++) {
          const length = Math.min(lengths[turn % lengths.length]!, bufferBytes - from, bytes.length - at)
          if (length === 0) break
          all.set(bytes.subarray(at, at + length), from)
          yield all.subarray(from, from + length)
          at += length
          from += length
        }
      }
    }
    return { read, made }
  }

  it.each([
    ['a buffer at a time', [mebibyte], 7],
    ['in parts', [100_000], 8],
    ['in small parts', [10_000], 8],
    ['in uneven parts', [10, 300_000, 70_000, 1, 5_000, 900_000], 8],
  ])('are hashed and written where they are: %s', async (_, lengths, most) => {
    const bytes = randomBytes(20 * mebibyte + 77)
    const { read, made } = lender(bytes, mebibyte)
    const written = Buffer.alloc(bytes.length)
    const pieces: { shared: boolean; bytes: number }[] = []
    const hash = growing()
    const pouring = new Pour({
      hash,
      async write([buffer], offset) {
        await new Promise(setImmediate)
        written.set(buffer!, offset)
        pieces.push({ shared: made.has(buffer!.buffer as SharedArrayBuffer), bytes: buffer!.length })
      },
    })
    for await (const chunk of read(lengths)) await pouring.add(chunk)
    await pouring.end()
    await pouring.settle()
    expect(written.equals(bytes)).toBe(true)
    expect(await hash.digest()).toBe(hexOf(bytes))
    hash.end()
    expect(made.size).toBeLessThanOrEqual(most)
    const whereTheyAre = pieces.filter(({ shared }) => shared).reduce((sum, piece) => sum + piece.bytes, 0)
    if (lengths[0]! >= 100_000) expect(whereTheyAre).toBe(bytes.length - 77)
  })

  it('wait until so many are written', async () => {
    const bytes = randomBytes(8 * mebibyte)
    const { read } = lender(bytes, mebibyte)
    const turn = Promise.withResolvers<undefined>()
    const hash = growing()
    const pouring = new Pour({ hash, write: () => turn.promise })
    let taken = 0
    const work = (async () => {
      for await (const chunk of read([lentBytes])) {
        await pouring.add(chunk)
        taken += chunk.length
      }
      await pouring.end()
    })()
    for (let round = 0; round < 20; round++) await hashOf(inPieces(randomBytes(slabBytes), slabBytes), growing())
    expect(taken).toBe((mostLentUnderWay - 1) * lentBytes)
    turn.resolve(undefined)
    await work
    expect(await hash.digest()).toBe(hexOf(bytes))
    await pouring.settle()
    hash.end()
  })

  it('are copied where they go on to somebody else', async () => {
    const bytes = randomBytes(3 * mebibyte)
    let hex = ''
    const got: Buffer[] = []
    for await (const chunk of heldBack(lender(bytes, mebibyte).read([200_000]), growing(), (all) => (hex = all))) {
      got.push(Buffer.from(chunk))
      release(chunk)
    }
    expect(hex).toBe(hexOf(bytes))
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
  })

  it('come back where they are few', async () => {
    const all = new Uint8Array(new SharedArrayBuffer(100))
    let given = 0
    lend(all, 100, () => given++)
    async function* few() {
      yield all.subarray(0, 60)
      yield all.subarray(60)
    }
    await hashOf(few(), growing())
    expect(given).toBe(1)
  })
})

describe('the garbage of what is copied', () => {
  const collections = async (source: AsyncIterable<Uint8Array>) => {
    const entries: object[] = []
    const observer = new PerformanceObserver((list) => entries.push(...list.getEntries()))
    observer.observe({ entryTypes: ['gc'] })
    await hashOf(source, growing())
    await new Promise(setImmediate)
    entries.push(...observer.takeRecords())
    observer.disconnect()
    // The types do not know of it: https://nodejs.org/api/perf_hooks.html#performanceentrydetail
    // Of any kind: where V8 was marking its heap already, it ends that instead of collecting what is young.
    return (entries as { detail: { flags: number } }[]).filter(
      ({ detail: { flags } }) => (flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0,
    ).length
  }

  it('is collected each 4 MiB, before V8 marks its whole heap', async () => {
    const bytes = randomBytes(slabBytes)
    async function* many() {
      for (let bytesLeft = 65 * mebibyte; bytesLeft > 0; bytesLeft -= slabBytes) yield bytes
    }
    expect(await collections(many())).toBeGreaterThanOrEqual(16)
  })

  it('is none where buffers are used again', async () => {
    const buffer = Buffer.allocUnsafeSlow(slabBytes)
    async function* lent() {
      for (let bytesLeft = 65 * mebibyte; bytesLeft > 0; bytesLeft -= slabBytes) {
        lend(buffer, slabBytes, () => undefined)
        yield buffer
      }
    }
    expect(await collections(lent())).toBe(0)
  })
})

describe('the threads', () => {
  it('fail what they were at when they end, and others take their place', async () => {
    const own = new HashThreads(1)
    const hash = own.begin('sha256')
    const lost = expect(hash.update(new Uint8Array(new SharedArrayBuffer(8)))).rejects.toThrow(
      'a hashing thread ended with',
    )
    await own.close()
    await lost
    await expect(hash.digest()).rejects.toThrow('a hashing thread ended with')
    hash.end()
    const bytes = randomBytes(2 * slabBytes)
    expect(await hashOf(inPieces(bytes, 65_536), new GrowingHash('sha256', () => own))).toBe(hexOf(bytes))
    await own.close()
  })

  it('keep many hashes apart', async () => {
    const all = Array.from({ length: 12 }, (_, index) => randomBytes(slabBytes * 2 + index))
    const found = await Promise.all(all.map((bytes) => hashOf(inPieces(bytes, 40_000), growing())))
    expect(found).toEqual(all.map((bytes) => hexOf(bytes)))
  })

  it('refuse what comes after the end', async () => {
    const hash = threads.begin('sha256')
    hash.end()
    hash.end()
    await expect(hash.digest()).rejects.toThrow('has ended')
  })
})

describe('what is held back', () => {
  it.each([10, 2 * slabBytes])('of %i bytes, the last piece comes only when all were right', async (length) => {
    const bytes = randomBytes(length)
    let got = 0
    let told = ''
    const work = (async () => {
      const passed = heldBack(inPieces(bytes, Math.ceil(length / 4)), growing(), (hex) => {
        told = hex
        throw new Error('not these')
      })
      for await (const chunk of passed) got += chunk.length
    })()
    await expect(work).rejects.toThrow('not these')
    expect(told).toBe(hexOf(bytes))
    expect(got).toBeLessThan(length)
    const right = heldBack(inPieces(bytes, Math.ceil(length / 4)), growing(), () => undefined)
    expect(Buffer.concat(await Array.fromAsync(right)).equals(bytes)).toBe(true)
  })

  it('is hashed before whoever gets it may give its buffer back', async () => {
    const piece = 64 * 1024
    const bytes = randomBytes(5 * slabBytes + 7)
    const spare: Buffer[] = []
    let made = 0
    async function* lending() {
      for (let at = 0; at < bytes.length; at += piece) {
        const buffer = spare.pop() ?? Buffer.allocUnsafeSlow((made++, piece))
        const length = bytes.copy(buffer, 0, at, at + piece)
        lend(buffer, length, () => {
          // Whoever still reads it finds something else.
          buffer.fill(0)
          spare.push(buffer)
        })
        yield buffer.subarray(0, length)
      }
    }
    let hex = ''
    const got: Buffer[] = []
    for await (const chunk of heldBack(lending(), growing(), (all) => (hex = all))) {
      got.push(Buffer.from(chunk))
      release(chunk)
    }
    expect(hex).toBe(hexOf(bytes))
    expect(Buffer.concat(got).equals(bytes)).toBe(true)
    // Those of the first slab are kept, until it is clear that many follow.
    expect(made).toBeLessThanOrEqual(slabBytes / piece + 3)
  })
})
