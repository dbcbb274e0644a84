import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import type { RawManifest } from '../../../src/oci/target.ts'
import {
  collect,
  manifestPageLength,
  pageLength,
  type CollectOptions,
  type Collected,
} from '../../../src/registry/collect.ts'
import type { CollectionState } from '../../../src/state/state.ts'
import { FakeClock } from '../../support/clock.ts'
import { waitFor } from '../../support/wait.ts'
import { draft, manifestRow } from '../state/open.ts'
import { from, image, index, openRegistry, push, type Opened } from './open.ts'

const graceMs = 3_600_000
const limits = { graceMs, pauseMs: 0, settleMs: 0 }
let opened: Opened
let clock: FakeClock

beforeEach(async () => {
  clock = new FakeClock(Date.now())
  opened = await openRegistry(undefined, { clock })
})

afterEach(() => opened.close())

function gc(more: Partial<CollectOptions> = {}, collection = opened.state.collection): Promise<Collected> {
  const { content, registry } = opened
  const parts = { content, collection, registry, clock, logger: silentLogger, limits }
  return collect(parts, { dryRun: false, keep: new Map(), untaggedMs: null, ...more })
}

/** Files have the machine's time, which goes on meanwhile. */
const later = () => clock.advance(2 * graceMs)
const isThere = async (text: string) =>
  (await opened.content.stat(text.startsWith('sha256:') ? (text as Digest) : digestOf(text))) !== undefined

describe('what stays', () => {
  it('is whatever a manifest names, tagged or not, in any repository, and what indexes name', async () => {
    const repository = opened.registry.repository('a')
    const tagged = await push(repository, 'tagged', ['v1'])
    const untagged = await push(repository, 'untagged')
    const member = await push(repository, 'member')
    await repository.putManifest(index(member), ['all'])
    await later()
    expect(await gc()).toMatchObject({ manifests: 0, blobs: 0, files: 0, bytes: 0 })
    for (const text of ['tagged', 'untagged', 'member', '{}', tagged.digest, untagged.digest, member.digest])
      expect(await isThere(text)).toBe(true)
  })

  it('is what was pushed, mounted or looked at within the grace period', async () => {
    const [a, b] = [opened.registry.repository('a'), opened.registry.repository('b')]
    for (const text of ['pushed', 'mounted', 'seen']) await a.ingestBlob(from(text), {})
    await clock.advance(graceMs / 2)
    await b.mount(digestOf('mounted'), { from: 'a' })
    await a.statBlob(digestOf('seen'))
    await clock.advance(graceMs / 2 + 1)
    expect(await gc()).toMatchObject({ blobs: 2 })
    expect(await a.statBlob(digestOf('mounted'))).toBeUndefined()
    expect(await b.statBlob(digestOf('mounted'))).toEqual({ size: 7 })
    expect(await a.statBlob(digestOf('seen'))).toEqual({ size: 4 })
    expect(await a.statBlob(digestOf('pushed'))).toBeUndefined()
  })

  it('is the rest of a push whose one upload takes longer than the grace period', async () => {
    const repository = opened.registry.repository('a')
    await repository.ingestBlob(from('{}'), {})
    const id = await opened.registry.uploads.start('a')
    for (let i = 0; i < 5; i++) {
      await clock.advance(graceMs - 1)
      await opened.registry.uploads.append('a', id, from('x'), { maxBytes: 100 })
      expect(await gc()).toMatchObject({ blobs: 0, files: 0 })
    }
    await opened.registry.uploads.finish('a', id, digestOf('xxxxx'))
    await gc()
    await repository.putManifest(image('xxxxx'), ['v1'])
    await later()
    expect(await gc()).toMatchObject({ blobs: 0, files: 0 })
  })

  it('is what is being brought in, until it is over', async () => {
    const repository = opened.registry.repository('bundles/authz')
    const end = opened.registry.hold('bundles/authz')
    await push(repository, 'x')
    await clock.advance(10 * graceMs)
    expect(await gc()).toMatchObject({ manifests: 0, blobs: 0 })
    end()
    await later()
    expect(await gc()).toMatchObject({ manifests: 1, blobs: 2, files: 3 })
  })

  it('is a file that came lately, or whose name is no digest', async () => {
    const folder = join(opened.folder, 'blobs', 'sha256')
    for (const name of ['readme', `${'0'.repeat(63)}`, 'A'.repeat(64)]) {
      writeFileSync(join(folder, name), 'x')
      utimesSync(join(folder, name), 1, 1)
    }
    await opened.content.ingest(from('nobody has it'))
    expect(await gc()).toMatchObject({ files: 0 })
    await later()
    expect(await gc()).toMatchObject({ files: 1, bytes: 13, left: { files: 0, bytes: 0 } })
    expect(existsSync(join(folder, 'readme'))).toBe(true)
  })
})

