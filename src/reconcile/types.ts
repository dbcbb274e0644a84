import type { ArchiveLimits } from '../artifact/types.ts'
import type { Schedule } from '../lib/schedule.ts'
import type { BundleKind, Look, Release } from '../model/release.ts'
import type { Follow, Store } from '../stores/store.ts'
import type { Deployer } from '../deployers/deployer.ts'

/** One bundle as the reconciler works on it: the config's words turned into parts. */
export interface BundleSpec {
  name: string
  kind: BundleKind
  store: Store
  follow: Follow
  platform: string
  schedule: Schedule
  keep: number
  /** Hash of the config that bears on content. */
  recipe: string
  limits: ArchiveLimits
  places: PlaceSpec[]
}

export interface PlaceSpec {
  /** A key of the config's `deployers`. */
  name: string
  deployer: Deployer
}

/** What the reconciler tells the rest, after it is durable. */
export interface ReconcileEvents {
  released: [release: Release]
  looked: [look: Look]
  removed: [bundle: string]
  deployed: [event: { bundle: string; place: string; release: number; error: string | null }]
}
