import type { Deployment, Hold } from './deployment.ts'
import type { BundleKind, Look, Release } from './release.ts'

/** One bundle as `status` and `/api/v1/bundles` show it. */
export interface BundleStatus {
  name: string
  kind: BundleKind
  /** `ghcr.io/acme/policies` and what is followed there. */
  store: string
  follow: string
  current: Release | null
  /** The newest look; null before the first. */
  look: Look | null
  looking: boolean
  nextLookAt: number | null
  deployments: Deployment[]
  /** Since when and why nothing of it is deployed; null where nothing is held. */
  held: Omit<Hold, 'bundle'> | null
  /** `ok`: serving and the last look was well; `stale`: serving, but the last look failed or refused; `empty`: nothing to serve yet. */
  health: 'ok' | 'stale' | 'empty'
}
