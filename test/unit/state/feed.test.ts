import { expect, it } from 'vitest'
import { feedOf } from '../../../src/state/feed.ts'
import { openState } from './open.ts'

it('wakes who hears it when an event is durable, and not for what was only read', async () => {
  const opened = await openState()
  const { state, feed } = feedOf(opened)
  const seen: Promise<number>[] = []
  const unhear = feed.hear(() => void seen.push(feed.newest()))
  await state.decisions.all()
  expect(seen).toHaveLength(0)
  await state.decisions.hold(['authz'], { by: 'ann', at: 1, reason: '' })
  expect(await Promise.all(seen)).toEqual([1])
  expect(await feed.after(0, 10)).toMatchObject([{ seq: 1, type: 'deployments.held' }])
  unhear()
  await state.decisions.resume('authz', { by: 'ann', at: 1, reason: '' })
  expect(seen).toHaveLength(1)
  await state.close()
})
