import { rmSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createServing, type Serving } from '../../../src/app/serving.ts'
import type { Content } from '../../../src/content/content.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { StorageError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import type { Release } from '../../../src/model/release.ts'
import { digestOf } from '../../../src/oci/digest.ts'
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
  const state = { bundles: { releases: () => Promise.resolve([]) } }
  serving = createServing({ table, content, state: state as never, logger: silentLogger, maxMemoryBytes })
})

afterEach(() => content.close())

async function release(number: number, text: string, bundle = 'authz'): Promise<Release> {
  await content.ingest(from(text))
  const about = { bundle, bundleDigest: digestOf(text), size: text.length }
  return { ...draft(text), ...about, number, activatedAt: number, kept: true }
}

function configure(...names: string[]): void {
  table.configure(names.map((name) => ({ name, aliases: [] })))
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
  it('reads few at a time: what is more than the ceiling is let go only when it was read', async () => {
    const names = Array.from({ length: 20 }, (_, at) => `b${at}`)
    configure(...names)
    const releases = await Promise.all(names.map((name) => release(1, `of ${name}`, name)))
    expect(await serving.restore(releases)).toEqual([])
    expect(names.map((name) => served(name))).toEqual(names.map(() => 1))
    expect(reading.most).toBe(4)
  })

  it.each([
    ['held in memory', 'short'],
    ['larger than that', 'larger than what is held in memory'],
  ])('does not serve what was changed on disk, takes it away, and says so: %s', async (_, text) => {
    configure('authz', 'other')
    const [damaged, other] = [await release(1, text), await release(1, 'other', 'other')]
    writeFileSync(await content.file(damaged.bundleDigest!), text.toUpperCase())
    expect(await serving.restore([damaged, other])).toEqual(['authz'])
    expect([served(), served('other')]).toEqual([undefined, 1])
    expect(await content.stat(damaged.bundleDigest!)).toBeUndefined()
  })

  it('says what is gone', async () => {
    configure('authz')
    const lost = await release(1, 'lost')
    rmSync(await content.file(lost.bundleDigest!))
    expect(await serving.restore([lost])).toEqual(['authz'])
  })

  it('does not take a blob away that reads well the second time', async () => {
    configure('authz')
    const fine = await release(1, 'fine')
    failures = [new StorageError('corrupt', 'a bit flipped in memory')]
    expect(await serving.restore([fine])).toEqual(['authz'])
    expect(await content.stat(fine.bundleDigest!)).toBeDefined()
  })
})
