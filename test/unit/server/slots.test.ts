import { describe, expect, it } from 'vitest'
import { createSlots } from '../../../src/server/slots.ts'
import { FakeClock } from '../../support/clock.ts'

function setUp(max: number) {
  const clock = new FakeClock()
  const slots = createSlots({ max, waitMs: 30_000, clock })
  const went: string[] = []
  const enter = async (source: string, name = source, signal?: AbortSignal) => {
    const leave = await slots.enter(source, signal)
    went.push(leave === undefined ? `${name} in vain` : name)
    return leave
  }
  return { clock, slots, went, enter }
}

describe('slots', () => {
  it('are given in the order in which they were asked for', async () => {
    const { clock, went, enter } = setUp(2)
    const first = await enter('a')
    await enter('b')
    void enter('c')
    void enter('d')
    await clock.advance(1_000)
    expect(went).toEqual(['a', 'b'])
    first!()
    first!()
    await clock.advance(0)
    expect(went).toEqual(['a', 'b', 'c'])
  })

  it('are never all for one source: another one gets the rest, past those who wait', async () => {
    const { clock, went, enter } = setUp(8)
    for (let index = 0; index < 20; index++) void enter('slow')
    await clock.advance(0)
    expect(went).toHaveLength(6)
    const other = await enter('other')
    await enter('other', 'other again')
    void enter('other', 'too many')
    await clock.advance(0)
    expect(went.slice(6)).toEqual(['other', 'other again'])
    other!()
    await clock.advance(0)
    expect(went.slice(8)).toEqual(['too many'])
  })

  it('that one source still holds count when it gives another one back', async () => {
    const { clock, went, enter } = setUp(4)
    const first = await enter('slow', 'first')
    await enter('slow', 'second')
    await enter('slow', 'third')
    first!()
    await enter('slow', 'fourth')
    void enter('slow', 'fifth')
    await clock.advance(0)
    expect(went).toEqual(['first', 'second', 'third', 'fourth'])
  })

  it('leave no timer behind once they are given', async () => {
    const { clock, enter } = setUp(1)
    const first = await enter('a')
    const second = enter('b')
    first!()
    expect(await second).toBeDefined()
    expect(clock.nextInMs()).toBeUndefined()
  })

  it('are not given to who went away before asking', async () => {
    const { slots, enter } = setUp(1)
    await expect(slots.enter('gone', AbortSignal.abort(new Error('went away')))).rejects.toThrow('went away')
    expect(await enter('a')).toBeDefined()
  })

  it('of one are for anybody', async () => {
    const { went, enter } = setUp(1)
    await enter('a')
    expect(went).toEqual(['a'])
  })

  it('are not waited for for ever', async () => {
    const { clock, went, enter } = setUp(1)
    const first = await enter('a')
    void enter('b')
    await clock.advance(29_999)
    expect(went).toEqual(['a'])
    await clock.advance(1)
    expect(went).toEqual(['a', 'b in vain'])
    first!()
    await enter('c')
    expect(went.at(-1)).toBe('c')
  })

  it('are not kept for who went away', async () => {
    const { clock, went, enter } = setUp(1)
    const first = await enter('a')
    const leaving = new AbortController()
    const gone = enter('b', 'b', leaving.signal)
    leaving.abort(new Error('gone'))
    await expect(gone).rejects.toThrow('gone')
    first!()
    await enter('c')
    await clock.advance(60_000)
    expect(went).toEqual(['a', 'c'])
  })
})