describe('what goes', () => {
  it('is what no manifest names any more', async () => {
    const repository = opened.registry.repository('a')
    const gone = await push(repository, 'gone', ['v1'])
    await push(repository, 'stays', ['v2'])
    await later()
    await repository.deleteManifest(gone.digest)
    expect(await gc()).toMatchObject({ manifests: 0, blobs: 1, files: 2, bytes: gone.bytes.byteLength + 4 })
    expect(await repository.statBlob(digestOf('gone'))).toBeUndefined()
    for (const text of ['stays', '{}']) expect(await isThere(text)).toBe(true)
    expect(await gc()).toMatchObject({ blobs: 0, files: 0, left: { files: 3 } })
  })

  it('is in one repository what another one keeps', async () => {
    await push(opened.registry.repository('a'), 'x', ['v1'])
    await opened.registry.repository('b').mount(digestOf('x'), { from: 'a' })
    await later()
    expect(await gc()).toMatchObject({ blobs: 1, files: 0 })
    expect(await opened.registry.repository('b').statBlob(digestOf('x'))).toBeUndefined()
    expect(await isThere('x')).toBe(true)
  })

  it('comes back when it is pushed again', async () => {
    const repository = opened.registry.repository('a')
    await repository.ingestBlob(from('x'), {})
    await later()
    await gc()
    await push(repository, 'x', ['v1'])
    await later()
    expect(await gc()).toMatchObject({ files: 0 })
    expect(await isThere('x')).toBe(true)
  })

  it('is told by the index of the repository too', async () => {
    const repository = opened.registry.repository('bundles/authz')
    const { digest } = await push(repository, 'x')
    const path = join(opened.folder, 'repositories/bundles/authz/index.json')
    const isShown = () => existsSync(path) && readFileSync(path, 'utf8').includes(digest)
    const shown = (wanted: boolean) =>
      waitFor(`the index to ${wanted ? 'show' : 'lose'} it`, async () => {
        await clock.advance(1000)
        return isShown() === wanted
      })
    await shown(true)
    await later()
    await gc()
    await shown(false)
    expect(await opened.registry.hasRepository('bundles/authz')).toBe(false)
  })
})

