import type { Look, Memo, Release } from '../model/release.ts'
import type { Candidate } from '../stores/store.ts'

/** All that a decision rests on. */
export interface Facts {
  candidate: Candidate
  /** What is served now. */
  current: Release | null
  /** What is known of this candidate under this recipe. */
  memo: Memo | undefined
  /** The newest look that found out something: `released` or `unchanged`. */
  settled: Look | null
  trigger: string
}

export type Decision =
  { do: 'nothing' } | { do: 'refuse'; reason: string; code: string } | { do: 'fetch'; reason: string }

/** Transfers that went wrong on the way: the candidate may be well, so a person who asks gets another try. */
const mendable = new Set(['digest_mismatch', 'size_mismatch'])

/** What is to be done with what a store offers. Pure. */
export function decide({ candidate, current, memo, settled, trigger }: Facts): Decision {
  if (memo === undefined) return { do: 'fetch', reason: reasonOf(candidate, current, settled) }
  const { verdict } = memo
  if ('refused' in verdict) {
    if (trigger === 'request' && mendable.has(verdict.code)) return { do: 'fetch', reason: 'tried again' }
    return { do: 'refuse', reason: verdict.refused, code: verdict.code }
  }
  if (verdict.release === current?.number) return { do: 'nothing' }
  return { do: 'fetch', reason: `back to release ${verdict.release}` }
}

function reasonOf({ fingerprint }: Candidate, current: Release | null, settled: Look | null): string {
  if (current === null) return 'first'
  const isKnown = fingerprint === current.sourceDigest || fingerprint === settled?.fingerprint
  return isKnown ? 'recipe changed' : 'changed'
}
