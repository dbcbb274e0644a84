import { describe, expect, it } from 'vitest'
import type { Look, Memo, Release } from '../../../src/model/release.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { decide, type Facts } from '../../../src/reconcile/decide.ts'

const [one, two] = [digestOf('1'), digestOf('2')]
const current = { number: 3, sourceDigest: one } as Release
const facts: Facts = {
  candidate: { version: 'v2', fingerprint: two },
  current,
  memo: undefined,
  settled: null,
  trigger: 'schedule',
}
const memo = (verdict: Memo['verdict']) => ({ verdict }) as Memo
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

  it('does not try again what was refused', () => {
    const refuse = { do: 'refuse', reason: 'a reason', code: 'bad_bundle' }
    expect(decide({ ...facts, memo: refusal('bad_bundle') })).toEqual(refuse)
    expect(decide({ ...facts, memo: refusal('bad_bundle'), trigger: 'request' })).toEqual(refuse)
    expect(decide({ ...facts, memo: refusal('digest_mismatch') })).toMatchObject({ do: 'refuse' })
  })

  it('tries a transfer that was garbled again when a person asks', () => {
    const tried = decide({ ...facts, memo: refusal('digest_mismatch'), trigger: 'request' })
    expect(tried).toEqual({ do: 'fetch', reason: 'tried again' })
  })
})
