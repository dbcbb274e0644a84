import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { draft, manifestRow } from '../../unit/state/open.ts'
import type { State } from '../../../src/state/state.ts'
import type { OpenState } from './open.ts'

export function testDecisions(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  const ann = { by: 'ann', at: 1, reason: 'first' }
  const bob = { by: 'bob', at: 2, reason: 'second' }
  const told = async () => (await state.events.after(0, 99)).map(({ type, bundle, by, at }) => [type, bundle, by, at])

  describe('holds', () => {
    it('are by bundle, with the word of the first', async () => {
      expect(await state.decisions.hold(['b', 'a'], ann)).toEqual(['b', 'a'])
      expect(await state.decisions.hold(['b', 'c'], bob)).toEqual(['c'])
      expect((await state.decisions.all()).holds).toEqual([
        { bundle: 'a', ...ann },
        { bundle: 'b', ...ann },
        { bundle: 'c', ...bob },
      ])
    })

    it('end for one or for all', async () => {
      await state.decisions.hold(['c', 'a', 'b'], ann)
      expect(await state.decisions.resume('b', bob)).toEqual(['b'])
      expect(await state.decisions.resume('b', bob)).toEqual([])
      expect(await state.decisions.resume('*', bob)).toEqual(['a', 'c'])
      expect((await state.decisions.all()).holds).toEqual([])
      expect(await told()).toEqual([
        ...['c', 'a', 'b'].map((bundle) => ['deployments.held', bundle, 'ann', 1]),
        ...['b', 'a', 'c'].map((bundle) => ['deployments.resumed', bundle, 'bob', 2]),
      ])
    })
  })

  describe('pins', () => {
    it('are one per bundle, the newest, until they are taken off', async () => {
      await state.decisions.pin({ bundle: 'a', to: { tag: 'v1' }, ...ann })
      await state.decisions.pin({ bundle: 'a', to: { release: 3 }, ...bob })
      await state.decisions.pin({ bundle: 'b', to: { digest: digestOf('x') }, ...bob })
      expect((await state.decisions.all()).pins).toEqual([
        { bundle: 'a', to: { release: 3 }, ...bob },
        { bundle: 'b', to: { digest: digestOf('x') }, ...bob },
      ])
      expect(await state.decisions.unpin('a', ann)).toBe(true)
      expect(await state.decisions.unpin('a', ann)).toBe(false)
      expect((await state.decisions.all()).pins).toHaveLength(1)
      expect((await told()).map(([type]) => type)).toEqual([...Array(3).fill('bundle.pinned'), 'bundle.unpinned'])
    })
  })

  describe('events', () => {
    it('are numbered, paged from a number on, and read by bundle from the newest', async () => {
      for (const bundle of ['a', 'b', 'a']) await state.decisions.pin({ bundle, to: { tag: 'v' }, ...ann })
      expect(await state.events.newest()).toBe(3)
      expect((await state.events.after(1, 1)).map(({ seq, bundle }) => [seq, bundle])).toEqual([[2, 'b']])
      expect((await state.events.ofBundle('a', 9)).map(({ seq }) => seq)).toEqual([3, 1])
      expect((await state.events.after(2, 9))[0]).toEqual({
        ...{ seq: 3, at: 1, type: 'bundle.pinned', bundle: 'a', place: null, by: 'ann' },
        data: { pin: { tag: 'v' }, reason: 'first' },
      })
    })

    it('are read of one place, however much happened elsewhere since', async () => {
      const switchOff = (place: string | null) =>
        state.decisions.switchAutoDeploy({ bundle: 'a', place, on: false, ...ann })
      for (const place of ['prod', null, 'zones', 'zones', null]) await switchOff(place)
      expect((await state.events.ofBundle('a', 1, 'prod')).map(({ seq, place }) => [seq, place])).toEqual([[1, 'prod']])
      expect((await state.events.ofBundle('a', 1, 'zones')).map(({ seq }) => seq)).toEqual([4])
      expect(await state.events.ofBundle('b', 9, 'prod')).toEqual([])
    })

    it('tell of a look that went wrong, and of the one that was well again', async () => {
      const look = {
        ...{ bundle: 'a', startedAt: 1, endedAt: 2, trigger: 'schedule', version: 'v', fingerprint: null, failures: 1 },
        ...{ message: 'no', code: 'network', nextAt: null },
      }
      await state.bundles.saveLook({ ...look, outcome: 'failed' })
      await state.bundles.saveLook({ ...look, outcome: 'refused', endedAt: 3 })
      await state.bundles.saveLook({ ...look, outcome: 'unchanged', endedAt: 4, message: null, code: null })
      await state.bundles.saveLook({ ...look, outcome: 'unchanged', endedAt: 5, message: null, code: null })
      expect((await told()).map(([type, , , at]) => [type, at])).toEqual([
        ['look.failed', 2],
        ['look.refused', 3],
        ['look.recovered', 4],
      ])
    })
  })

  describe('adopting', () => {
    it('makes the first release, once', async () => {
      await state.catalog.putManifest('bundles/authz', manifestRow('a'), [], ['latest'], 1)
      await state.bundles.adopt(draft('a'), 5)
      await state.bundles.adopt(draft('b'), 6)
      expect(await state.bundles.current()).toEqual([{ ...draft('a'), number: 1, activatedAt: 5, kept: true }])
      expect(await state.bundles.releases('authz', 9)).toHaveLength(1)
    })

    it('is gone on from', async () => {
      for (const name of ['a', 'b']) await state.catalog.putManifest('bundles/authz', manifestRow(name), [], [], 1)
      await state.bundles.adopt(draft('a'), 5)
      const memo = { bundle: 'authz', fingerprint: 'f', recipe: 'r' }
      const context = { tags: ['latest'], memo, places: [], keep: 10, at: 6 }
      expect((await state.bundles.append(draft('b'), context)).number).toBe(2)
      expect((await state.bundles.releaseByDigest('authz', digestOf('a')))?.number).toBe(1)
    })
  })
}
