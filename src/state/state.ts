import type { StorageError } from '../lib/errors.ts'
import type { Hold, Pin, Switch, Word } from '../model/decision.ts'
import type { Deployment } from '../model/deployment.ts'
import type { Event } from '../model/event.ts'
import type { Message, MessageFilter, MessageKey } from '../model/message.ts'
import type { Left, Placement } from '../model/placement.ts'
import type { Approval } from '../model/promotion.ts'
import type { Look, Memo, Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'

/**
 * What is persisted, apart from bytes. Each call is one transaction: it holds in full, durably, or not at all.
 * Asynchronous from the first day: the embedded database lives in a worker thread.
 */
export interface State {
  readonly catalog: CatalogState
  readonly bundles: BundleState
  readonly deployments: DeploymentState
  readonly placements: PlacementState
  readonly collection: CollectionState
  readonly decisions: DecisionState
  readonly promotions: PromotionState
  readonly events: EventState
  readonly outbox: OutboxState
  /** Small facts about this folder, such as its id. */
  readonly facts: { get(key: string): Promise<string | undefined>; set(key: string, value: string): Promise<void> }
  readonly lease: Lease
  /**
   * A copy of everything as it is now, in a new file, made beside what goes on. Throws StorageError `disk_full`, `read_only`, `io`.
   */
  snapshot(file: string): Promise<Snapshot>
  close(): Promise<void>
}

/** Says whether this process is still the one that acts. Where nobody else can be, as under SQLite's lock, it always is. */
export interface Lease {
  /**
   * Before each effect that is not in the state itself: what is put somewhere, a file that goes, a message. Throws StorageError
   * `locked` when another one has taken over, `unreachable` when nobody can say. What is written to the state needs no such question.
   */
  check(): Promise<void>
  /** Resolves when another one has taken over. From then on nothing may be done. */
  readonly lost: Promise<StorageError>
}

/** A copy of the state, for reading. */
export interface Snapshot {
  digests: CatalogState['digests']
  close(): void
}

export interface ManifestRow {
  digest: Digest
  mediaType: string
  /** Bytes. */
  size: number
  artifactType: string | null
  subject: Digest | null
  annotations: Record<string, string> | null
}

/** What a manifest names. Those with `required` must be in the repository when it is put. */
export interface Reference {
  digest: Digest
  kind: 'blob' | 'manifest'
  required: boolean
}

export interface Page {
  /** Only names after this one, in lexical (byte) order. */
  after?: string
  limit: number
}

/** Which repository holds which manifest, tag, blob and referrer. Times are milliseconds since the epoch, given by the caller. */
export interface CatalogState {
  blob(repository: string, digest: Digest): Promise<{ size: number; usedAt: number } | undefined>
  /** Notes a later use. False when the blob is gone. */
  useBlob(repository: string, digest: Digest, usedAt: number): Promise<boolean>
  /** StorageError `quota_exceeded`, and nothing was written, when the repository would have more than `maxBytes`. */
  addBlob(repository: string, blob: { digest: Digest; size: number }, usedAt: number, maxBytes?: number): Promise<void>
  /** From `from` if it has it; with `from` undefined from any repository of `readable`. Undefined when none has it. */
  mountBlob(
    mount: { digest: Digest; from?: string; readable?: string[] | 'all'; to: string },
    usedAt: number,
    maxBytes?: number,
  ): Promise<{ size: number } | undefined>
  removeBlob(repository: string, digest: Digest): Promise<boolean>
  /** Bytes of everything that is in the repository, whether or not others have it too. */
  usage(repository: string): Promise<number>
  /** By tag or digest. */
  manifest(repository: string, reference: string): Promise<ManifestRow | undefined>
  /** Adds the manifest (bytes are in content already), its references, its tags; `missing` lists required ones that are not there, and then nothing was written. */
  putManifest(
    repository: string,
    manifest: ManifestRow,
    references: Reference[],
    tags: readonly string[],
    at: number,
    maxBytes?: number,
  ): Promise<{ missing: Digest[]; moved: { tag: string; from: Digest | null }[] }>
  /** The manifest itself and the blobs it names, `size` null where the repository has not got one; undefined when there is no such manifest. */
  parts(repository: string, digest: Digest): Promise<{ digest: Digest; size: number | null }[] | undefined>
  /** With every tag that pointed at it; undefined when there is no such manifest. What it named may be needed by nobody from now on, `at`. */
  removeManifest(repository: string, digest: Digest, at: number): Promise<{ tags: string[] } | undefined>
  /** What the tag pointed at; undefined when there is no such tag. That may be needed by nobody from now on, `at`. */
  removeTag(repository: string, tag: string, at: number): Promise<Digest | undefined>
  tags(repository: string, page: Page): Promise<string[]>
  /** Tags with what they stand for, for writing an index. */
  tagged(repository: string, page: Page): Promise<{ tag: string; manifest: ManifestRow }[]>
  untagged(repository: string, page: Page): Promise<ManifestRow[]>
  /** Whether it holds a manifest or a blob. */
  hasRepository(repository: string): Promise<boolean>
  /** Those that hold a manifest. */
  repositories(page: Page): Promise<string[]>
  /** Newest last. */
  referrers(repository: string, subject: Digest, artifactType?: string): Promise<ManifestRow[]>
  /** Every digest that any repository knows (manifests and blobs), in digest order, for checks and collection. */
  digests(page: Page): Promise<{ digest: Digest; size: number }[]>
  /** Repositories that changed since their index was written, those without manifests included. */
  staleIndexes(limit: number): Promise<{ repository: string; version: number; empty: boolean }[]>
  /** The index on disk now shows this version. */
  indexWritten(repository: string, version: number): Promise<void>
}

/** A release that is about to be; the number and the time are given by the state. */
export type ReleaseDraft = Omit<Release, 'number' | 'activatedAt' | 'kept'>

export interface BundleState {
  /** The newest release of each bundle, whether configured or not. */
  current(): Promise<Release[]>
  release(bundle: string, number: number): Promise<Release | undefined>
  /** By the digest that is served or a manifest's: the newest that has it and is kept, else the newest that had it. */
  releaseByDigest(bundle: string, digest: Digest): Promise<Release | undefined>
  /** Newest first. */
  releases(bundle: string, limit: number): Promise<Release[]>
  /** What was served before the newest release of each bundle: of the last `limit` releases, the oldest first. */
  earlierDigests(limit: number): Promise<{ bundle: string; digest: Digest }[]>
  /**
   * Appends to the history, moves the tags of `bundles/NAME`, remembers the memo, sets each place's desired release, and
   * lets releases beyond `keep` that no place holds or wants go (their manifests leave the catalog); all in one transaction.
   * The manifest is in the catalog already. `followed`: what it was taken by; `by`: the person whose word made it count.
   */
  append(
    draft: ReleaseDraft,
    context: {
      tags: string[]
      memo: Omit<Memo, 'verdict' | 'at'>
      places: string[]
      keep: number
      at: number
      followed?: string
      by?: string | undefined
    },
  ): Promise<Release>
  /** Makes it the bundle's first release, of a manifest that is in the catalog. Nothing happens where there is one already. */
  adopt(draft: ReleaseDraft, at: number): Promise<void>
  memo(bundle: string, fingerprint: string, recipe: string): Promise<Memo | undefined>
  remember(memo: Memo): Promise<void>
  look(bundle: string): Promise<Look | undefined>
  looks(): Promise<Look[]>
  /** `followed`: what was followed, where it found what counts. */
  saveLook(look: Look, followed?: string): Promise<void>
  /** What each bundle followed when it was last found what counts; of those that have a release. */
  followed(): Promise<{ bundle: string; followed: string }[]>
}

export interface DeploymentState {
  list(bundle?: string): Promise<Deployment[]>
  /**
   * Makes the rows of a bundle those of `places` (as the config says). Rows of places that are gone are removed, and what stayed there is remembered; new ones
   * want `desired`, the current release; those that stay are left as they are. `placements`: how it goes there, remembered over the
   * time that a place is in the config; `at` is now.
   */
  configure(
    bundle: string,
    places: string[],
    desired: number | null,
    how?: { placements: readonly Placement[]; at: number },
  ): Promise<void>
  /**
   * Of a row that `configure` made; a place that left the config in the meantime stays away. Where a newer release is
   * desired by now, that stands: only what was deployed, observed and went wrong is noted. `at` is now; `log` is of the attempt
   * that this ends, for its event.
   */
  save(deployment: Deployment, at: number, log?: readonly string[]): Promise<void>
  /** A person wants it there whatever is there already: at one place, or at all of the bundle. Returns the rows as they are now. */
  force(bundle: string, place: string | null, word: Word): Promise<Deployment[]>
}

/** What stayed at places that left the config. */
export interface PlacementState {
  /** Of all places that are in the config (`leftAt` null), or were. */
  list(): Promise<(Omit<Left, 'leftAt'> & { leftAt: number | null })[]>
  /** Numbers of the releases that were put there, or that an attempt began to put there. */
  puts(bundle: string, place: string): Promise<number[]>
  /** An attempt to take it away began, or, with its `lastError`, failed; an event. Nothing happens where the place is back. */
  saveLeft(left: Left, at: number, log: readonly string[]): Promise<void>
  /** From now on it is there as this says. Nothing happens where the place left the config. */
  move(bundle: string, to: Placement): Promise<void>
  /** It was taken away; an event. */
  forget(left: Left, at: number, log: readonly string[]): Promise<void>
}

export interface UnusedBlob {
  digest: Digest
  size: number
  usedAt: number
  /** By how many manifests of the repository. */
  named: number
}

/**
 * What nobody needs, found and let go page by page. Blobs have no file of their own here: a digest that no repository has
 * any more is buried, its file removed, and unburied. Whoever adds a digest to a repository takes its tombstone away.
 */
export interface CollectionState {
  /** Those that hold a manifest or a blob. */
  repositories(page: Page): Promise<string[]>
  /** Lets go of releases beyond the newest `keep` that no place holds or wants: their bytes need not be kept any more. */
  dropReleases(bundle: string, options: { keep: number; dryRun: boolean }): Promise<number[]>
  /**
   * Lets go of manifests that were put, and last lost what they were needed for, before this moment. In `bundles/NAME` of those that
   * no kept release (but for those of `without`, as if they were gone) is made of, names or is referred to by. In another
   * repository, where `bundle` is null, of those that nothing which is tagged or of a kept release is, names or is referred to by.
   * `names`, in a dry run: what these name, once for each that does. `next` goes on from there; null at the end.
   */
  dropManifests(
    repository: string,
    options: Page & { bundle: string | null; without: readonly number[]; before: number; dryRun: boolean },
  ): Promise<{ manifests: { digest: Digest; size: number }[]; names: Digest[]; next: Digest | null }>
  /**
   * Lets go of blobs that no manifest of the repository names, and that were last used before this moment. A dry run tells all that
   * were, and how many name each. `next` goes on from there; null at the end.
   */
  dropBlobs(
    repository: string,
    options: Page & { usedBefore: number; dryRun: boolean },
  ): Promise<{ blobs: UnusedBlob[]; next: Digest | null }>
  /** How many rows, of manifests and of blobs each counted up to `max`, speak of each digest. */
  owners(digests: readonly Digest[], max: number): Promise<{ digest: Digest; owners: number }[]>
  /** Those that no repository has; they have a tombstone now. */
  bury(digests: readonly Digest[], at: number): Promise<Digest[]>
  tombstones(page: Page): Promise<Digest[]>
  /** It has a tombstone, and no repository has it. */
  isBuried(digest: Digest): Promise<boolean>
  unbury(digests: readonly Digest[]): Promise<void>
}

/** What persons decided. It outlives restarts and changes of the config; each decision is an event too. */
export interface DecisionState {
  /** In order of the names. */
  all(): Promise<{ pins: Pin[]; switches: Switch[]; holds: Hold[] }>
  /** In place of the pin that was there. */
  pin(pin: Pin): Promise<void>
  /** False where nothing was pinned. */
  unpin(bundle: string, word: Word): Promise<boolean>
  /** What is said of a bundle takes off what was said of its places before. */
  switchAutoDeploy(to: Switch): Promise<void>
  /** Those that are held already stay as they are; returns the others. */
  hold(bundles: readonly string[], word: Word): Promise<string[]>
  /** Takes one hold off, or with `*` all of them; returns which. */
  resume(bundle: string, word: Word): Promise<string[]>
}

/** How far releases of other bundles are on their way to a bundle: by number in the other one. */
export interface PromotionState {
  /** What was for long enough at the place (null: current), and what persons agreed to; the oldest first. */
  read(bundle: string, from: string, place: string | null): Promise<{ ripe: number[]; approvals: Approval[] }>
  ripen(bundle: string, what: { from: string; place: string | null; release: number; at: number }): Promise<void>
  /** An event too, which names the version. False where somebody had agreed already. */
  approve(approval: Approval, version: string): Promise<boolean>
}

/** What happened, in order. Written in the transactions of what it tells of; the newest 100,000 are kept. */
export interface EventState {
  /** 0 before the first. */
  newest(): Promise<number>
  /** Oldest first. */
  after(seq: number, limit: number): Promise<Event[]>
  /** Newest first; where a place is named, only what happened there. */
  ofBundle(bundle: string, limit: number, place?: string): Promise<Event[]>
}

/** What is still to be told, by publisher. Only one writes to it. */
export interface OutboxState {
  /**
   * These publishers and no others: a new one begins after the newest event; of one that is gone nothing is kept. Returns up
   * to which event each has been looked at, and how many messages were dropped.
   */
  configure(publishers: readonly string[]): Promise<{ cursors: Record<string, number>; dropped: number }>
  /**
   * What is to be sent of the events after `from` up to `to`. False, and nothing was done, where somebody did it already.
   * `at` is now.
   */
  queue(publisher: string, events: readonly Event[], span: { from: number; to: number }, at: number): Promise<boolean>
  /** Of each bundle the first message that waits. */
  heads(publisher: string): Promise<{ bundle: string; seq: number; nextAttemptAt: number }[]>
  message(key: MessageKey): Promise<Message | undefined>
  /** It goes. Returns the next one of its bundle that waits. */
  sent(key: MessageKey, bundle: string): Promise<number | undefined>
  /** Of one that waits. */
  failed(key: MessageKey, failure: { error: string; nextAttemptAt: number }): Promise<void>
  /**
   * Parks what waits since this moment or longer: all of it, or one message. Beyond `maxParked` the oldest are dropped. Returns how
   * many were parked and dropped.
   */
  park(
    publisher: string,
    what: { queuedUntil: number; seq: number | null; error: string; maxParked: number },
  ): Promise<{ parked: number; dropped: number }>
  /** In order of publishers and events. */
  list(filter: MessageFilter, page: { after: MessageKey | null; limit: number }): Promise<Message[]>
  /** Those of them that are parked wait again, from now on. Returns which. */
  resend(keys: readonly MessageKey[], at: number): Promise<MessageKey[]>
  counts(): Promise<{ publisher: string; state: Message['state']; count: number }[]>
}
