import type { Hold, Pin, Switch } from './decision.ts'
import type { Deployment } from './deployment.ts'
import type { Promotion } from './promotion.ts'
import type { BundleKind, Look, Release } from './release.ts'

/** One bundle as `status` and `/api/v1/bundles` show it. */
export interface BundleStatus {
  name: string
  /** Null where nothing is pulled: then nobody looks what it is. */
  kind: BundleKind | null
  /** `ghcr.io/acme/policies` and what is followed there. */
  store: string
  follow: string
  current: Release | null
  /** The newest look; null before the first. */
  look: Look | null
  looking: boolean
  nextLookAt: number | null
  deployments: PlaceStatus[]
  /** By whom, since when and why nothing of it is deployed (`*`: of any bundle); null where nothing is held. */
  held: Hold | null
  /** How far releases of the bundle are that this one is promoted from; null where it is from none, or pinned. */
  promotion: Promotion | null
  /** What goes before `follow`; null where nothing does. */
  pin: Pin | null
  /** `ok`: serving and the last look was well; `stale`: serving, but the last look failed or refused; `empty`: nothing to serve yet. */
  health: 'ok' | 'stale' | 'empty'
}

export interface PlaceStatus extends Deployment {
  /** Whether new releases go there by themselves. */
  autoDeploy: boolean
  /** Who switched that; null where it is as the config says. */
  switched: Switch | null
}
