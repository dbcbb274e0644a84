import type { PromotionTerms } from '../model/promotion.ts'

/** All that a promotion rests on. Numbers are those of releases of the other bundle. */
export interface PromotionFacts {
  terms: Pick<PromotionTerms, 'delayMs' | 'approval'>
  /** What is to be where it has to be; null before the first release. */
  desired: number | null
  /** What is there, whole and since when; null where nothing is, or where that is not known. */
  present: { release: number; since: number } | null
  /** Those that were there for long enough, as far as that was written down. */
  ripe: readonly number[]
  approved: readonly number[]
  /** Milliseconds since the epoch. */
  now: number
}

export interface PromotionVerdict {
  /** What counts: the newest that was there for long enough, and that a person agreed to where that is asked for. */
  promoted: number | null
  /** It is there for long enough now: to be written down, since it may be gone from there when somebody agrees. */
  ripened: number | null
  waiting: { release: number; isThere: boolean; until: number | null; needsApproval: boolean } | null
}

/** Which release of another bundle counts. Pure. */
export function judgePromotion(facts: PromotionFacts): PromotionVerdict {
  const { terms, desired, present, now } = facts
  const isLong = present !== null && now - present.since >= terms.delayMs
  const ripened = isLong && !facts.ripe.includes(present.release) ? present.release : null
  const ripe = new Set([...facts.ripe, ...(ripened === null ? [] : [ripened])])
  const approved = new Set(facts.approved)
  const promoted = newest([...ripe].filter((release) => !terms.approval || approved.has(release)))
  // What is on its way there comes next; but while nothing newer is there, what is there may still count.
  const next = [present?.release, desired].find((release) => (release ?? 0) > (promoted ?? 0))
  if (next === undefined || next === null) return { promoted, ripened, waiting: null }
  const isThere = present?.release === next
  const until = isThere && !ripe.has(next) ? present.since + terms.delayMs : null
  const needsApproval = terms.approval && !approved.has(next)
  return { promoted, ripened, waiting: { release: next, isThere, until, needsApproval } }
}

function newest(releases: readonly number[]): number | null {
  return releases.length === 0 ? null : Math.max(...releases)
}
