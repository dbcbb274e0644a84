import { expect, it } from 'vitest'
import { BytesCache } from '../../../src/registry/cache.ts'

const bytes = (count: number) => new Uint8Array(count)

it('lets the least recently used go when there is too much', () => {
  const cache = new BytesCache<string>(10)
  cache.set('a', bytes(4))
  cache.set('b', bytes(4))
  cache.get('a')
  cache.set('c', bytes(4))
  expect(['a', 'b', 'c'].map((key) => cache.get(key) !== undefined)).toEqual([true, false, true])
})

it('counts what is replaced and removed', () => {
  const cache = new BytesCache<string>(10)
  for (let round = 0; round < 5; round++) cache.set('a', bytes(6))
  cache.set('b', bytes(4))
  expect(cache.get('a')).toBeDefined()
  cache.delete('a')
  cache.delete('a')
  cache.set('c', bytes(6))
  expect(cache.get('b')).toBeDefined()
})

it('keeps nothing that is bigger than all of it', () => {
  const cache = new BytesCache<string>(10)
  cache.set('a', bytes(11))
  expect(cache.get('a')).toBeUndefined()
  cache.set('b', bytes(10))
  expect(cache.get('b')).toBeDefined()
})
