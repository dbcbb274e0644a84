import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { getTasks } from 'node-cron'
import { firstLookAt, nextLookAt, parseSchedule, shortestGapMs } from '../../../src/lib/schedule.ts'

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const half = () => 0.5
const local = (...parts: [number, number, number, number?, number?, number?]) => new Date(...parts).getTime()

describe('parseSchedule', () => {
  it('takes a duration, ±10 %', () => {
    expect(parseSchedule('60s')).toEqual({ kind: 'interval', minMs: 54_000, maxMs: 66_000 })
  })

  it('takes a range as it is', () => {
    expect(parseSchedule({ min: '60s', max: '2m' })).toEqual({ kind: 'interval', minMs: 60_000, maxMs: 120_000 })
  })

  it('takes cron expressions and their short names', () => {
    expect(parseSchedule('*/5 * * * *')).toEqual({ kind: 'cron', expression: '*/5 * * * *' })
    expect(parseSchedule('@hourly')).toEqual({ kind: 'cron', expression: '@hourly' })
  })

  it('takes off', () => {
    expect(parseSchedule('off')).toEqual({ kind: 'off' })
  })

  it.each([
    ['sixty', /expected a duration such as 60s/],
    ['60', /expected a duration such as 60s/],
    ['0s', /more than 0/],
    ['61 * * * *', /"61 \* \* \* \*" is no cron expression: 61 is a invalid expression for minute/],
    ['* * *', /is no cron expression/],
    ['0 0 31 2 *', /is no cron expression/],
  ])('refuses %s', (text, message) => {
    expect(() => parseSchedule(text)).toThrow(message)
  })

  it.each([
    [{ min: '2m', max: '1m' }, /max \(1m\) is less than min \(2m\)/],
    [{ min: '1', max: '1m' }, /expected durations/],
    [{ min: '0s', max: '1m' }, /more than 0/],
  ])('refuses %j', (range, message) => {
    expect(() => parseSchedule(range)).toThrow(message)
  })
})

describe('nextLookAt', () => {
  it('stays within the range and uses all of it', () => {
    const schedule = parseSchedule({ min: '60s', max: '120s' })
    fc.assert(
      fc.property(unit, (random) => {
        const at = nextLookAt(schedule, 1000, () => random)!
        expect(at).toBeGreaterThanOrEqual(61_000)
        expect(at).toBeLessThanOrEqual(121_000)
      }),
    )
    expect(nextLookAt(schedule, 1000, () => 0)).toBe(61_000)
    expect(nextLookAt(schedule, 1000, half)).toBe(91_000)
  })

  it('never comes by itself when off', () => {
    expect(nextLookAt({ kind: 'off' }, 1000, half)).toBeNull()
  })

  it.each([
    ['*/5 * * * *', local(2026, 0, 1, 10, 2, 30), local(2026, 0, 1, 10, 5)],
    ['*/5 * * * *', local(2026, 0, 1, 10, 5), local(2026, 0, 1, 10, 10)],
    ['*/5 * * * *', local(2026, 11, 31, 23, 57), local(2027, 0, 1)],
    ['*/10 * * * * *', local(2026, 0, 1, 10, 0, 1), local(2026, 0, 1, 10, 0, 10)],
    ['30 4 * * *', local(2026, 0, 1, 4, 30), local(2026, 0, 2, 4, 30)],
    ['0 9 * * 1', local(2026, 0, 1), local(2026, 0, 5, 9)],
    ['0 0 L * *', local(2026, 1, 3), local(2026, 1, 28)],
    ['0 0 29 2 *', local(2026, 5, 1), local(2028, 1, 29)],
    ['15 3 1 6 *', local(2026, 5, 1, 3, 15), local(2027, 5, 1, 3, 15)],
  ])('%s after %i', (expression, now, expected) => {
    expect(nextLookAt({ kind: 'cron', expression }, now, half)).toBe(expected)
  })

  it('follows the clock it is given, always forwards, and leaves nothing behind', () => {
    const schedule = parseSchedule('7,37 2-4 * * *')
    const before = getTasks().size
    fc.assert(
      fc.property(fc.integer({ min: 0, max: local(2040, 0, 1) }), (now) => {
        const at = nextLookAt(schedule, now, half)!
        expect(at).toBeGreaterThan(now)
        expect([7, 37]).toContain(new Date(at).getMinutes())
        expect([2, 3, 4]).toContain(new Date(at).getHours())
      }),
      { numRuns: 50 },
    )
    expect(getTasks().size).toBe(before)
  })
})

describe('firstLookAt', () => {
  const schedule = parseSchedule({ min: '60s', max: '120s' })

  it('is at once without a release, whatever the schedule', () => {
    for (const kind of [schedule, parseSchedule('@daily'), parseSchedule('off')])
      expect(firstLookAt(kind, 1000, half, false)).toBe(1000)
  })

  it('is at once when off, with a release too', () => {
    expect(firstLookAt({ kind: 'off' }, 1000, half, true)).toBe(1000)
  })

  it('is spread over the first interval with a release', () => {
    expect(firstLookAt(schedule, 1000, () => 0, true)).toBe(1000)
    expect(firstLookAt(schedule, 1000, half, true)).toBe(31_000)
    fc.assert(
      fc.property(unit, (random) => {
        expect(firstLookAt(schedule, 0, () => random, true)).toBeLessThanOrEqual(60_000)
      }),
    )
  })

  it('is the next match of a cron expression with a release', () => {
    expect(firstLookAt(parseSchedule('@hourly'), local(2026, 0, 1, 9, 10), half, true)).toBe(local(2026, 0, 1, 10))
  })
})

describe('shortestGapMs', () => {
  it.each([
    ['* * * * *', 60_000],
    ['*/2 * * * * *', 2000],
    ['0,3,59 * * * * *', 1000],
    ['@daily', 86_400_000],
  ])('%s', (expression, gapMs) => {
    expect(shortestGapMs({ kind: 'cron', expression }, Date.UTC(2026, 0, 1))).toBe(gapMs)
  })

  it('is the minimum of a range, and none when off', () => {
    expect(shortestGapMs(parseSchedule({ min: '3s', max: '1m' }), 0)).toBe(3000)
    expect(shortestGapMs({ kind: 'off' }, 0)).toBeUndefined()
  })
})
