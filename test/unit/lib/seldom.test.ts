import { expect, it } from 'vitest'
import { createSeldom } from '../../../src/lib/seldom.ts'
import { FakeClock } from '../../support/clock.ts'

it('says yes once an hour for each key', async () => {
  const clock = new FakeClock()
  const isDue = createSeldom(clock)
  expect([isDue('a'), isDue('a'), isDue('b')]).toEqual([true, false, true])
  await clock.advance(3_599_999)
  expect(isDue('a')).toBe(false)
  await clock.advance(1)
  expect([isDue('a'), isDue('a')]).toEqual([true, false])
})

it('remembers a thousand keys', () => {
  const isDue = createSeldom(new FakeClock())
  for (let key = 0; key <= 1_000; key++) isDue(`k${key}`)
  expect([isDue('k1'), isDue('k0')]).toEqual([false, true])
})
