import { expect, it } from 'vitest'
import { backoffMs } from '../../../src/lib/retry.ts'

const backoff = { firstMs: 250, factor: 2, capMs: 1000 }

it.each([
  [1, 250],
  [2, 500],
  [3, 1000],
  [9, 1000],
])('after attempt %i waits at most %i ms', (attempt, ceiling) => {
  expect(backoffMs(attempt, backoff, () => 1)).toBe(ceiling)
  expect(backoffMs(attempt, backoff, () => 0)).toBe(0)
})

it('gives whole milliseconds, as the state keeps them', () => {
  expect(backoffMs(1, backoff, () => 1 / 3)).toBe(83)
})
