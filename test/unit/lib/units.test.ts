import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { counted, formatDuration, formatSize, parseDuration, parseSize } from '../../../src/lib/units.ts'

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizeUnits = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }

describe('durations', () => {
  it('are a number and a unit', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.constantFrom(...Object.entries(durationUnits)), (count, [unit, factor]) => {
        expect(parseDuration(`${count}${unit}`)).toBe(count * factor)
      }),
    )
  })

  it('may have a fraction', () => {
    expect(parseDuration('1.5s')).toBe(1500)
    expect(parseDuration('0.5ms')).toBe(1)
  })

  it.each(['', '5', 's', '5 s', ' 5s', '5s ', '-5s', '1e3s', '5S', '5sec', '.5s', '5.s', '1h30m', 'Infinitys', '5s\n'])(
    'refuses %j',
    (text) => {
      expect(parseDuration(text)).toBeUndefined()
    },
  )

  it.each([
    [0, '0ms'],
    [999, '999ms'],
    [42_000, '42s'],
    [185_000, '3m 5s'],
    [7_800_000, '2h 10m'],
    [439_200_000, '5d 2h'],
  ])('shows %d ms as %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text)
  })
})

describe('sizes', () => {
  it('are a number and a unit', () => {
    fc.assert(
      fc.property(fc.nat(4000), fc.constantFrom(...Object.entries(sizeUnits)), (count, [unit, factor]) => {
        expect(parseSize(`${count}${unit}`)).toBe(count * factor)
      }),
    )
  })

  it.each(['', '5', '5KB', '5kib', '5MB', '5M', '-1B', '1 MiB'])('refuses %j', (text) => {
    expect(parseSize(text)).toBeUndefined()
  })

  it.each([
    [0, '0 B'],
    [312, '312 B'],
    [1024, '1 KiB'],
    [1_572_864, '1.5 MiB'],
    [2 ** 31, '2 GiB'],
  ])('shows %d bytes as %s', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text)
  })
})

it('counts', () => {
  expect([counted(1, 'file'), counted(2, 'file'), counted(0, 'entry', 'entries')]).toEqual([
    '1 file',
    '2 files',
    '0 entries',
  ])
})
