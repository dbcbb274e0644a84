import { expect, it } from 'vitest'
import { borrow, keep, lend, release } from '../../../src/lib/lent.ts'

const lent = () => {
  const buffer = Buffer.allocUnsafeSlow(100)
  let given = 0
  lend(buffer, 60, () => given++)
  return { buffer, given: () => given }
}

it('a buffer comes back when every byte that was lent was released, and once', () => {
  const { buffer, given } = lent()
  release(buffer.subarray(0, 20))
  release(buffer.subarray(20, 59))
  expect(given()).toBe(0)
  release(buffer.subarray(59, 60))
  expect(given()).toBe(1)
  release(buffer.subarray(0, 60))
  expect(given()).toBe(1)
})

it('a buffer of which a part is kept does not come back', () => {
  const { buffer, given } = lent()
  release(buffer.subarray(0, 20))
  keep(buffer.subarray(20, 30))
  release(buffer.subarray(20, 60))
  expect(given()).toBe(0)
})

it('what nobody lent is nobody’s concern', () => {
  const buffer = Buffer.alloc(10)
  release(buffer)
  keep(buffer)
})

it('a buffer that its lender holds does not come back before he lets it go, nor before what was borrowed of it', () => {
  const { buffer, given } = lent()
  borrow(buffer.subarray(0, 20))
  release(buffer.subarray(0, 20))
  borrow(buffer.subarray(20, 50))
  release(buffer.subarray(0, 60))
  expect(given()).toBe(0)
  release(buffer.subarray(20, 50))
  expect(given()).toBe(1)
  borrow(buffer)
})
