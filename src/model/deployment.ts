import type { Digest } from '../oci/digest.ts'

/** One bundle at one place: what should be there, what we put there, what the place says. */
export interface Deployment {
  bundle: string
  /** A key of the config's `deployers`. */
  place: string
  /** Release number that should be there; null before the first release. */
  desired: number | null
  /** Release number that we put there last; null before the first success. */
  deployed: number | null
  /** What the place said it holds when it was last asked; null where it was not or cannot be. */
  observed: Digest | null
  /** `drifted`: somebody else changed what we put there. */
  state: 'pending' | 'deploying' | 'done' | 'failed' | 'drifted'
  /** Tries for the current desired release. */
  attempts: number
  nextAttemptAt: number | null
  lastError: string | null
  /** When something was last put there, or that failed. */
  lastAttemptAt: number | null
  deployedAt: number | null
  /** How often a person asked for it whatever is there already. */
  forced: number
  /** Up to which of these it was done. */
  forcedDone: number
}

/** What deploying would do now. */
export interface Plan {
  bundle: string
  place: string
  desired: number | null
  deployed: number | null
  /** What the place said just now; null where it holds nothing or cannot be asked. */
  observed: Digest | null
  /** `repeat`: it is there already. */
  does: 'deploy' | 'repeat' | 'nothing'
  why: string
}