describe('releases', () => {
  const memo = { bundle: 'authz', fingerprint: 'f', recipe: 'r' }

  async function release(name: string, places: string[] = [], keep = 10) {
    const repository = opened.registry.repository('bundles/authz')
    const { digest } = await push(repository, name)
    const more = { manifestDigest: digest, sourceDigest: digest, bundleDigest: digestOf(name) }
    const context = { tags: ['latest', name], memo, places, keep, at: clock.now() }
    return opened.state.bundles.append(draft(name, more), context)
  }

  it('stay as many as the bundle keeps, and as long as a place holds or wants them', async () => {
    await opened.state.deployments.configure('authz', ['prod'], null)
    const first = await release('r1', ['prod'])
    const [row] = await opened.state.deployments.list('authz')
    await opened.state.deployments.save({ ...row!, deployed: first.number, state: 'done' }, 1)
    for (const name of ['r2', 'r3', 'r4']) await release(name, ['prod'])
    await later()
    expect(await gc({ keep: new Map([['authz', 2]]) })).toMatchObject({ releases: 1, manifests: 1, blobs: 1 })
    const kept = async () => (await opened.state.bundles.releases('authz', 10)).map(({ kept }) => kept)
    expect(await kept()).toEqual([true, true, false, true])
    expect(await isThere('r2')).toBe(false)
    const [now] = await opened.state.deployments.list('authz')
    await opened.state.deployments.save({ ...now!, deployed: 4, state: 'done' }, 1)
    expect(await gc({ keep: new Map([['authz', 2]]) })).toMatchObject({ releases: 1, manifests: 1, blobs: 1 })
    expect(await kept()).toEqual([true, true, false, false])
    expect(await opened.registry.repository('bundles/authz').tagPage({ limit: 10 })).toEqual(['latest', 'r3', 'r4'])
  })

  it('stay all where the bundle is not configured', async () => {
    for (const name of ['r1', 'r2', 'r3']) await release(name)
    await later()
    expect(await gc()).toMatchObject({ releases: 0, manifests: 0 })
  })

  it('take along what refers to them, and no more', async () => {
    const repository = opened.registry.repository('bundles/authz')
    const sign = async (name: string) => {
      const { digest } = image(name)
      const subject = { mediaType: image(name).mediaType, digest, size: image(name).bytes.byteLength }
      return push(repository, `signature of ${name}`, [], { subject })
    }
    await release('r1')
    const gone = await sign('r1')
    await release('r2')
    const stays = await sign('r2')
    await later()
    expect(await gc({ keep: new Map([['authz', 1]]) })).toMatchObject({ releases: 1, manifests: 2, blobs: 2 })
    expect(await isThere(gone.digest)).toBe(false)
    expect(await isThere(stays.digest)).toBe(true)
    expect(await isThere('signature of r2')).toBe(true)
  })

  it('keep the subject of what is kept, since clients ask for it, but not what else refers to that', async () => {
    const repository = opened.registry.repository('bundles/authz')
    const base = await push(repository, 'subject')
    const subject = { mediaType: base.mediaType, digest: base.digest, size: base.bytes.byteLength }
    const release = async (name: string) => {
      const { digest } = await push(repository, name, [], { subject })
      const more = { manifestDigest: digest, sourceDigest: digest, bundleDigest: digestOf(name) }
      await opened.state.bundles.append(draft(name, more), { tags: [], memo, places: [], keep: 10, at: clock.now() })
    }
    await release('r1')
    await release('r2')
    await later()
    expect(await gc({ keep: new Map([['authz', 1]]) })).toMatchObject({ releases: 1, manifests: 1, blobs: 1 })
    expect(await Promise.all(['r1', 'r2', 'subject', base.digest].map(isThere))).toEqual([false, true, true, true])
  })

  it('keep what another release has too', async () => {
    await release('a')
    await release('b')
    await release('a')
    await later()
    expect(await gc({ keep: new Map([['authz', 1]]) })).toMatchObject({ releases: 2, manifests: 1 })
    expect(await isThere('a')).toBe(true)
    expect(await isThere('b')).toBe(false)
  })

  it('keep tags that are no release of ours', async () => {
    await push(opened.registry.repository('bundles/authz'), 'rebuilt', ['1.0.0'])
    await later()
    expect(await gc({ keep: new Map([['authz', 1]]) })).toMatchObject({ manifests: 0, files: 0 })
  })
})

