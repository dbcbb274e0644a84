import { describe, expect, it } from 'vitest'
import type { Look, Memo, Release } from '../../../src/model/release.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { decide, triedAgainAt, type Facts } from '../../../src/reconcile/decide.ts'

const [one, two] = [digestOf('1'), digestOf('2')]
const current = { number: 3, version: 'v1', sourceDigest: one } as Release
const facts: Facts = {
  candidate: { version: 'v2', fingerprint: two },
  current,
  memo: undefined,
  settled: null,
  trigger: 'schedule',
  now: 1_000_000,
  isChosen: false,
}
const memo = (verdict: Memo['verdict']) => ({ verdict, at: facts.now }) as Memo
const refusal = (code: string) => memo({ refused: 'a reason', code, file: null })

describe('decide', () => {
  it.each([
    ['first', { current: null }],
    ['changed', {}],
    ['changed', { settled: { fingerprint: one } as Look }],
    ['recipe changed', { candidate: { version: 'v1', fingerprint: one } }],
    // Of an index it is the index' digest, the release is made of a member.
    ['recipe changed', { settled: { fingerprint: two } as Look }],
    ['back to release 1', { memo: memo({ release: 1 }) }],
    ['back to release 1', { memo: memo({ release: 1 }), current: null }],
  ])('fetches what is new: %s', (reason, more) => {
    expect(decide({ ...facts, ...more })).toEqual({ do: 'fetch', reason })
  })

  it('does nothing about what is served already', () => {
    expect(decide({ ...facts, memo: memo({ release: 3 }) })).toEqual({ do: 'nothing' })
  })

  it('makes a release of the same content under another version, where versions are chosen from', () => {
    const known = { ...facts, memo: memo({ release: 3 }), isChosen: true }
    expect(decide(known)).toEqual({ do: 'fetch', reason: 'same content, other version' })
    expect(decide({ ...known, candidate: { version: 'v1', fingerprint: one } })).toEqual({ do: 'nothing' })
  })

  it('does not try again what was refused', () => {
    const refuse = { do: 'refuse', reason: 'a reason', code: 'bad_bundle', againAt: null }
    expect(decide({ ...facts, memo: refusal('bad_bundle') })).toEqual(refuse)
    expect(decide({ ...facts, memo: refusal('bad_bundle'), trigger: 'request' })).toEqual(refuse)
    expect(decide({ ...facts, memo: refusal('bad_bundle'), now: facts.now + 10 ** 10 })).toEqual(refuse)
  })

  it('tries a transfer that was garbled again: at once for a person, else later each time', () => {
    const tried = { do: 'fetch', reason: 'tried again' }
    for (const code of ['digest_mismatch', 'size_mismatch']) {
      const known = memo({ refused: 'a reason', code, file: null, tries: 3 })
      expect(decide({ ...facts, memo: known, trigger: 'request' })).toEqual(tried)
      const againAt = facts.now + 240_000
      expect(decide({ ...facts, memo: known })).toEqual({ do: 'refuse', reason: 'a reason', code, againAt })
      expect(decide({ ...facts, memo: known, now: againAt - 1 })).toMatchObject({ do: 'refuse' })
      expect(decide({ ...facts, memo: known, now: againAt })).toEqual(tried)
      // The clock was set back.
      expect(decide({ ...facts, memo: known, now: facts.now - 1 })).toEqual(tried)
    }
  })

  it.each([
    [undefined, 60_000],
    [1, 60_000],
    [2, 120_000],
    [100, 3_600_000],
  ])('after %s tries waits %i ms', (tries, waitMs) => {
    const verdict = { refused: 'a reason', code: 'digest_mismatch', file: null, ...(tries !== undefined && { tries }) }
    expect(triedAgainAt({ verdict, at: 5 })).toBe(5 + waitMs)
  })
})
