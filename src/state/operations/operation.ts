import type {
  BundleState,
  CatalogState,
  CollectionState,
  DecisionState,
  DeploymentState,
  EventState,
  OutboxState,
  PlacementState,
  PromotionState,
  State,
} from '../state.ts'
import type { Db } from '../schema.ts'

export interface Groups {
  catalog: CatalogState
  bundles: BundleState
  deployments: DeploymentState
  placements: PlacementState
  collection: CollectionState
  decisions: DecisionState
  promotions: PromotionState
  events: EventState
  outbox: OutboxState
  facts: State['facts']
}

/**
 * Each method of a part of the state, as what it does in a transaction that the caller began: it holds in full or not at
 * all. Nothing but the database may be awaited in it, and it may run again when its transaction failed.
 */
export type Operations<Part> = {
  [Name in keyof Part]: Part[Name] extends (...args: infer Args) => infer Result
    ? (db: Db, ...args: Args) => Result
    : never
}

/** Operations that only read need no write transaction, and no disk that takes writes. */
export type Access<Part> = Record<keyof Part, 'read' | 'write'>

export const access: { [Group in keyof Groups]: Access<Groups[Group]> } = {
  catalog: {
    blob: 'read',
    useBlob: 'write',
    addBlob: 'write',
    mountBlob: 'write',
    removeBlob: 'write',
    usage: 'read',
    manifest: 'read',
    putManifest: 'write',
    parts: 'read',
    removeManifest: 'write',
    removeTag: 'write',
    tags: 'read',
    tagged: 'read',
    untagged: 'read',
    hasRepository: 'read',
    repositories: 'read',
    referrers: 'read',
    digests: 'read',
    staleIndexes: 'read',
    indexWritten: 'write',
  },
  bundles: {
    current: 'read',
    release: 'read',
    releaseByDigest: 'read',
    releases: 'read',
    earlierDigests: 'read',
    append: 'write',
    adopt: 'write',
    memo: 'read',
    remember: 'write',
    look: 'read',
    looks: 'read',
    saveLook: 'write',
    followed: 'read',
  },
  deployments: { list: 'read', configure: 'write', save: 'write', force: 'write' },
  collection: {
    repositories: 'read',
    dropReleases: 'write',
    dropManifests: 'write',
    dropBlobs: 'write',
    owners: 'read',
    bury: 'write',
    tombstones: 'read',
    isBuried: 'read',
    unbury: 'write',
  },
  decisions: {
    all: 'read',
    pin: 'write',
    unpin: 'write',
    switchAutoDeploy: 'write',
    hold: 'write',
    resume: 'write',
  },
  placements: { list: 'read', puts: 'read', saveLeft: 'write', move: 'write', forget: 'write' },
  promotions: { read: 'read', ripen: 'write', approve: 'write' },
  events: { newest: 'read', after: 'read', ofBundle: 'read' },
  outbox: {
    configure: 'write',
    queue: 'write',
    heads: 'read',
    message: 'read',
    sent: 'write',
    failed: 'write',
    park: 'write',
    list: 'read',
    resend: 'write',
    counts: 'read',
  },
  facts: { get: 'read', set: 'write' },
}