describe('manifests that no tag needs', () => {
  const untaggedMs = 10 * graceMs

  it('stay for ever where nothing else is said', async () => {
    await push(opened.registry.repository('a'), 'untagged')
    await clock.advance(100 * untaggedMs)
    expect(await gc()).toMatchObject({ manifests: 0, files: 0 })
  })

  it('go so long after no tag stands for them any more, with their blobs, and with what refers to them', async () => {
    const a = opened.registry.repository('a')
    const old = await push(a, 'old', ['latest'])
    const subject = { mediaType: old.mediaType, digest: old.digest, size: old.bytes.byteLength }
    const signature = await push(a, 'signature', [], { subject })
    await clock.advance(3 * untaggedMs)
    const now = await push(a, 'now', ['latest'])
    await clock.advance(untaggedMs)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 0, files: 0 })
    await clock.advance(1)
    const dry = await gc({ untaggedMs, dryRun: true })
    expect(dry.items.filter(({ what }) => what === 'manifest')).toEqual(
      [old, signature]
        .map(({ digest, bytes }) => ({
          ...{ what: 'manifest', digest, size: bytes.byteLength, repository: 'a' },
          reason: 'no tag of a and no kept release needs it',
        }))
        .sort((one, other) => (one.digest < other.digest ? -1 : 1)),
    )
    const real = await gc({ untaggedMs })
    expect({ ...real, dryRun: true, items: dry.items }).toEqual(dry)
    expect(real).toMatchObject({ manifests: 2, blobs: 2, files: 4 })
    expect(await a.head(old.digest)).toBeUndefined()
    expect((await a.head('latest'))?.digest).toBe(now.digest)
    expect(await Promise.all(['old', 'signature', 'now'].map(isThere))).toEqual([false, false, true])
  })

  it('stay where something tagged names them, refers to them or is referred to by them, and where they were put again', async () => {
    const a = opened.registry.repository('a')
    const member = await push(a, 'member')
    const { digest: all } = await a.put(index(member), ['all']).then(() => index(member))
    const subject = { mediaType: member.mediaType, digest: member.digest, size: member.bytes.byteLength }
    const signature = await push(a, 'signature', [], { subject })
    const base = await push(a, 'base')
    const about = { mediaType: base.mediaType, digest: base.digest, size: base.bytes.byteLength }
    await push(a, 'described', ['described'], { subject: about })
    const again = await push(a, 'again')
    await clock.advance(2 * untaggedMs)
    await push(a, 'again')
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 0, files: 0 })
    for (const digest of [member, signature, base, again].map((one) => one.digest)) {
      expect(await a.head(digest)).toBeDefined()
    }
    await a.deleteTag('all')
    await clock.advance(untaggedMs)
    await push(a, 'again')
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 0 })
    await clock.advance(1)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 3 })
    expect(await isThere(all)).toBe(false)
  })

  it('stay as long after what named them, what they referred to, or what referred to them was deleted', async () => {
    const a = opened.registry.repository('a')
    const about = ({ mediaType, digest, bytes }: RawManifest) => ({ mediaType, digest, size: bytes.byteLength })
    const member = await push(a, 'member')
    const base = await push(a, 'base')
    const image = await push(a, 'image', [], { subject: about(base) })
    const all = index(member, image)
    await a.put(all, ['all'])
    const described = await push(a, 'described', ['described'], { subject: about(image) })
    const signature = await push(a, 'signature', [], { subject: about(described) })
    await clock.advance(3 * untaggedMs)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 0 })
    for (const { digest } of [all, described]) await a.deleteManifest(digest)
    await clock.advance(untaggedMs)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 0 })
    for (const { digest } of [member, base, image, signature]) expect(await a.head(digest)).toBeDefined()
    await clock.advance(1)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 4 })
  })

  it('go portion by portion: others write in between, and what they need by then stays', async () => {
    const { catalog, collection } = opened.state
    const rows = Array.from({ length: 2 * manifestPageLength + 1 }, (_, nth) => manifestRow(`manifest ${nth}`))
    for (const row of rows) await catalog.putManifest('a', row, [], [], clock.now())
    await clock.advance(2 * untaggedMs)
    const last = rows
      .map(({ digest }) => digest)
      .sort()
      .at(-1)!
    const done: string[] = []
    const disturbed: CollectionState = {
      ...collection,
      async dropManifests(...args) {
        const dropping = collection.dropManifests(...args)
        // Asked while the portion is being let go: it waits for that one alone.
        const tagging = catalog.putManifest(
          'a',
          rows.find(({ digest }) => digest === last)!,
          [],
          ['v1'],
          clock.now(),
        )
        void tagging.then(() => done.push('tagged'))
        const page = await dropping
        done.push(`${page.manifests.length} gone`)
        await tagging
        return page
      },
    }
    expect(await gc({ untaggedMs }, disturbed)).toMatchObject({ manifests: 2 * manifestPageLength })
    expect(done).toEqual([
      `${manifestPageLength} gone`,
      'tagged',
      `${manifestPageLength} gone`,
      'tagged',
      '0 gone',
      'tagged',
    ])
    expect((await catalog.manifest('a', 'v1'))?.digest).toBe(last)
  })

  it('stay while something is brought in there, which may name them', async () => {
    const a = opened.registry.repository('a')
    const { digest } = await push(a, 'long before')
    await clock.advance(2 * graceMs)
    const { digest: member } = await push(a, 'member')
    const end = opened.registry.hold('a')
    await clock.advance(2 * untaggedMs)
    const { digest: late } = await push(a, 'late')
    await clock.advance(2 * untaggedMs)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 1 })
    expect(await a.head(digest)).toBeUndefined()
    expect(await a.head(member)).toBeDefined()
    expect(await a.head(late)).toBeDefined()
    end()
    await clock.advance(2 * graceMs)
    expect(await gc({ untaggedMs })).toMatchObject({ manifests: 2 })
  })
})

