import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { Source } from '../oci/target.ts'

/** What is to be at the place, and where its bytes are. */
export interface Deploy {
  release: Release
  /** `bundles/NAME` of the built-in registry: the release's manifest and what belongs to it. */
  source: Source
  /** The same for one deployment however often it is tried. */
  idempotencyKey: string
}

/** A kind of place that releases are put to. */
export interface Deployer {
  /** For messages: `registry.prod/policies/authz`. */
  readonly name: string
  /** As `Store.address`. */
  readonly address: string
  /** What the place holds now; null where it holds nothing, undefined where it cannot be asked. */
  observe(signal: AbortSignal): Promise<Digest | null | undefined>
  /** Returns what the place holds afterwards, read back. */
  deploy(what: Deploy, signal: AbortSignal): Promise<Digest | undefined>
  /** The digest that `observe` would give if `release` were there. */
  expects(what: Deploy, signal: AbortSignal): Promise<Digest | undefined>
  close?(): Promise<void>
}
