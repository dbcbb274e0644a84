import { describe, expect, it } from 'vitest'
import { OneMore } from '../../../src/lib/one-more.ts'

/** Runs that begin and end when the test says so. */
function scripted() {
  const runs: { begin: () => void; end: (result: string) => void; fail: (error: Error) => void }[] = []
  const flight = new OneMore<string>((begin) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    runs.push({ begin, end: resolve, fail: reject })
    return promise
  })
  return { runs, flight }
}

describe('OneMore', () => {
  it('lets all join a run that has not begun', async () => {
    const { runs, flight } = scripted()
    const asked = [flight.ask(), flight.ask()]
    expect(flight.running).toBe(false)
    runs[0]!.begin()
    expect(flight.running).toBe(true)
    runs[0]!.end('one')
    expect(await Promise.all(asked)).toEqual(['one', 'one'])
    expect(runs).toHaveLength(1)
  })

  it('runs exactly once more for all who ask after it has begun', async () => {
    const { runs, flight } = scripted()
    const first = flight.ask()
    runs[0]!.begin()
    const later = [flight.ask(), flight.ask(), flight.ask()]
    runs[0]!.end('one')
    expect(await first).toBe('one')
    runs[1]!.begin()
    const latest = flight.ask()
    runs[1]!.end('two')
    expect(await Promise.all(later)).toEqual(['two', 'two', 'two'])
    runs[2]!.end('three')
    expect(await latest).toBe('three')
    expect(runs).toHaveLength(3)
  })

  it('runs the one more also when the run before failed', async () => {
    const { runs, flight } = scripted()
    const first = flight.ask()
    runs[0]!.begin()
    const second = flight.ask()
    runs[0]!.fail(new Error('no'))
    await expect(first).rejects.toThrow('no')
    runs[1]!.fail(new Error('no again'))
    await expect(second).rejects.toThrow('no again')
    await flight.idle()
    expect(flight.running).toBe(false)
  })
})
