import { rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServing, type Serving } from '../../../src/app/serving.ts'
import type { Content } from '../../../src/content/content.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { StorageError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Release } from '../../../src/model/release.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { createBundleTable, type BundleTable } from '../../../src/server/bundles/table.ts'
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
let reading: { now: number; most: number }

beforeEach(async () => {
  const real = await createFolderContent({ path: tempDir('serving'), logger: silentLogger })
  failures = []
  reading = { now: 0, most: 0 }
  content = {
    ...real,
    async bytes(...args) {
      reading.most = Math.max(reading.most, ++reading.now)
      try {
        const failure = failures.shift()
        if (failure !== undefined) throw failure
        return await real.bytes(...args)
      } finally {
        reading.now -= 1
      }
    },
  }
  table = createBundleTable({
    metrics: { setBundleMemory: () => undefined, released: () => undefined, forget: () => undefined },
    maxMemoryBytes,
  })
  earlier = []
  asked = 0
  const earlierDigests = () => {
    asked += 1
    return Promise.resolve(earlier)
  }
  const state = { bundles: { earlierDigests } }
  serving = createServing({ table, content, state: state as never, logger: silentLogger, maxMemoryBytes })
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
    failures = [new StorageError('io', 'reading failed')]
    serving.activate(second)
    await serving.settled('authz')
    expect(served()).toBe(1)
    serving.activate(second)
    await serving.settled('authz')
    expect(served()).toBe(2)
  })
})

describe('after a restart', () => {
  /** What was told to be lost, once all is read. */
  async function load(...names: string[]): Promise<string[]> {
    const lost: string[] = []
    serving.load((bundle) => lost.push(bundle))
    await Promise.all(names.map((name) => serving.settled(name)))
    return lost
  }

  it('serves from disk at once, and has it in memory once it is read', async () => {
    configure('authz')
    await serving.restore([await release(1, 'short')])
    expect(table.get('authz')!.served).toMatchObject({ digest: digestOf('short'), body: undefined })
    expect(await load('authz')).toEqual([])
    expect(table.get('authz')!.served!.body).toBe('short')
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

  it('reads few at a time: what is more than the ceiling is let go only when it was read', async () => {
    const names = Array.from({ length: 120 }, (_, at) => `b${at}`)
    configure(...names)
    await serving.restore(await Promise.all(names.map((name) => release(1, `of ${name}`, name))))
    expect(names.map((name) => served(name))).toEqual(names.map(() => 1))
    expect(await load(...names)).toEqual([])
    expect(names.map((name) => served(name))).toEqual(names.map(() => 1))
    expect(reading.most).toBe(4)
  })

  it('leaves a release alone that came while the one before it was read', async () => {
    configure('authz')
    const [before, after] = [await release(1, 'before'), await release(2, 'after')]
    await serving.restore([before])
    const loaded = load('authz')
    table.activate({ release: after, bytes: Buffer.from('after') })
    expect(await loaded).toEqual([])
    expect(table.get('authz')!.served!.body).toBe('after')
  })

  it('reads no more once it is closed', async () => {
    const names = Array.from({ length: 120 }, (_, at) => `b${at}`)
    configure(...names)
    await serving.restore(await Promise.all(names.map((name) => release(1, `of ${name}`, name))))
    serving.load(() => undefined)
    await serving.close()
    expect(names.every((name) => table.get(name)!.served!.body === undefined)).toBe(true)
  })

  it.each([
    ['held in memory', 'short'],
    ['larger than that', 'larger than what is held in memory'],
  ])('does not go on serving what was changed on disk, takes it away, and says so: %s', async (_, text) => {
    configure('authz', 'other')
    const [damaged, other] = [await release(1, text), await release(1, 'other', 'other')]
    writeFileSync(await content.file(damaged.bundleDigest!), text.toUpperCase())
    await serving.restore([damaged, other])
    expect(await load('authz', 'other')).toEqual(['authz'])
    expect([served(), served('other')]).toEqual([undefined, 1])
    expect(await content.stat(damaged.bundleDigest!)).toBeUndefined()
  })

  it('says what is gone', async () => {
    configure('authz')
    const lost = await release(1, 'lost')
    rmSync(await content.file(lost.bundleDigest!))
    await serving.restore([lost])
    expect(await load('authz')).toEqual(['authz'])
  })

  it('does not take a blob away that reads well the second time', async () => {
    configure('authz')
    const fine = await release(1, 'fine')
    failures = [new StorageError('corrupt', 'a bit flipped in memory')]
    await serving.restore([fine])
    expect(await load('authz')).toEqual(['authz'])
    expect(await content.stat(fine.bundleDigest!)).toBeDefined()
  })
})
