import type { Digest } from '../oci/digest.ts'
import type { Word } from './decision.ts'

/** What has to hold of a release of another bundle before it counts. */
export interface PromotionTerms {
  /** The other bundle. */
  from: string
  /** Where it has to be deployed; null: it is enough that it is current. */
  place: string | null
  /** For how long at least. */
  delayMs: number
  /** Whether a person has to agree. */
  approval: boolean
}

/** How far the releases of the other bundle are. */
export interface Promotion extends PromotionTerms {
  /** Number of the one that counts now; null where none was promoted yet. */
  promoted: number | null
  /** What will count next; null where there is nothing newer. */
  waiting: Waiting | null
}

export interface Waiting {
  /** Its number in the other bundle. */
  release: number
  version: string
  /** Of its manifest. */
  digest: Digest
  /** Whether it is where it has to be; why not, where that went wrong, says that place. */
  isThere: boolean
  /** When it was there for long enough, in milliseconds since the epoch; null where it is not there, or was already. */
  until: number | null
  /** Whether a person still has to agree. */
  needsApproval: boolean
}

/** A person's word that a release of another bundle may go on. */
export interface Approval extends Word {
  /** The bundle that takes it. */
  bundle: string
  /** The bundle that it is a release of. */
  from: string
  release: number
  digest: Digest
}

/** `release 4 (v1.5.0) waits until 12:00, and for an approval`; `showTime` writes the moment. */
export function describeWaiting(
  { release, version, isThere, until, needsApproval }: Waiting,
  place: string | null,
  showTime: (at: number) => string,
): string {
  const reasons = [
    ...(isThere || place === null ? [] : [`to be at ${place}`]),
    ...(until === null ? [] : [showTime(until)]),
    ...(needsApproval ? ['for an approval'] : []),
  ]
  return `release ${release} (${version}) waits ${reasons.length === 0 ? 'for its turn' : reasons.join(', and ')}`
}