describe('a dry run', () => {
  it('says exactly what would go, where and why, and changes nothing', async () => {
    const [a, b] = [opened.registry.repository('a'), opened.registry.repository('b')]
    const deleted = await push(a, 'deleted', ['v1'])
    await a.deleteManifest(deleted.digest)
    await push(b, 'stays', ['v1'])
    await b.ingestBlob(from('deleted'), {})
    await push(opened.registry.repository('bundles/old'), 'unreleased')
    await later()
    const dry = await gc({ dryRun: true })
    expect(await gc({ dryRun: true })).toEqual(dry)
    expect(dry.items).toContainEqual({
      ...{ what: 'blob', digest: digestOf('deleted'), size: 7, repository: 'a' },
      reason: expect.stringMatching(/^no manifest of a names it, and it was last used 20/) as unknown,
    })
    const files = dry.items.filter(({ what }) => what === 'file')
    expect(files).toHaveLength(dry.files)
    expect(files.reduce((sum, { size }) => sum + size, 0)).toBe(dry.bytes)
    const real = await gc()
    expect({ ...real, dryRun: true, items: dry.items }).toEqual(dry)
    expect(real).toMatchObject({ manifests: 1, blobs: 5, files: 4, items: [] })
  })
})

describe('beside others', () => {
  /** Collects with these pauses while the clock goes on, and says at which moments of it what was done. */
  async function timed(pauses: { pauseMs: number; settleMs: number }) {
    const { content, registry, state } = opened
    const at: Record<'dropped' | 'buried' | 'removed', number[]> = { dropped: [], buried: [], removed: [] }
    const noting = <Args extends unknown[], Result>(what: keyof typeof at, run: (...args: Args) => Promise<Result>) => {
      return (...args: Args) => {
        at[what].push(clock.monotonic())
        return run(...args)
      }
    }
    const parts = {
      ...{ registry, clock, logger: silentLogger, limits: { graceMs, ...pauses } },
      content: { ...content, remove: noting('removed', content.remove.bind(content)) },
      collection: {
        ...state.collection,
        dropBlobs: noting('dropped', state.collection.dropBlobs.bind(state.collection)),
        bury: noting('buried', state.collection.bury.bind(state.collection)),
      },
    }
    let collected: Collected | undefined
    const options = { dryRun: false, keep: new Map<string, number>(), untaggedMs: null }
    void collect(parts, options).then((result) => (collected = result))
    await waitFor('the collection', async () => {
      await clock.advance(1)
      return collected !== undefined
    })
    return { collected, at }
  }

  it('takes no file away at once: who has just read the catalog is about to open it', async () => {
    await opened.registry.repository('a').ingestBlob(from('x'), {})
    await later()
    const { collected, at } = await timed({ pauseMs: 0, settleMs: 30 })
    expect(collected).toMatchObject({ files: 1 })
    expect(at.removed[0]! - at.buried.at(-1)!).toBeGreaterThanOrEqual(30)
  })

  it('asks of no more than a page of files at once, and removes all of them', async () => {
    for (let nth = 0; nth <= pageLength; nth++) await opened.content.ingest(from(`blob ${nth}`))
    await later()
    const { collected, at } = await timed({ pauseMs: 0, settleMs: 0 })
    expect(collected).toMatchObject({ files: pageLength + 1, left: { files: 0 } })
    expect([at.buried.length, at.removed.length]).toEqual([2, pageLength + 1])
  })

  it('rests between two pages', async () => {
    for (const name of ['a', 'b', 'c']) await opened.registry.repository(name).ingestBlob(from('x'), {})
    await later()
    const { at } = await timed({ pauseMs: 10, settleMs: 0 })
    expect(at.dropped).toHaveLength(3)
    for (const [nth, moment] of at.dropped.slice(1).entries()) {
      expect(moment - at.dropped[nth]!).toBeGreaterThanOrEqual(10)
    }
  })
})

