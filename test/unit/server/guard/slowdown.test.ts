import { expect, it } from 'vitest'
import { createSlowdown } from '../../../../src/server/guard/slowdown.ts'
import { FakeClock } from '../../../support/clock.ts'

it('remembers the last ten thousand who guess, however many there are', () => {
  const slowdown = createSlowdown(new FakeClock())
  const guess = (key: string) => {
    for (let times = 0; times < 3; times++) slowdown.fail(key)
  }
  for (const key of ['first', 'second']) guess(key)
  // Whoever goes on is not forgotten.
  for (let nth = 0; nth < 9_998; nth++) guess(`other ${nth}`)
  expect(['first', 'second'].map((key) => slowdown.delayMs(key))).toEqual([200, 200])
  slowdown.fail('second')
  for (let nth = 0; nth < 2; nth++) guess(`another ${nth}`)
  expect(['first', 'other 0', 'second', 'another 1'].map((key) => slowdown.delayMs(key))).toEqual([0, 0, 400, 200])
})
