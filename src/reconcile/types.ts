import type { EventEmitter } from 'node:events'
import type { Assembled, AssembleOptions, ArchiveLimits, BlobFiles } from '../artifact/types.ts'
import type { Deployer, DeployTo } from '../deployers/deployer.ts'
import type { Schedule } from '../lib/schedule.ts'
import type { Explanation } from '../model/explain.ts'
import type { Follow } from '../model/follow.ts'
import type { LeftStatus } from '../model/placement.ts'
import type { BundleKind, Look, Release } from '../model/release.ts'
import type { BundleStatus } from '../model/status.ts'
import type { Steering } from '../model/steering.ts'
import type { RawManifest } from '../oci/target.ts'
import type { RepositoryChange } from '../registry/types.ts'
import type { Store } from '../stores/store.ts'

/** One bundle as the reconciler works on it: the config's words turned into parts. */
export interface BundleSpec {
  name: string
  kind: BundleKind
  store: Store
  follow: Follow
  /** Whether an older version is taken where the one that ran is gone. */
  allowDowngrade: boolean
  platform: string
  /** False: nothing is fetched of it; its releases are what the store's versions are called, and their digests. */
  pull: boolean
  schedule: Schedule
  keep: number
  /** Hash of the config that bears on content. */
  recipe: string
  limits: ArchiveLimits
  places: PlaceSpec[]
}

/** How often a release is tried that could not be put to a place. */
export interface Retry {
  /** Null: until it succeeds, or another one is desired. */
  maxAttempts: number | null
  maxIntervalMs: number
}

export interface PlaceSpec extends DeployTo {
  /** A key of the config's `deployers`. */
  name: string
  /** Whether new releases go there by themselves, as the config says. */
  autoDeploy: boolean
  /** What comes of it when somebody else changed what we put there. */
  drift: 'restore' | 'report'
  retry: Retry
  /** Another object than before means that its config may have changed: the place is looked at anew. */
  deployer: Deployer
}

/** What the reconciler tells the rest, after it is durable. */
export interface ReconcileEvents {
  released: [release: Release]
  looked: [look: Look]
  removed: [bundle: string]
  deployed: [event: { bundle: string; place: string; release: number; error: string | null }]
}

/** Makes what is served out of a manifest; src/artifact has one. */
export interface Assembler {
  assemble(manifest: RawManifest, blobs: BlobFiles, options: AssembleOptions): Promise<Assembled>
}

export interface Reconciler {
  readonly events: EventEmitter<ReconcileEvents>
  /** Once, before all else. The newest release of each bundle that ever was: to be served before any store answers. */
  start(): Promise<Release[]>
  /**
   * From now on these bundles: those that did not change are not touched, those that are gone are no longer looked at (what was
   * deployed stays, unless one of `pruners`, by the place's name, takes it away), those that changed are looked at anew. Stores and deployers stay the caller's to close, afterwards.
   */
  configure(
    specs: readonly BundleSpec[],
    pruners?: ReadonlyMap<string, Deployer>,
  ): Promise<{ added: string[]; changed: string[]; removed: string[] }>
  /**
   * Looks now, or once more after the look that is under way. Undefined for a name that is not configured. The signal ends the
   * waiting, not the look.
   */
  look(name: string, trigger: string, signal?: AbortSignal): Promise<Look | undefined>
  /** Somebody says that there may be something new: these look, and nobody waits for it. */
  noticed(names: readonly string[], trigger: string): void
  /** A push to a repository of the built-in registry, or a deletion there: bundles that follow it are looked at. */
  repositoryChanged(change: RepositoryChange): void
  readonly steering: Steering
  /**
   * Why a bundle is what it is: its first `limit` tags, best first, and its places. Asks the store where no list of its tags is kept.
   * Undefined for a name that is not configured.
   */
  explain(name: string, limit: number, signal: AbortSignal): Promise<Explanation | undefined>
  /** What the store has, at most one interval of the bundle's schedule old. Undefined for a name that is not configured. Throws RemoteError. */
  tags(name: string, signal: AbortSignal): Promise<readonly string[] | undefined>
  /** The same, of what is known; undefined also where the store would have to be asked. */
  knownTags(name: string): readonly string[] | undefined
  /** Of all bundles, in the config's order, or of one; from memory. */
  status(name?: string): BundleStatus[]
  /** What stayed at places that left the config; from memory. */
  left(): LeftStatus[]
  /** Stops looks and deployments, and waits until they have stopped. */
  close(): Promise<void>
}
