import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Event } from '../../../src/model/event.ts'
import type { State } from '../../../src/state/state.ts'
import type { OpenState } from './open.ts'

const any = { publisher: null, bundle: null, state: null }
const first = { after: null, limit: 99 }

export function testOutbox(open: OpenState): void {
  let state: State

  beforeEach(async () => {
    state = await open()
  })

  afterEach(() => state.close())

  /** So many events, of bundles in turn. */
  async function happen(...bundles: string[]): Promise<Event[]> {
    const before = await state.events.newest()
    for (const bundle of bundles) await state.decisions.pin({ bundle, to: { tag: 'v' }, by: 'ann', at: 1, reason: '' })
    return state.events.after(before, 99)
  }

  const queue = (publisher: string, events: Event[], from = 0, at = 10) =>
    state.outbox.queue(publisher, events, { from, to: events.at(-1)!.seq }, at)
  const listed = async (filter = {}) =>
    (await state.outbox.list({ ...any, ...filter }, first)).map(({ publisher, event }) => `${publisher} ${event.seq}`)

  describe('the outbox', () => {
    it('begins for a publisher after the newest event, goes on from where it was, and keeps nothing of one that is gone', async () => {
      expect(await state.outbox.configure(['b', 'a'])).toEqual({ cursors: { a: 0, b: 0 }, dropped: 0 })
      const events = await happen('x', 'y')
      await queue('b', events)
      expect(await state.outbox.configure(['b', 'c'])).toEqual({ cursors: { b: 2, c: 2 }, dropped: 0 })
      expect(await state.outbox.configure(['c'])).toEqual({ cursors: { c: 2 }, dropped: 2 })
      expect(await state.outbox.counts()).toEqual([])
    })

    it('takes each span of events once', async () => {
      await state.outbox.configure(['a'])
      const events = await happen('x', 'y')
      expect(await queue('a', events)).toBe(true)
      expect(await queue('a', events)).toBe(false)
      expect(await queue('none', events)).toBe(false)
      const fresh = { publisher: 'a', state: 'waiting', attempts: 0, queuedAt: 10, nextAttemptAt: 10, lastError: null }
      expect(await state.outbox.list(any, first)).toEqual(events.map((event) => ({ ...fresh, event })))
      expect(await state.outbox.message({ publisher: 'a', seq: 2 })).toEqual({ ...fresh, event: events[1] })
      expect(await state.outbox.message({ publisher: 'a', seq: 3 })).toBeUndefined()
    })

    it('has of each bundle a first one, and then the next', async () => {
      await state.outbox.configure(['a', 'b'])
      const events = await happen('x', 'y', 'x', 'y')
      await queue('a', events)
      await queue('b', events)
      const heads = async () => (await state.outbox.heads('a')).map(({ bundle, seq }) => `${bundle} ${seq}`).sort()
      expect(await heads()).toEqual(['x 1', 'y 2'])
      expect(await state.outbox.sent({ publisher: 'a', seq: 1 }, 'x')).toBe(3)
      expect(await state.outbox.sent({ publisher: 'a', seq: 3 }, 'x')).toBeUndefined()
      expect(await heads()).toEqual(['y 2'])
      await state.outbox.failed({ publisher: 'a', seq: 2 }, { error: 'no', nextAttemptAt: 1_800_000_000_000 })
      await state.outbox.failed({ publisher: 'a', seq: 2 }, { error: 'again', nextAttemptAt: 1_800_000_000_001 })
      expect(await state.outbox.heads('a')).toEqual([{ bundle: 'y', seq: 2, nextAttemptAt: 1_800_000_000_001 }])
      expect(await state.outbox.message({ publisher: 'a', seq: 2 })).toMatchObject({ attempts: 2, lastError: 'again' })
    })

    it('parks what waits for too long, drops the oldest of too many, and sends parked ones again', async () => {
      await state.outbox.configure(['a'])
      const early = await happen('x', 'x', 'x')
      await queue('a', early, 0, 10)
      const late = await happen('x')
      await queue('a', late, 3, 20)
      const what = { queuedUntil: 10, seq: null, error: 'too long', maxParked: 9 }
      expect(await state.outbox.park('a', { ...what, seq: 2 })).toEqual({ parked: 1, dropped: 0 })
      expect(await state.outbox.park('a', { ...what, maxParked: 2 })).toEqual({ parked: 2, dropped: 1 })
      expect(await state.outbox.park('a', what)).toEqual({ parked: 0, dropped: 0 })
      expect(await listed({ state: 'parked' })).toEqual(['a 2', 'a 3'])
      expect(await state.outbox.message({ publisher: 'a', seq: 2 })).toMatchObject({
        nextAttemptAt: null,
        lastError: 'too long',
      })
      const counts = await state.outbox.counts()
      expect(counts.map(({ state: is, count }) => [is, count]).sort()).toEqual([
        ['parked', 2],
        ['waiting', 1],
      ])
      const keys = [2, 4, 1].map((seq) => ({ publisher: 'a', seq }))
      expect(await state.outbox.resend(keys, 30)).toEqual([{ publisher: 'a', seq: 2 }])
      expect(await state.outbox.message(keys[0]!)).toMatchObject({ state: 'waiting', attempts: 0, nextAttemptAt: 30 })
    })

    it('is listed by publisher, bundle and state, page by page', async () => {
      await state.outbox.configure(['a', 'B'])
      const events = await happen('x', 'y')
      for (const publisher of ['a', 'B']) await queue(publisher, events)
      expect(await listed()).toEqual(['B 1', 'B 2', 'a 1', 'a 2'])
      expect(await listed({ bundle: 'y' })).toEqual(['B 2', 'a 2'])
      expect(await listed({ publisher: 'a', state: 'waiting' })).toEqual(['a 1', 'a 2'])
      expect(await listed({ state: 'parked' })).toEqual([])
      const page = await state.outbox.list(any, { after: { publisher: 'B', seq: 1 }, limit: 2 })
      expect(page.map(({ publisher, event }) => `${publisher} ${event.seq}`)).toEqual(['B 2', 'a 1'])
    })
  })
}
