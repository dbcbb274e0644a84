import type { Hold, Switch } from './decision.ts'
import type { Verdict } from './follow.ts'
import type { BundleStatus, PlaceStatus } from './status.ts'

/** Why a bundle is what it is, and where it is. */
export interface Explanation {
  /** What counts and by whose word, what is served and since when, what the last look said. */
  bundle: BundleStatus
  tags: TagsExplained
  places: PlaceExplained[]
}

export interface TagsExplained {
  /** What counts now: the pin's, else the config's. */
  follow: string
  /** When the store was asked for them, in milliseconds since the epoch; null where it could not be. */
  askedAt: number | null
  /** How many there are; `verdicts` may be fewer. */
  total: number
  /** Those that count first, best first. */
  verdicts: TagVerdict[]
  /** Why there are none. */
  error: { code: string; message: string } | null
}

export interface TagVerdict {
  tag: string
  verdict: Verdict
}

export interface PlaceExplained {
  place: string
  verdict: PlaceVerdict
}

/** What keeps a place from being deployed to before a person says otherwise. */
export type Obstacle =
  | { code: 'held'; hold: Hold }
  /** Null: nobody switched it, the config says so. */
  | { code: 'auto_deploy_off'; switched: Switch | null }

/** Why a place is up to date or is not. */
export type PlaceVerdict =
  | Obstacle
  | { code: 'up_to_date'; release: number }
  | { code: 'no_release' }
  | { code: 'deploying'; release: number; attempt: number }
  | { code: 'failed'; release: number; attempts: number; error: string; againAt: number | null }
  /** Somebody else changed what was put there. */
  | { code: 'drifted'; error: string }
  /** It is its turn soon. */
  | { code: 'waiting'; release: number }

/** What decides whether a place is deployed to; a person is told the same. */
export function obstacleOf(
  { forced, forcedDone, autoDeploy, switched }: PlaceStatus,
  hold: Hold | null,
): Obstacle | undefined {
  if (hold !== null) return { code: 'held', hold }
  return forced > forcedDone || autoDeploy ? undefined : { code: 'auto_deploy_off', switched }
}

export function judgePlace(place: PlaceStatus, hold: Hold | null): PlaceVerdict {
  const { desired: release, deployed, state, attempts, forced, forcedDone, lastError, nextAttemptAt } = place
  if (release === null) return { code: 'no_release' }
  if (state === 'done' && deployed === release && forced <= forcedDone) return { code: 'up_to_date', release }
  if (state === 'drifted') return { code: 'drifted', error: lastError ?? '' }
  const obstacle = obstacleOf(place, hold)
  if (obstacle !== undefined) return obstacle
  if (state === 'deploying') return { code: 'deploying', release, attempt: attempts }
  if (state === 'failed') {
    return { code: 'failed', release, attempts, error: lastError ?? '', againAt: nextAttemptAt }
  }
  return { code: 'waiting', release }
}