describe('interruptions', () => {
  it('ends between two pages when it is told to', async () => {
    await opened.content.ingest(from('x'))
    await later()
    const signal = AbortSignal.abort(new Error('stopping'))
    await expect(gc({ signal })).rejects.toThrow('stopping')
    expect(await isThere('x')).toBe(true)
  })

  it('goes on later where it was cut short after burying, unless somebody has it again', async () => {
    for (const text of ['gone', 'back']) await opened.content.ingest(from(text))
    await opened.state.collection.bury([digestOf('gone'), digestOf('back')], clock.now())
    await opened.registry.repository('a').ingestBlob(from('back'), {})
    expect(await opened.state.collection.tombstones({ limit: 10 })).toEqual([digestOf('gone')])
    expect(await gc()).toMatchObject({ files: 1, bytes: 4 })
    expect(await isThere('gone')).toBe(false)
    expect(await isThere('back')).toBe(true)
    expect(await opened.state.collection.tombstones({ limit: 10 })).toEqual([])
  })

  it.each(['blob', 'manifest', 'mount'] as const)(
    'does not unlink what comes as a %s after it was buried',
    async (way) => {
      const raw = image('x')
      const repository = opened.registry.repository('a')
      await repository.ingestBlob(from('{}'), {})
      await opened.content.ingest(from(raw.bytes))
      await opened.content.ingest(from('x'))
      await later()
      const real = opened.state.collection
      const come = async () => {
        await repository.ingestBlob(from('x'), {})
        if (way === 'manifest') await push(repository, 'x')
        if (way === 'mount') await opened.registry.repository('b').mount(digestOf('x'), { from: 'a' })
      }
      const slow: typeof real = {
        ...real,
        async tombstones(page) {
          const found = await real.tombstones(page)
          await come()
          return found
        },
      }
      await gc({}, slow)
      expect(await isThere('x')).toBe(true)
      expect(await isThere(raw.digest)).toBe(way === 'manifest')
    },
  )
})
