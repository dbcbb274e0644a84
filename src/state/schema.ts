import type { Generated, Kysely } from 'kysely'

/** The tables as the newest migration leaves them. Times are milliseconds since the epoch, flags are 0 or 1. */
export interface Schema {
  facts: { key: string; value: string }
  /** `version` grows with each change of the repository; `indexed` is the version that its index on disk shows. */
  repositories: { name: string; version: number; indexed: number }
  manifests: ManifestTable
  tags: { repository: string; tag: string; digest: string }
  /** What each manifest names. */
  links: { repository: string; digest: string; target: string; kind: 'blob' | 'manifest' }
  blobs: { repository: string; digest: string; size: number; usedAt: number }
  /** `newest` is the number of the newest release; `followed` what counted at the last look that was well. */
  bundles: { name: string; newest: number; followed: string | null }
  releases: ReleaseTable
  /** `verdict` is JSON. */
  memos: { bundle: string; fingerprint: string; recipe: string; verdict: string; at: number }
  looks: LookTable
  deployments: DeploymentTable
  /** Blobs that no repository has, and whose files are about to be removed. */
  tombstones: { digest: string; at: number }
  holds: WordTable
  /** `to` is JSON. */
  pins: WordTable & { to: string }
  /** `place` is empty where it is about all places of the bundle. */
  switches: WordTable & { place: string; on: number }
  approvals: ApprovalTable
  /** `place` is empty where none was asked for. */
  ripe: { bundle: string; source: string; place: string; release: number; at: number }
  /** Releases that were put to a place, or that an attempt began to put there. */
  puts: { bundle: string; place: string; release: number }
  placements: PlacementTable
  events: EventTable
  /** `cursor`: the last event that was looked at for it. */
  receivers: { publisher: string; cursor: number }
  messages: MessageTable
  rollouts: RolloutTable
}

interface ManifestTable {
  repository: string
  digest: string
  mediaType: string
  size: number
  artifactType: string | null
  subject: string | null
  /** JSON. */
  annotations: string | null
  putAt: number
  /** When a tag, or a manifest that named it or that it referred to, was last taken off it; null where that is not known. */
  neededUntil: number | null
  /** Order of arrival. */
  serial: Generated<number>
}

interface ReleaseTable {
  bundle: string
  number: number
  bundleDigest: string | null
  size: number
  manifestDigest: string
  sourceDigest: string
  form: string
  version: string
  revision: string | null
  activatedAt: number
  reason: string
  kept: number
}

interface LookTable {
  bundle: string
  startedAt: number
  endedAt: number
  outcome: string
  trigger: string
  version: string | null
  fingerprint: string | null
  message: string | null
  code: string | null
  failures: number
  nextAt: number | null
}

interface DeploymentTable {
  bundle: string
  place: string
  desired: number | null
  deployed: number | null
  observed: string | null
  state: string
  attempts: number
  nextAttemptAt: number | null
  lastError: string | null
  lastAttemptAt: number | null
  deployedAt: number | null
  forced: number
  forcedDone: number
}

interface WordTable {
  bundle: string
  by: string
  at: number
  reason: string
}

/** `source` is the other bundle, `release` one of its numbers. */
interface ApprovalTable extends WordTable {
  source: string
  release: number
  digest: string
}

/** `leftAt` is null while the config has it. */
interface PlacementTable {
  bundle: string
  place: string
  form: string
  path: string | null
  address: string
  leftAt: number | null
  deployed: number | null
  deployedAt: number | null
  attempts: number
  nextAttemptAt: number | null
  lastError: string | null
}

interface EventTable {
  seq: Generated<number>
  at: number
  type: string
  bundle: string
  place: string | null
  by: string | null
  /** JSON. */
  data: string
}

interface MessageTable {
  publisher: string
  /** The event's. */
  seq: number
  bundle: string
  /** JSON. */
  event: string
  state: string
  attempts: number
  queuedAt: number
  nextAttemptAt: number | null
  lastError: string | null
}

interface RolloutTable {
  bundle: string
  place: string
  release: number
  /** Which of the times that a person asked for it; 0 where nobody did. */
  forced: number
  by: string | null
  begunAt: number
  failures: number
}

/** A database or a transaction in it. */
export type Db = Kysely<Schema>
