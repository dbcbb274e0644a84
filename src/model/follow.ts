/** One version by its name: nothing has to be listed to find it. */
export type Exact = { tag: string } | { digest: string }

/** `semver`: a range as npm has them. `prerelease`: whether those count that the range does not name by itself. */
export interface FollowRange {
  semver: string
  prerelease: boolean
}

/** A pattern in RE2's syntax, of which one named group may say which part of a tag is ordered. */
export interface FollowPattern {
  pattern: string
  order: Order
}

export const orders = ['semver', 'numeric', 'alphabetical', 'created'] as const

export type Order = (typeof orders)[number]

/** Which of a store's versions counts. */
export type Follow = Exact | FollowRange | FollowPattern

export function isExact(follow: Follow): follow is Exact {
  return 'tag' in follow || 'digest' in follow
}

/** As `status` shows it: `latest`, `semver ^1`, `pattern ^main- by created`. */
export function nameOf(follow: Follow): string {
  if ('tag' in follow) return follow.tag
  if ('digest' in follow) return follow.digest
  if ('semver' in follow) return `semver ${follow.semver}${follow.prerelease ? ' with prereleases' : ''}`
  return `pattern ${follow.pattern} by ${follow.order}`
}

/** Why a tag counts or does not: what decides says it, and a person is shown the same. */
export type Verdict =
  | { code: 'taken' }
  /** Another one that counts is newer. */
  | { code: 'older_than'; tag: string }
  /** `v1.2.3` beside `1.2.3`. */
  | { code: 'same_version_as'; tag: string }
  /** The best there is, but older than what ran, which is gone. */
  | { code: 'step_down'; tag: string }
  | { code: 'not_a_version' }
  /** In the range but for being a prerelease. */
  | { code: 'prerelease' }
  | { code: 'outside_range'; range: string }
  | { code: 'no_match'; pattern: string }
  /** The pattern matches, but there is no number to order it by. */
  | { code: 'no_number' }
  /** Nobody says when it was made. */
  | { code: 'no_time' }
  /** It is in the list, but not there when it is asked for. */
  | { code: 'gone' }
  /** Another one is followed by its name. */
  | { code: 'not_followed'; follow: string }
  /** What counts is what is promoted from another bundle, and this is not what was. */
  | { code: 'not_promoted'; from: string }
