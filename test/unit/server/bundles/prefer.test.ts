import fc from '../../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { readWaitSeconds } from '../../../../src/server/bundles/prefer.ts'

describe('Prefer', () => {
  it.each([
    ['modes=snapshot,delta;wait=30', 30],
    ['modes=snapshot,delta; wait=30', 30],
    ['wait=10', 10],
    ['WAIT=10', 10],
    ['respond-async, wait=10', 10],
    ['wait = 10', 10],
    ['wait="10"', 10],
    ['wait=10, wait=20', 10],
    ['modes=delta, respond-async;x="a\\"b";wait=7', 7],
    ['wait=0', 0],
    ['modes=snapshot,delta', undefined],
    ['', undefined],
    ['wait', undefined],
    ['wait=', undefined],
    ['wait=soon', undefined],
    ['wait=-1', undefined],
    ['wait=1.5', undefined],
    ['await=10', undefined],
    ['x-wait=10', undefined],
    ['wait=10s', undefined],
    ['note="a;wait=5"', undefined],
    ['note="a;wait=5";wait=6', 6],
  ])('%s waits %s', (header, seconds) => {
    expect(readWaitSeconds(header)).toBe(seconds)
  })

  it('is not read at all when it is longer than a wish, so that nobody keeps us busy with it', () => {
    expect(readWaitSeconds(`${' '.repeat(900)}wait=10`)).toBe(10)
    expect(readWaitSeconds(`${' '.repeat(1_000)}wait=10`)).toBeUndefined()
    // Takes half an hour when it is read.
    expect(readWaitSeconds(`"${'\\"'.repeat(1_000_000)}`)).toBeUndefined()
  })

  it('takes several headers as one', () => {
    expect(readWaitSeconds(['modes=snapshot', 'wait=5'])).toBe(5)
    expect(readWaitSeconds(undefined)).toBeUndefined()
  })

  it('makes something sane of anything', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('wait', '=', '1', ';', ',', '"', '\\', ' ', 'x') }), (header) => {
        const seconds = readWaitSeconds(header)
        return seconds === undefined || (Number.isInteger(seconds) && seconds >= 0)
      }),
    )
  })
})
