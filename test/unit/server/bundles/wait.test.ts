import { describe, expect, it } from 'vitest'
import { createWaitingRoom, type Waiter, type Wake } from '../../../../src/server/bundles/wait.ts'
import { FakeClock } from '../../../support/clock.ts'
import { waitFor } from '../../../support/wait.ts'

function waiter(key: string, answer: (why: Wake) => boolean): Waiter {
  return { key, answer }
}

describe('a waiting room', () => {
  it('answers 2,000 in slices, between which the loop turns', async () => {
    const room = createWaitingRoom({ clock: new FakeClock(), maxWaiters: 10_000 })
    let answered = 0
    for (let index = 0; index < 2_000; index++)
      room.hold(
        waiter('a', () => ++answered > 0),
        30_000,
      )
    room.wake('a')
    expect(answered).toBe(0)
    let turns = 0
    let most = 0
    while (room.size > 0) {
      const before = answered
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, answered - before)
      turns++
    }
    expect(answered).toBe(2_000)
    expect(turns).toBeGreaterThanOrEqual(10)
    expect(most).toBeLessThanOrEqual(200)
  })

  it('answers those of many keys that change at once in slices as well', async () => {
    const room = createWaitingRoom({ clock: new FakeClock(), maxWaiters: 10_000 })
    let answered = 0
    const keys = Array.from({ length: 20 }, (_, nth) => `bundle ${nth}`)
    for (const key of keys)
      for (let index = 0; index < 50; index++)
        room.hold(
          waiter(key, () => ++answered > 0),
          30_000,
        )
    for (const key of keys) room.wake(key)
    let most = 0
    while (room.size > 0) {
      const before = answered
      await new Promise((resolve) => setImmediate(resolve))
      most = Math.max(most, answered - before)
    }
    expect(answered).toBe(1_000)
    expect(most).toBeLessThanOrEqual(200)
  })

  it('ends a slice after a few milliseconds, however few were answered', async () => {
    let nowMs = 0
    const clock = Object.assign(new FakeClock(), { monotonic: () => nowMs })
    const room = createWaitingRoom({ clock, maxWaiters: 10_000 })
    const answer = () => (nowMs += 1) > 0
    for (let index = 0; index < 200; index++) room.hold(waiter('a', answer), 30_000)
    room.wake('a')
    let longestMs = 0
    while (room.size > 0) {
      const startedMs = nowMs
      await new Promise((resolve) => setImmediate(resolve))
      longestMs = Math.max(longestMs, nowMs - startedMs)
    }
    expect(longestMs).toBeLessThan(20)
  })

  it('has one timer for all, and none when nobody waits', async () => {
    const clock = new FakeClock()
    const room = createWaitingRoom({ clock, maxWaiters: 10 })
    const woken: Wake[] = []
    for (let index = 0; index < 5; index++)
      room.hold(
        waiter('a', (why) => woken.push(why) > 0),
        1_000,
      )
    expect(clock.nextInMs()).toBe(250)
    await clock.advance(750)
    expect(woken).toEqual([])
    await clock.advance(500)
    expect(woken).toEqual(Array(5).fill('expired'))
    expect(clock.nextInMs()).toBeUndefined()
  })

  it('keeps who has nothing to say yet', async () => {
    const clock = new FakeClock()
    const room = createWaitingRoom({ clock, maxWaiters: 10 })
    const woken: Wake[] = []
    room.hold(
      waiter('a', (why) => woken.push(why) > 0 && why !== 'changed'),
      1_000,
    )
    room.wake('a')
    await clock.advance(500)
    expect(woken).toEqual(['changed'])
    expect(room.size).toBe(1)
    await clock.advance(1_000)
    expect(woken).toEqual(['changed', 'expired'])
    expect(room.size).toBe(0)
  })

  it('takes nobody beyond its ceiling, nor while draining', async () => {
    const room = createWaitingRoom({ clock: new FakeClock(), maxWaiters: 1 })
    const one = waiter('a', () => true)
    expect(room.hold(one, 1_000)).toBe(true)
    expect(
      room.hold(
        waiter('a', () => true),
        1_000,
      ),
    ).toBe(false)
    room.remove(one)
    expect(room.hold(one, 1_000)).toBe(true)
    await room.drain()
    expect(room.size).toBe(0)
    expect(room.hold(one, 1_000)).toBe(false)
  })

  it('asks nobody who left', async () => {
    const room = createWaitingRoom({ clock: new FakeClock(), maxWaiters: 10 })
    let asked = false
    const one = waiter('a', () => (asked = true))
    room.hold(one, 1_000)
    room.wake('a')
    room.remove(one)
    await waitFor('the loop to turn', () => new Promise<boolean>((resolve) => setImmediate(() => resolve(true))))
    expect(asked).toBe(false)
  })
})
