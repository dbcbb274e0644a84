import { beforeEach, expect, it } from 'vitest'
import { Activity } from '../../../src/registry/activity.ts'
import { FakeClock } from '../../support/clock.ts'

const graceMs = 1000
let clock: FakeClock
let activity: Activity
let start: number

beforeEach(() => {
  clock = new FakeClock()
  activity = new Activity(clock, graceMs)
  start = clock.now()
})

it('spares what was used within the grace period where nothing happens', async () => {
  expect(activity.quietBefore('a')).toBe(start - graceMs)
  await clock.advance(500)
  expect(activity.quietBefore('a')).toBe(start - 500)
})

it('spares what was used since shortly before it began, for as long as it goes on and a while longer', async () => {
  const end = activity.begin('a')
  await clock.advance(10 * graceMs)
  expect(activity.quietBefore('a')).toBe(start - graceMs)
  end()
  await clock.advance(graceMs)
  expect(activity.quietBefore('a')).toBe(start - graceMs)
  await clock.advance(1)
  expect(activity.quietBefore('a')).toBe(start + 10 * graceMs + 1)
  expect(activity.quietBefore('b')).toBe(clock.now() - graceMs)
})

it('does not forget a long one for the short ones meanwhile', async () => {
  const endLong = activity.begin('a')
  for (let i = 0; i < 5; i++) {
    await clock.advance(graceMs)
    activity.begin('a')()
  }
  expect(activity.quietBefore('a')).toBe(start - graceMs)
  endLong()
  activity.begin('a')()
  expect(activity.quietBefore('a')).toBe(start - graceMs)
})

it('goes on where somebody is always at work', async () => {
  let end = activity.begin('a')
  for (let i = 0; i < 20; i++) {
    await clock.advance(300)
    const next = activity.begin('a')
    end()
    end = next
  }
  expect(activity.quietBefore('a')).toBeGreaterThan(clock.now() - 3 * graceMs)
})

it('is not misled by a clock that is set', async () => {
  activity.begin('a')()
  const now = clock.now.bind(clock)
  clock.now = () => now() + 86_400_000
  expect(activity.quietBefore('a')).toBe(start - graceMs)
})
