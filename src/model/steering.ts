import type { Digest } from '../oci/digest.ts'
import type { PinTo, Said } from './decision.ts'
import type { Deployment, Plan } from './deployment.ts'
import type { Waiting } from './promotion.ts'
import type { Look } from './release.ts'

/** What a person may say. It is durable when it is answered; `bundle` is one that is configured. */
export interface Steering {
  /**
   * From now on this goes before `follow`, down as well as up; answers when it was looked at, whatever that came to. A digest
   * that a release has is pinned as that release. Throws ConfigError where there is no such version, and what the store throws.
   */
  pin(bundle: string, to: PinTo, said: Said, signal: AbortSignal): Promise<Pinned>
  /** `follow` counts again; where nothing was pinned, nothing is looked at. */
  unpin(bundle: string, said: Said): Promise<{ wasPinned: boolean; look: Look | null }>
  /** Pins a release: the one before what is served, whose content is another, unless one is named. Throws ConfigError where there is none. */
  rollback(bundle: string, release: number | null, said: Said, signal: AbortSignal): Promise<Pinned>
  /** False where it was held already. With `*` all bundles, those to come included. */
  hold(bundle: string, said: Said): Promise<boolean>
  /** Goes on deploying what was held; which that was. `*` takes off every hold. Throws ConfigError where all are held and one is named. */
  resume(bundle: string, said: Said): Promise<string[]>
  /** Place null: all places of the bundle. Throws ConfigError for a place that the bundle does not have. */
  switchAutoDeploy(bundle: string, place: string | null, on: boolean, said: Said): Promise<void>
  /** What is desired goes there whatever is there already. Throws ConfigError where that is nothing, held, or no place. */
  deploy(bundle: string, place: string | null, said: Said): Promise<Deployment[]>
  /**
   * A release of the bundle that this one is promoted from may go on: the one that waits unless one is named. Answers when it was
   * looked at. Throws ConfigError where nobody has to agree, or it cannot come any more.
   */
  approve(bundle: string, which: { release: number } | { digest: Digest } | null, said: Said): Promise<Approved>
  /** What `deploy` would do. Throws ConfigError, and what the places throw. */
  plan(bundle: string, place: string | null, signal: AbortSignal): Promise<Plan[]>
}

export interface Pinned {
  to: PinTo
  look: Look
}

export interface Approved {
  /** Its number in the bundle that it comes from. */
  release: number
  version: string
  digest: Digest
  /** False where somebody had agreed already. */
  isNew: boolean
  /** Where it has to be deployed before it counts; null: it is enough that it is current. */
  place: string | null
  /** What still has to pass before it counts, or what comes next; null where nothing waits. */
  waiting: Waiting | null
  look: Look | null
}
