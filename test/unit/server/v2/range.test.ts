import fc from '../../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { readChunkRange, readRange } from '../../../../src/server/v2/range.ts'

describe('Range', () => {
  it.each([
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=10-19', { first: 10, last: 19 }],
    ['bytes=90-', { first: 90, last: 99 }],
    ['bytes=90-200', { first: 90, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-200', { first: 0, last: 99 }],
    ['Bytes= 1-2 ', { first: 1, last: 2 }],
  ])('%s of 100 bytes', (header, range) => {
    expect(readRange(header, 100)).toEqual(range)
  })

  it.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=5-4'])('%s of 100 bytes cannot be', (header) => {
    expect(readRange(header, 100)).toBe('unsatisfiable')
  })

  it.each([undefined, '', 'bytes=', 'bytes=-', 'bytes=a-b', 'bytes=0-1,5-6', 'items=0-1', 'bytes=1', 'bytes=1-2-3'])(
    '%s is ignored',
    (header) => {
      expect(readRange(header, 100)).toBeUndefined()
    },
  )

  it('of an empty blob cannot be', () => {
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) expect(readRange(header, 0)).toBe('unsatisfiable')
  })

  it('is within the blob whenever it can be', () => {
    fc.assert(
      fc.property(fc.nat(), fc.option(fc.nat()), fc.nat(), (first, last, size) => {
        const range = readRange(`bytes=${first}-${last ?? ''}`, size)
        if (range === 'unsatisfiable') return first >= size || (last !== null && last < first)
        return range?.first === first && range.first <= range.last && range.last < size
      }),
    )
  })
})

describe("a chunk's Content-Range", () => {
  it('is first and last, nothing else', () => {
    expect(readChunkRange('0-99')).toEqual({ first: 0, last: 99 })
    expect(readChunkRange('5-5')).toEqual({ first: 5, last: 5 })
    for (const header of ['', '5', '5-', '-5', '9-5', 'bytes 0-9/10', 'bytes=0-9', '0-9/10', ' 0-9', '0-9 ']) {
      expect(readChunkRange(header)).toBeUndefined()
    }
  })
})
