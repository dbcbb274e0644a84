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
  /** Milliseconds since the epoch. */
  now: number
  /** It was chosen among others: then its version says what runs. A tag that is followed by name says nothing new. */
  isChosen: boolean
}

export type Decision =
  | { do: 'nothing' }
  | { do: 'refuse'; reason: string; code: string; againAt: number | null }
  | { do: 'fetch'; reason: string }

/** What came was not what was asked for: that says nothing of the candidate, and a proxy or a mirror may be mended. */
const garbled = new Set(['digest_mismatch', 'size_mismatch'])
const again = { firstMs: 60_000, factor: 2, capMs: 3_600_000 }

/** What is to be done with what a store offers. Pure. */
export function decide({ candidate, current, memo, settled, trigger, now, isChosen }: Facts): Decision {
  if (memo === undefined) return { do: 'fetch', reason: reasonOf(candidate, current, settled) }
  const { verdict } = memo
  if ('refused' in verdict) {
    const againAt = triedAgainAt(memo)
    // A person who asks waits for nothing; nor does a clock that was set back make it longer.
    const isDue = againAt !== null && (trigger === 'request' || now >= againAt || now < memo.at)
    if (isDue) return { do: 'fetch', reason: 'tried again' }
    return { do: 'refuse', reason: verdict.refused, code: verdict.code, againAt }
  }
  if (verdict.release === current?.number) {
    const isRenamed = isChosen && candidate.version !== current.version
    return isRenamed ? { do: 'fetch', reason: 'same content, other version' } : { do: 'nothing' }
  }
  return { do: 'fetch', reason: `back to release ${verdict.release}` }
}

export function isGarbled(code: string): boolean {
  return garbled.has(code)
}

/** When a refused candidate is fetched again; null where what came proves that it is bad. */
export function triedAgainAt({ verdict, at }: Pick<Memo, 'verdict' | 'at'>): number | null {
  if (!('refused' in verdict) || !isGarbled(verdict.code)) return null
  return at + Math.min(again.capMs, again.firstMs * again.factor ** ((verdict.tries ?? 1) - 1))
}

function reasonOf({ fingerprint }: Candidate, current: Release | null, settled: Look | null): string {
  if (current === null) return 'first'
  const isKnown = fingerprint === current.sourceDigest || fingerprint === settled?.fingerprint
  return isKnown ? 'recipe changed' : 'changed'
}
