import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { State } from '../../../src/state/state.ts'
import type { OpenState } from './open.ts'

const ann = { by: 'ann', at: 1, reason: 'first' }
const bob = { by: 'bob', at: 2, reason: 'second' }

export function testSteering(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  describe('what is asked for whatever is there', () => {
    it('is counted, at one place or at all, and told', async () => {
      await state.deployments.configure('b', ['x', 'y'], 3)
      await state.deployments.configure('c', ['x'], 3)
      const forced = (rows: Awaited<ReturnType<typeof state.deployments.force>>) =>
        rows.map(({ bundle, place, forced: times }) => [bundle, place, times]).sort()
      expect(forced(await state.deployments.force('b', 'x', ann))).toEqual([['b', 'x', 1]])
      expect(forced(await state.deployments.force('b', null, bob))).toEqual([
        ['b', 'x', 2],
        ['b', 'y', 1],
      ])
      expect(await state.deployments.force('b', 'none', bob)).toEqual([])
      expect(forced(await state.deployments.list('c'))).toEqual([['c', 'x', 0]])
      const events = await state.events.after(0, 9)
      expect(events.map(({ type, place, by }) => [type, place, by]).sort()).toEqual([
        ['deployment.forced', 'x', 'ann'],
        ['deployment.forced', 'x', 'bob'],
        ['deployment.forced', 'y', 'bob'],
      ])
    })

    it('is not lost when the result of an attempt comes meanwhile', async () => {
      await state.deployments.configure('b', ['x'], 3)
      const [before] = await state.deployments.list('b')
      await state.deployments.force('b', 'x', ann)
      await state.deployments.save({ ...before!, deployed: 3, state: 'done' }, 1)
      expect(await state.deployments.list('b')).toMatchObject([
        { forced: 1, forcedDone: 0, deployed: 3, state: 'done' },
      ])
    })
  })

  describe('what becomes of a release at a place', () => {
    it('is told with who asked for it, how long it took and how often in vain', async () => {
      await state.deployments.configure('b', ['x'], 1)
      await state.deployments.force('b', 'x', { ...ann, at: 1_800_000_000_000 })
      const [row] = await state.deployments.list('b')
      const at = (more: number) => 1_800_000_000_000 + more
      const begun = { ...row!, state: 'deploying' as const, attempts: 1, lastAttemptAt: at(5) }
      await state.deployments.save(begun, at(5))
      const failed = { ...begun, state: 'failed' as const, lastError: 'no', nextAttemptAt: at(9) }
      await state.deployments.save(failed, at(6))
      await state.deployments.save({ ...failed, state: 'deploying', attempts: 2, lastAttemptAt: at(9) }, at(9))
      const done = { ...failed, state: 'done' as const, attempts: 2, deployed: 1, deployedAt: at(20), forcedDone: 1 }
      await state.deployments.save({ ...done, lastError: null, nextAttemptAt: null }, at(20), ['put it there'])
      const told = (await state.events.ofBundle('b', 9)).reverse()
      expect(told.map(({ type, by }) => [type, by])).toEqual(
        ['forced', 'started', 'failed', 'started', 'succeeded'].map((what) => [`deployment.${what}`, 'ann']),
      )
      expect(told.at(-1)!.data).toMatchObject({ release: 1, failures: 1, tookMs: 20, log: ['put it there'] })
    })
  })

  describe('switches', () => {
    it('are by bundle and place; what is said of the bundle takes off what was said of its places', async () => {
      await state.decisions.switchAutoDeploy({ bundle: 'b', place: 'x', on: false, ...ann })
      await state.decisions.switchAutoDeploy({ bundle: 'b', place: 'y', on: true, ...ann })
      await state.decisions.switchAutoDeploy({ bundle: 'c', place: 'x', on: true, ...ann })
      expect((await state.decisions.all()).switches).toEqual([
        { bundle: 'b', place: 'x', on: false, ...ann },
        { bundle: 'b', place: 'y', on: true, ...ann },
        { bundle: 'c', place: 'x', on: true, ...ann },
      ])
      await state.decisions.switchAutoDeploy({ bundle: 'b', place: null, on: true, ...bob })
      await state.decisions.switchAutoDeploy({ bundle: 'b', place: null, on: false, ...bob })
      expect((await state.decisions.all()).switches).toEqual([
        { bundle: 'b', place: null, on: false, ...bob },
        { bundle: 'c', place: 'x', on: true, ...ann },
      ])
    })
  })

  describe('promotion', () => {
    it('remembers what was there for long enough, by place', async () => {
      for (const release of [2, 1, 2])
        await state.promotions.ripen('prod', { from: 'staging', place: 'x', release, at: release })
      await state.promotions.ripen('prod', { from: 'staging', place: null, release: 7, at: 1_800_000_000_000 })
      expect(await state.promotions.read('prod', 'staging', 'x')).toEqual({ ripe: [1, 2], approvals: [] })
      expect((await state.promotions.read('prod', 'staging', null)).ripe).toEqual([7])
      expect((await state.promotions.read('prod', 'other', 'x')).ripe).toEqual([])
    })

    it('takes the first word of a person, and tells it', async () => {
      const approval = { bundle: 'prod', from: 'staging', release: 3, digest: digestOf('x'), ...ann }
      expect(await state.promotions.approve(approval, 'v3')).toBe(true)
      expect(await state.promotions.approve({ ...approval, ...bob }, 'v3')).toBe(false)
      expect((await state.promotions.read('prod', 'staging', 'x')).approvals).toEqual([approval])
      const told = await state.events.after(0, 9)
      expect(told).toMatchObject([{ type: 'release.approved', bundle: 'prod', by: 'ann', data: { version: 'v3' } }])
    })
  })

  describe('facts', () => {
    it('are one per key, the newest', async () => {
      expect(await state.facts.get('k')).toBeUndefined()
      await state.facts.set('k', 'one')
      await state.facts.set('k', 'two')
      await state.facts.set('l', 'ü\u2028"')
      expect(await state.facts.get('k')).toBe('two')
      expect(await state.facts.get('l')).toBe('ü\u2028"')
    })

    it('may hold what no text should: what registries answer is kept as an error', async () => {
      await state.facts.set('k', 'zero \0, half \ud800')
      expect(await state.facts.get('k')).toMatch(/^zero .?, half .$/su)
    })
  })
}
