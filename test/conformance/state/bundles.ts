import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deployment } from '../../../src/model/deployment.ts'
import type { Look } from '../../../src/model/release.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { ReleaseDraft, State } from '../../../src/state/state.ts'
import { draft, manifestRow } from '../../unit/state/open.ts'
import type { OpenState } from './open.ts'

export function testBundles(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  interface Context {
    tags?: string[]
    places?: string[]
    keep?: number
  }

  async function append(
    name: string,
    { tags = [], places = [], keep = 10 }: Context = {},
    more: Partial<ReleaseDraft> = {},
  ) {
    const release = draft(name, more)
    const repository = `bundles/${release.bundle}`
    for (const digest of [release.sourceDigest, release.manifestDigest]) {
      await state.catalog.putManifest(repository, { ...manifestRow(name), digest }, [], [], 1)
    }
    const memo = { bundle: release.bundle, fingerprint: name, recipe: 'r' }
    return state.bundles.append(release, { tags, memo, places, keep, at: 7 })
  }

  const inCatalog = async (name: string) =>
    (await state.catalog.manifest('bundles/authz', digestOf(name))) !== undefined

  describe('releases', () => {
    it('gives what was served before the newest of each bundle, the oldest first, as far back as is asked', async () => {
      for (const name of ['a', 'b', 'c', 'd']) await append(name)
      for (const name of ['e', 'f']) await append(name, {}, { bundle: 'other' })
      await append('g', {}, { bundle: 'first' })
      const of = (bundle: string, ...names: string[]) =>
        names.map((name) => ({ bundle, digest: digestOf(`layer of ${name}`) }))
      expect(await state.bundles.earlierDigests(100)).toEqual([...of('authz', 'a', 'b', 'c'), ...of('other', 'e')])
      expect(await state.bundles.earlierDigests(2)).toEqual([...of('authz', 'c'), ...of('other', 'e')])
    })

    it('leaves out those that served nothing', async () => {
      await append('watched', {}, { bundleDigest: null })
      await append('b')
      expect(await state.bundles.earlierDigests(100)).toEqual([])
    })

    it('are numbered per bundle, and the newest is current', async () => {
      expect(await append('a')).toEqual({ ...draft('a'), number: 1, activatedAt: 7, kept: true })
      expect((await append('b')).number).toBe(2)
      expect((await append('a', {}, { bundle: 'other', revision: 'rev' })).number).toBe(1)
      expect((await append('a')).number).toBe(3)
      const current = await state.bundles.current()
      expect(current.map(({ bundle, number }) => [bundle, number])).toEqual([
        ['authz', 3],
        ['other', 1],
      ])
      expect(current[1]!.revision).toBe('rev')
    })

    it('are found by number, and by any of their digests the newest', async () => {
      await append('a')
      const second = await append('b', {}, { form: 'repacked', sourceDigest: digestOf('source') })
      const third = await append('a')
      expect(await state.bundles.release('authz', 2)).toEqual(second)
      expect(await state.bundles.release('authz', 4)).toBeUndefined()
      for (const name of ['b', 'source', 'layer of b']) {
        expect(await state.bundles.releaseByDigest('authz', digestOf(name))).toEqual(second)
      }
      expect(await state.bundles.releaseByDigest('authz', digestOf('a'))).toEqual(third)
      expect(await state.bundles.releaseByDigest('other', digestOf('a'))).toBeUndefined()
      expect((await state.bundles.releases('authz', 2)).map(({ number }) => number)).toEqual([3, 2])
    })

    it('move tags, remember the memo and set what places want, together', async () => {
      await append('a', { tags: ['latest', 'a'], places: ['prod'] })
      await append('b', { tags: ['latest', 'b'], places: ['prod', 'zones'] })
      expect((await state.catalog.manifest('bundles/authz', 'latest'))?.digest).toBe(digestOf('b'))
      expect((await state.catalog.manifest('bundles/authz', 'a'))?.digest).toBe(digestOf('a'))
      expect(await state.bundles.memo('authz', 'b', 'r')).toEqual({
        bundle: 'authz',
        fingerprint: 'b',
        recipe: 'r',
        verdict: { release: 2 },
        at: 7,
      })
      expect((await state.deployments.list()).map(({ place, desired }) => [place, desired])).toEqual([
        ['prod', 2],
        ['zones', 2],
      ])
    })

    it('make the index on disk stale by their tags alone', async () => {
      await append('a', { tags: ['latest'] })
      const [stale] = await state.catalog.staleIndexes(9)
      await state.catalog.indexWritten('bundles/authz', stale!.version)
      const memo = { bundle: 'authz', fingerprint: 'a', recipe: 'r2' }
      await state.bundles.append(draft('a'), { tags: ['again'], memo, places: [], keep: 10, at: 8 })
      expect(await state.catalog.staleIndexes(9)).toMatchObject([{ repository: 'bundles/authz' }])
    })

    it('are not there at all when one part fails', async () => {
      await append('a')
      const memo = { bundle: 'authz', fingerprint: 'x', recipe: 'r' }
      const context = { tags: ['latest'], memo, places: ['prod'], keep: 10, at: 8 }
      await expect(state.bundles.append(draft('not in the catalog'), context)).rejects.toThrow(/constraint/i)
      expect(await state.bundles.releases('authz', 10)).toHaveLength(1)
      expect(await state.bundles.memo('authz', 'x', 'r')).toBeUndefined()
      expect(await state.deployments.list()).toEqual([])
      expect((await append('b')).number).toBe(2)
    })

    it('need no manifest in the catalog where nothing is pulled', async () => {
      const memo = { bundle: 'authz', fingerprint: 'x', recipe: 'r' }
      const release = await state.bundles.append(draft('far', { bundleDigest: null }), {
        tags: [],
        memo,
        places: [],
        keep: 10,
        at: 8,
      })
      expect(release).toMatchObject({ number: 1, bundleDigest: null })
    })
  })

  describe('keep', () => {
    it('lets the manifests of older releases go, with their tags; the history stays', async () => {
      for (const name of ['a', 'b', 'c', 'd']) await append(name, { tags: [name, 'latest'], keep: 2 })
      expect((await state.bundles.releases('authz', 10)).map(({ kept }) => kept)).toEqual([true, true, false, false])
      expect(await Promise.all(['a', 'b', 'c', 'd'].map(inCatalog))).toEqual([false, false, true, true])
      expect(await state.catalog.tags('bundles/authz', { limit: 10 })).toEqual(['c', 'd', 'latest'])
    })

    it('removes what came as well as what is served', async () => {
      await append('a', { keep: 1 }, { form: 'repacked', sourceDigest: digestOf('source of a') })
      await append('b', { keep: 1 })
      expect(await inCatalog('a')).toBe(false)
      expect(await inCatalog('source of a')).toBe(false)
    })

    it('leaves what another kept release needs', async () => {
      await append('a', { keep: 2 })
      await append('b', { keep: 2 })
      await append('a', { keep: 2 })
      expect((await state.bundles.release('authz', 1))!.kept).toBe(false)
      expect(await inCatalog('a')).toBe(true)
      await append('c', { keep: 2 }, { sourceDigest: digestOf('a') })
      expect(await inCatalog('b')).toBe(false)
      await append('d', { keep: 2 })
      expect(await inCatalog('a')).toBe(true)
      await append('e', { keep: 1 })
      expect(await inCatalog('a')).toBe(false)
    })

    it('is found by its digest before a newer release of the same, that nobody keeps', async () => {
      await append('a', { places: ['prod'], keep: 1 })
      const [deployment] = await state.deployments.list('authz')
      await state.deployments.save({ ...deployment!, deployed: 1, state: 'done' }, 1)
      for (const name of ['b', 'a', 'c']) await append(name, { keep: 1 })
      expect((await state.bundles.releases('authz', 10)).map(({ kept }) => kept)).toEqual([true, false, false, true])
      for (const name of ['a', 'layer of a']) {
        expect(await state.bundles.releaseByDigest('authz', digestOf(name))).toMatchObject({ number: 1, kept: true })
      }
      expect(await state.bundles.releaseByDigest('authz', digestOf('b'))).toMatchObject({ number: 2, kept: false })
    })

    it('leaves what a place holds or wants, until it does not', async () => {
      await append('a', { places: ['prod'], keep: 1 })
      const [deployment] = await state.deployments.list('authz')
      await state.deployments.save({ ...deployment!, deployed: 1, state: 'done' }, 1)
      await append('b', { places: ['prod'], keep: 1 })
      await append('c', { keep: 1 })
      expect(await Promise.all(['a', 'b', 'c'].map(inCatalog))).toEqual([true, true, true])
      const [now] = await state.deployments.list('authz')
      expect(now).toMatchObject({ desired: 2, deployed: 1 })
      await state.deployments.save({ ...now!, deployed: 2, state: 'done' }, 1)
      await append('d', { keep: 1 })
      expect(await Promise.all(['a', 'b', 'c', 'd'].map(inCatalog))).toEqual([false, true, false, true])
    })

    it('never takes the current release', async () => {
      await append('a', { keep: 0, tags: ['latest'] })
      expect(await inCatalog('a')).toBe(true)
    })

    it('does not touch other bundles or repositories', async () => {
      await state.catalog.putManifest('policies', manifestRow('a'), [], [], 1)
      await append('a', {}, { bundle: 'other' })
      await append('a', { keep: 1 })
      await append('b', { keep: 1 })
      expect(await state.catalog.manifest('policies', digestOf('a'))).toBeDefined()
      expect(await state.catalog.manifest('bundles/other', digestOf('a'))).toBeDefined()
    })
  })

  describe('memos and looks', () => {
    it('keep the verdict for one fingerprint under one recipe', async () => {
      const memo = {
        bundle: 'b',
        fingerprint: 'f',
        recipe: 'r',
        verdict: { refused: 'no', code: 'bad_bundle', file: null },
        at: 1,
      }
      await state.bundles.remember(memo)
      await state.bundles.remember({ ...memo, at: 2 })
      expect(await state.bundles.memo('b', 'f', 'r')).toEqual({ ...memo, at: 2 })
      expect(await state.bundles.memo('b', 'f', 'r2')).toBeUndefined()
    })

    it('keep the newest look of each bundle', async () => {
      const look: Look = {
        bundle: 'b',
        startedAt: 1,
        endedAt: 2,
        outcome: 'failed',
        trigger: 'schedule',
        version: null,
        fingerprint: null,
        message: 'no answer',
        code: 'network',
        failures: 3,
        nextAt: null,
      }
      expect(await state.bundles.look('b')).toBeUndefined()
      await state.bundles.saveLook({ ...look, failures: 2 })
      await state.bundles.saveLook(look)
      await state.bundles.saveLook({ ...look, bundle: 'a', nextAt: 9 })
      expect(await state.bundles.look('b')).toEqual(look)
      expect(await state.bundles.looks()).toEqual([{ ...look, bundle: 'a', nextAt: 9 }, look])
    })

    it('tell by whose word a release goes to a place, and that an older one that failed does not', async () => {
      const at = 1_800_000_000_000
      const row = async () => (await state.deployments.list('authz'))[0]!
      const told = async () =>
        (await state.events.ofBundle('authz', 9, 'x'))
          .toReversed()
          .map(({ type, by, data }) => [type, by, data.release])
      await append('a', { places: ['x'] })
      await state.deployments.save({ ...(await row()), state: 'deploying', attempts: 1, lastAttemptAt: at }, at)
      await state.deployments.save({ ...(await row()), state: 'failed', lastError: 'no', nextAttemptAt: at + 1 }, at)
      const memo = { bundle: 'authz', fingerprint: 'b', recipe: 'r' }
      await state.bundles.append(draft('b'), { tags: [], memo, places: ['x'], keep: 10, at, by: 'ann' })
      await state.deployments.save({ ...(await row()), state: 'deploying', attempts: 1, lastAttemptAt: at }, at)
      await state.deployments.save({ ...(await row()), state: 'done', deployed: 2, deployedAt: at }, at)
      expect(await told()).toEqual([
        ['deployment.started', null, 1],
        ['deployment.failed', null, 1],
        ['deployment.overtaken', null, 1],
        ['deployment.started', 'ann', 2],
        ['deployment.succeeded', 'ann', 2],
      ])
    })

    it('tell what was followed when it was found, by a release or a look, and not what was not found', async () => {
      const look: Look = {
        ...{ bundle: 'authz', startedAt: 1, endedAt: 2, outcome: 'unchanged', trigger: 'schedule', version: 'v1' },
        ...{ fingerprint: 'f', message: null, code: null, failures: 0, nextAt: null },
      }
      await state.bundles.saveLook(look, 'before the first release')
      expect(await state.bundles.followed()).toEqual([])
      await append('a')
      expect(await state.bundles.followed()).toEqual([])
      const memo = { bundle: 'authz', fingerprint: 'b', recipe: 'r' }
      await state.bundles.append(draft('b'), { tags: [], memo, places: [], keep: 10, at: 8, followed: 'v1' })
      await append('c', {}, { bundle: 'other' })
      expect(await state.bundles.followed()).toEqual([{ bundle: 'authz', followed: 'v1' }])
      await state.bundles.saveLook({ ...look, bundle: 'other' }, 'v2')
      await state.bundles.saveLook({ ...look, outcome: 'failed' })
      expect(await state.bundles.followed()).toEqual([
        { bundle: 'authz', followed: 'v1' },
        { bundle: 'other', followed: 'v2' },
      ])
    })
  })

  describe('deployments', () => {
    const fresh = (place: string, desired: number | null): Deployment => ({
      bundle: 'b',
      place,
      desired,
      deployed: null,
      observed: null,
      state: 'pending',
      attempts: 0,
      nextAttemptAt: null,
      lastError: null,
      lastAttemptAt: null,
      deployedAt: null,
      forced: 0,
      forcedDone: 0,
    })

    it('follow the config: new places want the current release, those that stay are left, others go', async () => {
      await state.deployments.configure('b', ['x', 'y'], null)
      expect(await state.deployments.list('b')).toEqual([fresh('x', null), fresh('y', null)])
      await state.deployments.configure('c', ['x'], 9)
      await state.deployments.save({ ...fresh('y', 3), deployed: 3, state: 'done', deployedAt: 5 }, 1)
      await state.deployments.configure('b', ['y', 'z', 'z'], 4)
      expect(await state.deployments.list('b')).toEqual([
        { ...fresh('y', 3), deployed: 3, state: 'done', deployedAt: 5 },
        fresh('z', 4),
      ])
      expect(await state.deployments.list()).toHaveLength(3)
    })

    it('do not come back by a late result for a place that left', async () => {
      await state.deployments.configure('b', ['x'], 1)
      await state.deployments.configure('b', [], 1)
      await state.deployments.save({ ...fresh('x', 1), deployed: 1, state: 'done' }, 1)
      expect(await state.deployments.list('b')).toEqual([])
    })

    it('a late result does not undo what a newer release asked for', async () => {
      await state.deployments.configure('b', ['x'], 5)
      const late: Deployment = {
        ...fresh('x', 4),
        deployed: 4,
        observed: digestOf('4'),
        state: 'done',
        attempts: 3,
        deployedAt: 8,
      }
      await state.deployments.save(late, 1)
      expect(await state.deployments.list('b')).toEqual([{ ...late, desired: 5, state: 'pending', attempts: 0 }])
    })
  })
}
