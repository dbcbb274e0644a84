import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { IntegrityError, StorageError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { imageOf, indexOf } from '../../support/repository.ts'
import { waitFor } from '../../support/wait.ts'
import { down, openRig, ScriptedStore, specOf, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
const off = { kind: 'off' } as const
const hour = 3_600_000

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
})
afterEach(() => rig.close())

const look = (trigger = 'request') => rig.reconciler.look('authz', trigger)
const history = async () =>
  (await rig.state.bundles.releases('authz', 100)).map(({ number, version }) => [number, version])

describe('a look', () => {
  it('makes a release of what is new, and serves it as it came', async () => {
    const raw = await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'released', version: 'latest', fingerprint: raw.digest, failures: 0 })
    expect(rig.released).toMatchObject([
      {
        bundle: 'authz',
        number: 1,
        bundleDigest: digestOf('policy'),
        size: 6,
        manifestDigest: raw.digest,
        sourceDigest: raw.digest,
        form: 'original',
        version: 'latest',
        reason: 'first',
        kept: true,
      },
    ])
    const repository = rig.registry.repository('bundles/authz')
    expect(Buffer.from((await repository.manifest('latest')).bytes)).toEqual(Buffer.from(raw.bytes))
    expect(await repository.hasBlob({ mediaType: '', digest: digestOf('policy'), size: 6 })).toBe(true)
  })

  it('is written down by the next one, where the state could not be written, and then no more', async () => {
    const disk = { isFull: false }
    await rig.close()
    rig = await openRig({
      wrap: (state) => ({
        ...state,
        bundles: {
          ...state.bundles,
          saveLook: (...args) =>
            disk.isFull ? Promise.reject(new StorageError('disk_full', 'no room')) : state.bundles.saveLook(...args),
        },
      }),
    })
    const saved = async () => (await rig.state.bundles.look('authz'))?.outcome
    await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    await look()
    expect(await saved()).toBe('released')
    await store.push('policy', 'other')
    disk.isFull = true
    await rig.reconciler.configure([specOf(store, { follow: { tag: 'other' } })])
    await look()
    store.failures = Array.from({ length: 9 }, down)
    await look()
    expect(await saved()).toBe('released')
    disk.isFull = false
    await look()
    expect(await saved()).toBe('failed')
    expect(JSON.stringify(await rig.state.bundles.followed())).toContain('other')
    rig.writes.length = 0
    await look()
    expect(rig.writes).toEqual([])
  })

  it('is one question to the store and no write when there is nothing new', async () => {
    await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    await look()
    store.repository.log.length = 0
    rig.writes.length = 0
    for (let i = 0; i < 3; i++) expect(await look()).toMatchObject({ outcome: 'unchanged', version: 'latest' })
    expect(store.repository.log).toEqual(['head latest', 'head latest', 'head latest'])
    expect(rig.writes).toEqual([])
    expect(rig.released).toHaveLength(1)
  })

  it('asks the state once when there is nothing new, and notes no use, however long ago the last was', async () => {
    await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    await look()
    await look()
    for (let i = 0; i < 3; i++) {
      await rig.clock.advance(600_000)
      rig.calls.length = 0
      expect(await look()).toMatchObject({ outcome: 'unchanged' })
      expect(rig.calls).toEqual(['catalog.parts'])
    }
  })

  it('makes of A, B and A again the releases 1, 2 and 3', async () => {
    await rig.reconciler.configure([specOf(store)])
    for (const text of ['a', 'b', 'a']) {
      await store.push(text)
      await look()
    }
    expect(rig.released.map(({ number, reason }) => [number, reason])).toEqual([
      [1, 'first'],
      [2, 'changed'],
      [3, 'back to release 1'],
    ])
    expect(rig.released[2]?.manifestDigest).toBe(rig.released[0]?.manifestDigest)
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
  })

  it('keeps what it packed next to what came', async () => {
    const raw = await store.push('pack it')
    await rig.reconciler.configure([specOf(store, { follow: { tag: 'v1 (beta)' } })])
    store.repository.tagged.set('v1 (beta)', raw.digest)
    await look()
    expect(rig.released).toMatchObject([
      { form: 'repacked', sourceDigest: raw.digest, bundleDigest: digestOf('packed it'), revision: 'r' },
    ])
    const repository = rig.registry.repository('bundles/authz')
    expect((await repository.manifest('v1--beta-')).digest).toBe(rig.released[0]?.manifestDigest)
    expect((await repository.manifest(raw.digest)).digest).toBe(raw.digest)
  })

  it('makes no release of other wrapping around the same bytes, and remembers that', async () => {
    await store.push('pack same 1')
    await rig.reconciler.configure([specOf(store)])
    await look()
    const other = await store.push('pack same 2')
    expect(await look()).toMatchObject({ outcome: 'unchanged', fingerprint: other.digest })
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect([store.fetches, rig.released.length]).toEqual([2, 1])
    expect(await rig.registry.repository('bundles/authz').head(other.digest)).toBeUndefined()
  })

  it('fails with a clear message when the store has nothing to follow, and keeps the last good release', async () => {
    await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    await look()
    store.repository.tagged.clear()
    expect(await look()).toMatchObject({
      outcome: 'failed',
      code: 'not_found',
      message: 'test/policies has nothing for latest',
      failures: 1,
    })
    expect(rig.reconciler.status('authz')).toMatchObject([{ current: { number: 1 }, health: 'stale' }])
  })

  it('remembers what it refused and why, keeps the last good release, and does not fetch it again', async () => {
    await store.push('policy')
    await rig.reconciler.configure([specOf(store)])
    await look()
    const bad = await store.push('refuse me')
    const refused = { outcome: 'refused', code: 'bad_bundle', message: 'a.rego: a rule without an end', failures: 0 }
    expect(await look()).toMatchObject({ ...refused, fingerprint: bad.digest })
    rig.writes.length = 0
    expect(await look()).toMatchObject(refused)
    expect([store.fetches, rig.assembled]).toEqual([2, 2])
    expect(rig.writes).toEqual([])
    expect(rig.reconciler.status('authz')).toMatchObject([{ current: { number: 1 }, health: 'stale' }])
    expect((await rig.state.bundles.memo('authz', bad.digest, 'r1'))?.verdict).toEqual({
      refused: 'a.rego: a rule without an end',
      code: 'bad_bundle',
      file: 'a.rego',
    })
    // What was refused is not handed out by its digest either.
    expect(await rig.registry.repository('bundles/authz').head(bad.digest)).toBeUndefined()
    await store.push('policy')
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
  })

  it('fetches what came garbled again by itself, later each time, and takes it when it comes as it should', async () => {
    const raw = await store.push('policy')
    const garbled = () => new IntegrityError('digest_mismatch', 'other bytes came')
    store.fetchFailures = [garbled(), garbled()]
    await rig.reconciler.configure([specOf(store, { schedule: { kind: 'interval', minMs: hour, maxMs: hour } })])
    expect(await look()).toMatchObject({ outcome: 'refused', nextAt: rig.clock.now() + 60_000 })
    const tries = async () => (await rig.state.bundles.memo('authz', raw.digest, 'r1'))?.verdict
    expect(await tries()).toEqual({ refused: 'other bytes came', code: 'digest_mismatch', file: null, tries: 1 })
    await rig.clock.advance(59_000)
    expect(store.fetches).toBe(1)
    await rig.clock.advance(1_000)
    await waitFor('the second', async () => (await tries())?.['tries' as never] === 2)
    await rig.clock.advance(119_000)
    expect(store.fetches).toBe(2)
    await rig.clock.advance(1_000)
    await waitFor('the release', () => rig.released.length === 1)
    expect(rig.released).toMatchObject([{ reason: 'tried again', manifestDigest: raw.digest }])
    expect(store.fetches).toBe(3)
  })

  it('looks anew at what was refused when the recipe changes', async () => {
    await store.push('refuse me')
    const spec = specOf(store, { schedule: off })
    await rig.reconciler.configure([spec])
    await look()
    await rig.reconciler.configure([{ ...spec, recipe: 'r2' }])
    await look()
    expect(store.fetches).toBe(2)
  })

  it('keeps a manifest that a release is made of when another recipe refuses it', async () => {
    const raw = await store.push('policy')
    const spec = specOf(store, { schedule: off })
    await rig.reconciler.configure([spec])
    await look()
    rig.refusing = true
    await rig.reconciler.configure([{ ...spec, recipe: 'r2' }])
    expect(await look()).toMatchObject({ outcome: 'refused' })
    expect(await rig.registry.repository('bundles/authz').head(raw.digest)).toBeDefined()
    expect(await history()).toEqual([[1, 'latest']])
  })

  it('makes a release under a changed recipe though the digest stands, unless the same comes of it', async () => {
    await store.push('policy')
    const spec = specOf(store, { schedule: off })
    await rig.reconciler.configure([spec])
    await look()
    await rig.reconciler.configure([{ ...spec, recipe: 'r2' }])
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect([store.fetches, rig.released.length]).toEqual([2, 1])
  })

  it('takes another member of the same index when the platform changes, and says that it was the recipe', async () => {
    const members = [await imageOf(store.repository, ['amd']), await imageOf(store.repository, ['arm'])]
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }))
    await indexOf(store.repository, members, { tags: ['latest'], platforms })
    const spec = specOf(store, { schedule: off })
    await rig.reconciler.configure([spec])
    await look()
    await rig.reconciler.configure([{ ...spec, platform: 'linux/arm64', recipe: 'r2' }])
    await look()
    expect(rig.released.map(({ bundleDigest, reason }) => [bundleDigest, reason])).toEqual([
      [digestOf('amd'), 'first'],
      [digestOf('arm'), 'recipe changed'],
    ])
  })

  it('fails, and says so, when a store goes down between question and fetch', async () => {
    const raw = await store.push('policy')
    store.fetchFailures = [down()]
    await rig.reconciler.configure([specOf(store)])
    const failed = { outcome: 'failed', code: 'unavailable', fingerprint: raw.digest, failures: 1 }
    expect(await look()).toMatchObject(failed)
    expect(await rig.state.bundles.memo('authz', raw.digest, 'r1')).toBeUndefined()
    expect(await look()).toMatchObject({ outcome: 'released' })
  })

  it('that cannot be committed, the disk being full, changes nothing; the next one releases it', async () => {
    await store.push('one')
    await rig.reconciler.configure([specOf(store)])
    await look()
    const raw = await store.push('two')
    const { bundles } = rig.state
    const append = bundles.append.bind(bundles)
    bundles.append = () => Promise.reject(new StorageError('disk_full', 'there is no space left'))
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'disk_full', failures: 1 })
    expect(rig.released).toHaveLength(1)
    expect(rig.reconciler.status('authz')[0]!.current).toMatchObject({ number: 1 })
    expect((await rig.registry.repository('bundles/authz').head('latest'))?.digest).not.toBe(raw.digest)
    bundles.append = append
    expect(await look()).toMatchObject({ outcome: 'released', failures: 0 })
    expect(await history()).toEqual([
      [2, 'latest'],
      [1, 'latest'],
    ])
    expect((await rig.registry.repository('bundles/authz').head('latest'))?.digest).toBe(raw.digest)
  })

  it('survives a listener that throws', async () => {
    await store.push('policy')
    rig.reconciler.events.on('released', () => {
      throw new Error('listener')
    })
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'released' })
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
  })

  it('fails, and nothing else does, when what was packed cannot be read', async () => {
    await store.push('pack and lose')
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'corrupt' })
  })

  it('shows a bug as one, without bringing anything down', async () => {
    store.failures = [new TypeError('x is not a function')]
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'internal', message: 'x is not a function' })
  })
})

