import { rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createServing, type Serving } from '../../../src/app/serving.ts'
import type { Content } from '../../../src/content/content.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { StorageError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Release } from '../../../src/model/release.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { createBundleTable, type BundleTable } from '../../../src/server/bundles/table.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { from } from '../registry/open.ts'
import { draft } from '../state/open.ts'

const maxMemoryBytes = 20
let content: Content
let table: BundleTable
let serving: Serving
/** Thrown by the next readings of a blob into memory, one each. */
let failures: Error[]
let earlier: { bundle: string; digest: Digest }[]
let asked: number
let errors: string[]
/** How many of the next verifications fail though the disk is fine. */
let flipped: number
/** Into memory. */
let reading: { now: number; most: number; all: number }

beforeEach(async () => {
  const real = await createFolderContent({ path: tempDir('serving'), logger: silentLogger })
  failures = []
  flipped = 0
  reading = { now: 0, most: 0, all: 0 }
  const count = async <T>(read: () => Promise<T>) => {
    reading.all += 1
    reading.most = Math.max(reading.most, ++reading.now)
    return read().finally(() => (reading.now -= 1))
  }
  content = {
    ...real,
    bytes: (...args) =>
      count(async () => {
        const failure = failures.shift()
        if (failure !== undefined) throw failure
        return real.bytes(...args)
      }),
    verify: async (...args) => (flipped-- > 0 ? false : real.verify(...args)),
  }
  table = createBundleTable({
    metrics: { setBundleMemory: () => undefined, released: () => undefined, forget: () => undefined },
    maxMemoryBytes,
  })
  earlier = []
  errors = []
  asked = 0
  const earlierDigests = () => {
    asked += 1
    return Promise.resolve(earlier)
  }
  const state = { bundles: { earlierDigests } }
  serving = createServing({
    ...{ table, content, clock: new FakeClock(), maxMemoryBytes },
    state: state as never,
    logger: { ...silentLogger, error: (_fields: unknown, message?: string) => void errors.push(message ?? '') },
  })
})

afterEach(() => content.close())

async function release(number: number, text: string, bundle = 'authz'): Promise<Release> {
  await content.ingest(from(text))
  const about = { bundle, bundleDigest: digestOf(text), size: text.length }
  return { ...draft(text), ...about, number, activatedAt: number, kept: true }
}

function configure(...names: string[]): void {
  table.configure(names.map((name) => ({ name, aliases: [], pull: true })))
}

const body = (bundle: string) => table.get(bundle)!.served!.body
const served = (bundle = 'authz') => table.get(bundle)?.release?.number

describe('serving', () => {
  it('takes releases in the order in which they came, and none that is older', async () => {
    configure('authz')
    const [first, second] = [await release(1, 'one'), await release(2, 'two')]
    serving.activate(first)
    serving.activate(second)
    serving.activate(first)
    await serving.settled('authz')
    expect(served()).toBe(2)
  })

  it('keeps what it has when a release cannot be read, and takes it when it is told of it again', async () => {
    configure('authz')
    const [first, second] = [await release(1, 'one'), await release(2, 'two')]
    serving.activate(first)
    await serving.settled('authz')
    failures = [new StorageError('io', 'reading failed'), new StorageError('io', 'reading failed')]
    for (let tries = 0; tries < 2; tries++) {
      serving.activate(second)
      await serving.settled('authz')
    }
    expect(served()).toBe(1)
    // Told of once.
    expect(errors).toEqual(['a release cannot be served: its bytes cannot be read'])
    serving.activate(second)
    await serving.settled('authz')
    expect(served()).toBe(2)
  })
})

