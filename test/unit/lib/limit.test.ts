import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { allOrNone, Limit, LimitByKey } from '../../../src/lib/limit.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('Limit', () => {
  it('runs so many at once, the rest in order', async () => {
    const limit = new Limit(2)
    const begun: number[] = []
    let [now, most] = [0, 0]
    const runs = [0, 1, 2, 3, 4].map((at) =>
      limit.do(async () => {
        begun.push(at)
        most = Math.max(most, ++now)
        await turn()
        now--
        return at
      }),
    )
    expect(await Promise.all(runs)).toEqual([0, 1, 2, 3, 4])
    expect([begun, most]).toEqual([[0, 1, 2, 3, 4], 2])
  })

  it('gives the place on when a run fails', async () => {
    const limit = new Limit(1)
    const failed = limit.do(() => Promise.reject(new Error('no')))
    const next = limit.do(() => Promise.resolve('yes'))
    await expect(failed).rejects.toThrow('no')
    expect(await next).toBe('yes')
  })

  it('lets go of one that is aborted while it waits, and of no other', async () => {
    const limit = new Limit(1)
    const gate = Promise.withResolvers<void>()
    const stop = new AbortController()
    const first = limit.do(() => gate.promise, stop.signal)
    let ran = false
    const second = limit.do(async () => void (ran = true), stop.signal)
    const third = limit.do(() => Promise.resolve('third'))
    stop.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    gate.resolve()
    await first
    expect(await third).toBe('third')
    expect(ran).toBe(false)
    await expect(limit.do(() => Promise.resolve(), stop.signal)).rejects.toThrow('enough')
  })
})

it('leaves no listener behind on a signal that lives long', async () => {
  const { signal } = new AbortController()
  const limit = new Limit(2)
  await Promise.all(Array.from({ length: 100 }, () => limit.do(() => Promise.resolve(), signal)))
  expect(getEventListeners(signal, 'abort')).toEqual([])
})

describe('allOrNone', () => {
  it('tells the others to stop at the first failure, and waits for them', async () => {
    const ended: string[] = []
    const all = allOrNone(['a', 'b'], async (item, signal) => {
      if (item === 'a') throw new Error('first')
      await turn()
      ended.push(`b ${signal.aborted}`)
      throw new Error('second')
    })
    await expect(all).rejects.toThrow('first')
    expect(ended).toEqual(['b true'])
  })

  it("hands the caller's abort on", async () => {
    const stop = new AbortController()
    const all = allOrNone(
      [1],
      async (_item, signal) => {
        stop.abort(new Error('enough'))
        signal.throwIfAborted()
      },
      { signal: stop.signal },
    )
    await expect(all).rejects.toThrow('enough')
  })
})

describe('allOrNone, so many at once', () => {
  it('begins with the next when one has ended, and with none after a failure', async () => {
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const begun: number[] = []
    const all = allOrNone(
      [0, 1, 2, 3],
      async (item) => {
        begun.push(item)
        await gates[item]!.promise
      },
      { atOnce: 2 },
    )
    await turn()
    expect(begun).toEqual([0, 1])
    gates[1]!.resolve()
    await turn()
    expect(begun).toEqual([0, 1, 2])
    gates[0]!.reject(new Error('first'))
    gates[2]!.resolve()
    await expect(all).rejects.toThrow('first')
    expect(begun).toEqual([0, 1, 2])
  })

  it('leaves no listener behind on a signal that lives long', async () => {
    const { signal } = new AbortController()
    await allOrNone([1, 2, 3], async () => undefined, { signal, atOnce: 2 })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('LimitByKey', () => {
  it('runs so many at once under each key', async () => {
    const limit = new LimitByKey(1)
    const gate = Promise.withResolvers<string>()
    const [held, behind, other] = [
      limit.do('a', () => gate.promise),
      limit.do('a', () => Promise.resolve('second')),
      limit.do('b', () => Promise.resolve('other')),
    ]
    expect(await Promise.race([behind, other])).toBe('other')
    gate.resolve('first')
    expect(await Promise.all([held, behind])).toEqual(['first', 'second'])
    expect(await limit.do('a', () => Promise.resolve('again'))).toBe('again')
  })
})