describe('bytes that the disk lost', () => {
  const fileOf = (digest: string) => join(rig.folder, 'blobs', digest.replace(':', '/'))
  const lose = (digest: string) => rmSync(fileOf(digest))
  const isThere = (digest: string) => existsSync(fileOf(digest))

  async function serve(text: string) {
    const raw = await store.push(text)
    await rig.reconciler.configure([specOf(store)])
    await look()
    return raw
  }

  it.each(['policy', 'pack policy'])(
    'are fetched again by the next look, and no release is made of it: %s',
    async (text) => {
      await serve(text)
      lose(rig.released[0]!.bundleDigest!)
      expect(await look('schedule')).toMatchObject({ outcome: 'unchanged' })
      expect([store.fetches, rig.released.length]).toEqual([2, 1])
      expect(isThere(rig.released[0]!.bundleDigest!)).toBe(true)
      await look('schedule')
      expect(store.fetches).toBe(2)
    },
  )

  it('are missed after a restart too, when the manifest is among them', async () => {
    const raw = await serve('policy')
    await rig.close()
    lose(raw.digest)
    rig = await openRig({ folder: rig.folder })
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect((await rig.registry.repository('bundles/authz').manifest(raw.digest)).digest).toBe(raw.digest)
  })

  it('are fetched from where they came, though something else is offered that is refused', async () => {
    await serve('policy')
    lose(digestOf('policy'))
    await store.push('refuse me')
    expect(await look()).toMatchObject({ outcome: 'refused' })
    expect(isThere(digestOf('policy'))).toBe(true)
  })

  it('make the look fail that cannot bring them back, and do not keep a newer release away', async () => {
    await serve('policy')
    lose(digestOf('policy'))
    store.repository.blobs.delete(digestOf('policy'))
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'not_found' })
    expect(rig.reconciler.status('authz')).toMatchObject([{ health: 'stale' }])
    await store.push('newer')
    expect(await look()).toMatchObject({ outcome: 'released' })
  })
})