describe('after a restart', () => {
  /** What was told to be lost, once all is checked. */
  async function check(...names: string[]): Promise<string[]> {
    const lost: string[] = []
    serving.check((bundle) => lost.push(bundle))
    await Promise.all(names.map((name) => serving.settled(name)))
    return lost
  }

  /** Asks for them all, and waits until what is read for that is there. */
  async function hold(...names: string[]): Promise<void> {
    for (const name of names) serving.hold(name)
    await Promise.all(names.map((name) => serving.settled(name)))
  }

  it('serves from disk at once, and has in memory only what is asked for', async () => {
    configure('authz', 'other')
    await serving.restore([await release(1, 'short'), await release(1, 'other', 'other')])
    expect(await check('authz', 'other')).toEqual([])
    expect(body('authz')).toBeUndefined()
    await hold('authz')
    expect([body('authz'), body('other')]).toEqual(['short', undefined])
  })

  it('reads it once, however often it is asked for, and not at all where there is no room', async () => {
    const names = ['authz', 'other']
    configure(...names)
    await serving.restore([await release(1, 'short'), await release(1, 'larger than what is held in memory', 'other')])
    await check(...names)
    await hold('authz', 'authz', 'other', 'unknown')
    await hold(...names)
    expect([body('authz'), body('other')]).toEqual(['short', undefined])
    expect(reading.all).toBe(1)
  })

  it('tries again to have it in memory when it is asked for again', async () => {
    configure('authz')
    await serving.restore([await release(1, 'short')])
    await check('authz')
    failures = [new StorageError('io', 'reading failed')]
    await hold('authz')
    expect(body('authz')).toBeUndefined()
    await hold('authz')
    expect(body('authz')).toBe('short')
  })

  it('asks the state once for what was served before, however many bundles there are', async () => {
    configure('authz', 'other')
    earlier = [
      { bundle: 'authz', digest: digestOf('zero') },
      { bundle: 'gone', digest: digestOf('gone') },
    ]
    await serving.restore([await release(2, 'one'), await release(1, 'one', 'other')])
    expect(asked).toBe(1)
    expect(table.isKnown('authz', `"${digestOf('zero')}"`)).toBe(true)
    expect(table.isKnown('other', `"${digestOf('zero')}"`)).toBe(false)
  })

  it('reads few at a time, whoever asks', async () => {
    const names = Array.from({ length: 120 }, (_, at) => `b${at}`)
    configure(...names)
    await serving.restore(await Promise.all(names.map((name) => release(1, `of ${name}`, name))))
    expect(names.map((name) => served(name))).toEqual(names.map(() => 1))
    expect(await check(...names)).toEqual([])
    expect(names.map((name) => served(name))).toEqual(names.map(() => 1))
    await hold(...names)
    expect(reading.most).toBe(4)
  })

  it('puts what comes while others are read on the table together, however many ask at once', async () => {
    const names = Array.from({ length: 600 }, (_, at) => `b${at}`)
    configure(...names)
    await serving.restore(await Promise.all(names.map((name) => release(1, 'x', name))))
    await check(...names)
    const activate = vi.spyOn(table, 'activate')
    await hold(...names)
    expect(activate.mock.calls.map((released) => released.length)).toEqual([256, 256, 88])
    // No more than what memory holds, the last that came first.
    expect(names.filter((name) => body(name) === 'x')).toHaveLength(maxMemoryBytes)
  })

  it('does not wait for many where what came is large', async () => {
    const mebibyte = 1024 ** 2
    const names = Array.from({ length: 20 }, (_, at) => `b${at}`)
    configure(...names)
    const bytes = Buffer.alloc(4 * mebibyte)
    content.bytes = () => Promise.resolve(bytes)
    await serving.restore(await Promise.all(names.map((name) => release(1, 'x', name))))
    await check(...names)
    const activate = vi.spyOn(table, 'activate')
    await hold(...names)
    expect(activate.mock.calls.map((released) => released.length)).toEqual([4, 4, 4, 4, 4])
  })

  it('leaves a release alone that came while the one before it was read', async () => {
    configure('authz')
    const [before, after] = [await release(1, 'before'), await release(2, 'after')]
    await serving.restore([before])
    const checked = check('authz')
    const held = hold('authz')
    table.activate({ release: after, bytes: Buffer.from('after') })
    expect(await checked).toEqual([])
    await held
    expect(body('authz')).toBe('after')
  })

  it('reads no more once it is closed', async () => {
    const names = Array.from({ length: 120 }, (_, at) => `b${at}`)
    configure(...names)
    await serving.restore(await Promise.all(names.map((name) => release(1, `of ${name}`, name))))
    serving.check(() => undefined)
    for (const name of names) serving.hold(name)
    await serving.close()
    expect(names.every((name) => body(name) === undefined)).toBe(true)
    expect(reading.all).toBeLessThanOrEqual(8)
  })

  it.each([
    ['held in memory', 'short'],
    ['larger than that', 'larger than what is held in memory'],
  ])('does not go on serving what was changed on disk, takes it away, and says so: %s', async (_, text) => {
    configure('authz', 'other')
    const [damaged, other] = [await release(1, text), await release(1, 'other', 'other')]
    writeFileSync(await content.file(damaged.bundleDigest!), text.toUpperCase())
    await serving.restore([damaged, other])
    expect(await check('authz', 'other')).toEqual(['authz'])
    expect([served(), served('other')]).toEqual([undefined, 1])
    expect(await content.stat(damaged.bundleDigest!)).toBeUndefined()
  })

  it('says what is gone', async () => {
    configure('authz')
    const lost = await release(1, 'lost')
    rmSync(await content.file(lost.bundleDigest!))
    await serving.restore([lost])
    expect(await check('authz')).toEqual(['authz'])
  })

  it('does not take a blob away that reads well the second time', async () => {
    configure('authz')
    const fine = await release(1, 'fine')
    flipped = 1
    await serving.restore([fine])
    expect(await check('authz')).toEqual(['authz'])
    expect(await content.stat(fine.bundleDigest!)).toBeDefined()
  })
})
