import { describe, expect, it } from 'vitest'
import { fields, formatAge, oneLine, shortDigest } from '../../../src/cli/format.ts'

describe('format', () => {
  it('shortens a digest and keeps its algorithm', () => {
    expect(shortDigest(`sha256:${'0123456789ab'.repeat(5)}`)).toBe('sha256:0123456789ab')
  })

  it.each([
    [0, '0s'],
    [-5000, '0s'],
    [42_000, '42s'],
    [185_000, '3m'],
    [7_900_000, '2h'],
    [200_000_000, '2d'],
  ])('says an age of %i ms in its largest unit', (ms, text) => {
    expect(formatAge(ms)).toBe(text)
  })

  it('makes one line of what others wrote, without what would move the cursor', () => {
    expect(oneLine('one\ntwo\u001b[31m\u202ethree')).toBe('one two [31m three')
    expect(oneLine('abcdef', 4)).toBe('abc…')
    expect(oneLine('abcd', 4)).toBe('abcd')
  })

  it('puts values under each other and leaves out what is not there', () => {
    expect(fields([['digest', 'x'], ['type', 'y'], ['none', undefined]])).toEqual(['digest:  x', 'type:    y']) // prettier-ignore
  })
})
