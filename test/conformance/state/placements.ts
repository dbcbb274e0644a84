import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { State } from '../../../src/state/state.ts'
import type { OpenState } from './open.ts'

const at = 1_800_000_000_000

export function testPlacements(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  const placement = { place: 'x', form: 'layers', path: 'internal', address: '/zones' }
  const how = { placements: [placement], at }
  const row = async () => (await state.deployments.list('b'))[0]!

  async function deployOnce(): Promise<void> {
    await state.deployments.configure('b', ['x'], 1, how)
    await state.deployments.save({ ...(await row()), state: 'deploying', attempts: 1, lastAttemptAt: at }, at)
    const done = { state: 'done', deployed: 1, deployedAt: at } as const
    await state.deployments.save({ ...(await row()), ...done }, at)
  }

  describe('placements', () => {
    it('remember what stayed at a place that left, and forget it when it is taken away', async () => {
      await deployOnce()
      expect(await state.placements.list()).toMatchObject([{ ...placement, bundle: 'b', leftAt: null }])
      await state.deployments.configure('b', [], null, { placements: [], at: at + 1 })
      const [left] = await state.placements.list()
      expect(left).toMatchObject({ ...placement, leftAt: at + 1, deployed: 1, attempts: 0, lastError: null })
      expect(await state.placements.puts('b', 'x')).toEqual([1])
      const failed = { ...left!, leftAt: at + 1, attempts: 1, lastError: 'no', nextAttemptAt: at + 2 }
      await state.placements.saveLeft(failed, at, ['said no'])
      expect(await state.placements.list()).toEqual([failed])
      await state.placements.forget(failed, at, [])
      expect([await state.placements.list(), await state.placements.puts('b', 'x')]).toEqual([[], []])
      const types = (await state.events.after(0, 9)).map(({ type }) => type)
      expect(types.filter((type) => type.startsWith('prune.'))).toEqual(['prune.failed', 'prune.succeeded'])
    })

    it('know what is there where a place comes back, but not where some of it may be gone', async () => {
      await deployOnce()
      await state.deployments.configure('b', [], null, { placements: [], at })
      await state.deployments.configure('b', ['x'], 1, how)
      expect(await row()).toMatchObject({ state: 'pending', deployed: 1, deployedAt: at })
      await state.deployments.configure('b', [], null, { placements: [], at })
      const [left] = await state.placements.list()
      await state.placements.saveLeft({ ...left!, leftAt: at, attempts: 1 }, at, [])
      await state.deployments.configure('b', ['x'], 1, how)
      expect(await row()).toMatchObject({ deployed: null, deployedAt: null })
      await state.placements.forget({ ...left!, leftAt: at }, at, [])
      expect(await state.placements.list()).toMatchObject([{ leftAt: null }])
    })

    it('are where they were said to be last, while they are in the config', async () => {
      const to = { ...placement, path: 'external', form: 'unpacked' }
      await deployOnce()
      await state.placements.move('b', to)
      await state.placements.move('b', { ...to, place: 'other' })
      expect(await state.placements.list()).toMatchObject([{ ...to, bundle: 'b', leftAt: null }])
      await state.deployments.configure('b', [], null, { placements: [], at })
      await state.placements.move('b', placement)
      expect(await state.placements.list()).toMatchObject([{ ...to, leftAt: at }])
    })

    it('remember nothing where nothing was put, and nothing of how it went there before', async () => {
      await state.deployments.configure('b', ['x'], 1, how)
      await state.deployments.configure('b', [], null, { placements: [], at })
      expect(await state.placements.list()).toEqual([])
      await deployOnce()
      await state.deployments.configure('b', [], null, { placements: [], at })
      const elsewhere = { placements: [{ ...placement, address: '/other' }], at }
      await state.deployments.configure('b', ['x'], 1, elsewhere)
      expect(await row()).toMatchObject({ deployed: null })
    })
  })
}
