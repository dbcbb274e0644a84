import type nodeCron from 'node-cron'
import { ConfigError } from './errors.ts'
import { loadPackage } from './load.ts'
import { parseDuration } from './units.ts'

/** When a bundle is looked at without being asked to. */
export type Schedule =
  { kind: 'interval'; minMs: number; maxMs: number } | { kind: 'cron'; expression: string } | { kind: 'off' }

const jitter = 0.1
/** Characters; one that names each of sixty minutes is shorter. */
const longestExpression = 400
const longestShown = 200
/** 29 February may be eight years away. */
const farthestDays = 366 * 9

/** `60s` (±10 %), `{ min, max }`, a cron expression in the server's time zone, `off`. Throws ConfigError. */
export function parseSchedule(written: string | { min: string; max: string }): Schedule {
  if (typeof written !== 'string') return parseRange(written)
  if (written === 'off') return { kind: 'off' }
  const ms = parseDuration(written)
  if (ms !== undefined)
    return { kind: 'interval', minMs: Math.round(positive(ms) * (1 - jitter)), maxMs: Math.round(ms * (1 + jitter)) }
  if (!/^@|\s/.test(written.trim()))
    throw bad(
      `expected a duration such as 60s, { min: 60s, max: 120s }, a cron expression such as "*/5 * * * *", or off`,
    )
  return parseCron(written.trim())
}

/** When the next look is due, in milliseconds since the epoch; null where only a trigger starts one. `random` gives [0, 1). */
export function nextLookAt(schedule: Schedule, nowMs: number, random: () => number): number | null {
  switch (schedule.kind) {
    case 'interval':
      return nowMs + Math.round(schedule.minMs + random() * (schedule.maxMs - schedule.minMs))
    case 'cron':
      return nextMatch(schedule.expression, nowMs)
    case 'off':
      return null
  }
}

/**
 * When to look for the first time after a start: at once without a release, or where nothing would look later; else at some
 * moment of the first interval, so that many bundles do not look together.
 */
export function firstLookAt(schedule: Schedule, nowMs: number, random: () => number, hasRelease: boolean): number {
  if (!hasRelease || schedule.kind === 'off') return nowMs
  if (schedule.kind === 'interval') return nowMs + Math.round(random() * schedule.minMs)
  return nextMatch(schedule.expression, nowMs) ?? nowMs
}

/** The shortest time between two looks; undefined where only triggers start one. For a cron expression: among its next runs. */
export function shortestGapMs(schedule: Schedule, nowMs: number): number | undefined {
  if (schedule.kind === 'off') return undefined
  if (schedule.kind === 'interval') return schedule.minMs
  return withCron(schedule.expression, (nextAfter) => {
    let shortest = Infinity
    let last = nextAfter(nowMs)
    for (let run = 0; run < 60 && last !== null; run++) {
      const next = nextAfter(last)
      if (next !== null) shortest = Math.min(shortest, next - last)
      last = next
    }
    return shortest
  })
}

function parseRange(range: { min: string; max: string }): Schedule {
  const [minMs, maxMs] = [parseDuration(range.min), parseDuration(range.max)]
  if (minMs === undefined || maxMs === undefined) throw bad('expected durations such as { min: 60s, max: 120s }')
  if (maxMs < minMs) throw bad(`max (${range.max}) is less than min (${range.min})`)
  return { kind: 'interval', minMs: positive(minMs), maxMs }
}

function positive(ms: number): number {
  if (ms > 0) return ms
  throw bad('expected more than 0; to look only when asked, write off')
}

/**
 * Its parser writes every range out before it looks how far it goes, and takes names for their numbers wherever they stand: `decdec` is
 * 1212, `*dec` is a range to 5912. The longest name is september.
 */
const tooFar = /\d{3}|[\da-z]{10}|\*[\da-z]|[\da-z]\*/i

function parseCron(expression: string): Schedule {
  if (expression.length > longestExpression || tooFar.test(expression)) {
    const shown = expression.slice(0, longestShown)
    throw bad(
      `"${shown}" is no cron expression: it is too long, or has a number of three digits, or words that are no names`,
    )
  }
  const { valid, errors } = cron().validateDetailed(expression)
  if (valid) return { kind: 'cron', expression }
  const details = errors
    .map(({ message }) => message)
    .join('; ')
    .slice(0, longestExpression)
  throw bad(`"${expression}" is no cron expression: ${details}`)
}

function cron(): typeof nodeCron {
  return loadPackage('node-cron') as typeof nodeCron
}

function nextMatch(expression: string, afterMs: number): number | null {
  return withCron(expression, (next) => next(afterMs))
}

/** node-cron itself counts from the machine's clock only: it says which days match, the days are walked here. */
function withCron<T>(expression: string, use: (next: (afterMs: number) => number | null) => T): T {
  const fields = cron().parse(expression)
  const task = cron().createTask(expression, () => undefined)
  try {
    return use((afterMs) => {
      const first = new Date(afterMs)
      for (let days = 0; days < farthestDays; days++) {
        const day = new Date(first.getFullYear(), first.getMonth(), first.getDate() + days)
        if (!fields.month.includes(day.getMonth() + 1)) continue
        const time = firstTimeOf(day, fields, afterMs)
        if (time !== undefined && task.match(time)) return time.getTime()
      }
      return null
    })
  } finally {
    void task.destroy()
  }
}

/** The first time of that day, after `afterMs`, that the expression's hours, minutes and seconds allow. */
function firstTimeOf(day: Date, fields: ReturnType<typeof nodeCron.parse>, afterMs: number): Date | undefined {
  for (const hour of ascending(fields.hour)) {
    if (at(day, hour, 59, 59).getTime() <= afterMs) continue
    for (const minute of ascending(fields.minute)) {
      if (at(day, hour, minute, 59).getTime() <= afterMs) continue
      for (const second of ascending(fields.second)) {
        const time = at(day, hour, minute, second)
        // An hour that a change to summer time leaves out is not there on that day.
        if (time.getTime() > afterMs && time.getHours() === hour) return time
      }
    }
  }
  return undefined
}

function at(day: Date, hour: number, minute: number, second: number): Date {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour, minute, second)
}

function ascending(values: number[]): number[] {
  return values.toSorted((a, b) => a - b)
}

function bad(message: string): ConfigError {
  return new ConfigError(message, { code: 'bad_schedule' })
}
