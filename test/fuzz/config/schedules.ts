import fc from 'fast-check'
import { ConfigError } from '../../../src/lib/errors.ts'
import { firstLookAt, nextLookAt, parseSchedule, shortestGapMs } from '../../../src/lib/schedule.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { isUsable, unitTokens } from './units.ts'

const fields = fc.constantFrom('*', '0', '5', '*/5', '1-5', '1,2', '10-20/3', '59', '23', '31', '12', '7', 'mon', 'JAN')
const crons = fc.array(fields, { minLength: 5, maxLength: 6 }).map((parts) => parts.join(' '))
const written = fc.oneof(crons, fc.constantFrom('60s', 'off', '1d', '@hourly', '5m', '0 0 30 2 *'))
const cronTokens = [
  '*',
  '/',
  '-',
  ',',
  '0',
  '60',
  '99999',
  'mon',
  'sunday',
  'L',
  '#',
  '?',
  ' ',
  '@daily',
  '@',
  '*/0',
  '1-',
  '0-999999999',
  '\n',
]

export const scheduleProperties = [
  property(
    'runs of schedules',
    fc.tuple(fc.nat({ max: 59 }), fc.nat({ max: 23 }), fc.nat({ max: 20 * 86_400_000 })),
    ([minute, hour, after]) => {
      const now = Date.UTC(2026, 0, 2) + after
      const expected = new Date(now)
      expected.setHours(hour, minute, 0, 0)
      if (expected.getTime() <= now) expected.setDate(expected.getDate() + 1)
      same(
        nextLookAt(parseSchedule(`${minute} ${hour} * * *`), now, () => 0.5),
        expected.getTime(),
      )
    },
  ),
  property('schedules', hostileText(written, cronTokens), (text) => {
    const schedule = outcome(() => parseSchedule(text), ConfigError, ['bad_schedule'])
    if (schedule === undefined) return
    const now = Date.UTC(2026, 0, 1)
    const next = nextLookAt(schedule, now, () => 0.5)
    ok(schedule.kind === 'off' ? next === null : next === null || (Number.isFinite(next) && next >= now))
    for (const hasRelease of [true, false]) ok(firstLookAt(schedule, now, () => 0.5, hasRelease) >= now)
    if (schedule.kind === 'interval')
      ok(schedule.minMs <= schedule.maxMs && isUsable(schedule.minMs) && isUsable(schedule.maxMs))
    // Of a cron expression it takes a walk through the calendar.
    if (schedule.kind !== 'cron' || text.length === 11) ok((shortestGapMs(schedule, now) ?? 1) >= 0)
  }),
  property(
    'ranges of schedules',
    fc.tuple(
      hostileText(fc.constantFrom('60s', '1h'), unitTokens),
      hostileText(fc.constantFrom('120s', '2h'), unitTokens),
    ),
    ([min, max]) => {
      const schedule = outcome(() => parseSchedule({ min, max }), ConfigError, ['bad_schedule'])
      if (schedule?.kind === 'interval')
        ok(schedule.minMs > 0 && schedule.minMs <= schedule.maxMs && isUsable(schedule.maxMs))
    },
  ),
  property(
    'long schedules',
    pumped(written, cronTokens, { maxLength: 10_000 }),
    (text) => void outcome(() => parseSchedule(text), ConfigError, ['bad_schedule']),
  ),
]
