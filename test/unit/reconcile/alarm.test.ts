import { describe, expect, it } from 'vitest'
import { Alarm } from '../../../src/reconcile/alarm.ts'
import { parseSchedule, type Schedule } from '../../../src/lib/schedule.ts'
import { FakeClock } from '../../support/clock.ts'

const interval = parseSchedule('60s')

/** Sets an alarm for each delay, and says when each rang, in milliseconds from then. */
async function ringAll(delaysMs: number[], { isTimeOfDay = false, schedule = interval } = {}): Promise<number[]> {
  const clock = new FakeClock()
  const [begin, random] = [clock.now(), () => 0.5]
  const rang = delaysMs.map(() => NaN)
  for (const [index, delayMs] of delaysMs.entries()) {
    const due = { at: begin + delayMs, isTimeOfDay }
    new Alarm({ clock, random }).set(due, schedule satisfies Schedule, () => (rang[index] = clock.now() - begin))
  }
  await clock.advance(Math.max(...delaysMs) + 1_000)
  return rang
}

describe('alarms', () => {
  it('ring together where they are due within a quarter of a second, none before its time and none much later', async () => {
    const delaysMs = Array.from({ length: 400 }, (_, at) => 54_010 + at * 30)
    const rang = await ringAll(delaysMs)
    for (const [index, delayMs] of delaysMs.entries()) {
      expect(rang[index]).toBeGreaterThanOrEqual(delayMs)
      expect(rang[index]).toBeLessThan(delayMs + 250)
    }
    expect(new Set(rang).size).toBe(12_000 / 250)
  })

  it('ring when they are due where that is soon', async () => {
    expect(await ringAll([0, 7, 1_001, 9_999])).toEqual([0, 7, 1_001, 9_999])
  })

  it('ring at a time of day when the clock shows it', async () => {
    const daily = parseSchedule('0 3 * * *')
    expect(await ringAll([20_003, 20_107], { isTimeOfDay: true, schedule: daily })).toEqual([20_003, 20_107])
  })
})
