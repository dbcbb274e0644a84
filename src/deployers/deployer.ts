import type { Logger } from '../lib/logger.ts'
import type { Secret } from '../lib/secret.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { Sink, Source } from '../oci/target.ts'

/** What is to be at the place, and where its bytes are. */
export interface Deploy {
  release: Release
  /** What goes there: what is served, or what the store offered. */
  form: 'served' | 'source'
  /** `bundles/NAME` of the built-in registry: the release's manifests and what belongs to them. */
  source: Source
  /** The `address` of the store that the release came from: blobs may be there as well. */
  origin: string
  /** The same for one deployment however often it is tried. */
  idempotencyKey: string
}

/** What a place said when it was asked. */
export interface Observation {
  /** What it holds; null where it holds nothing. */
  digest: Digest | null
  /** All that was asked about is there, under every name it is to have: there is nothing to do. */
  settled: boolean
}

/** A kind of place that releases are put to. */
export interface Deployer {
  /** For messages: `registry.prod/policies/authz`. */
  readonly name: string
  /** As `Store.address`. */
  readonly address: string
  /** Asked before and after `deploy`. Undefined where the place cannot be asked. */
  observe(what: Deploy, signal: AbortSignal): Promise<Observation | undefined>
  /** May be called again for what is there already. */
  deploy(what: Deploy, signal: AbortSignal): Promise<void>
  close?(): Promise<void>
}

/** What a deployer is made with, besides its own config. `login` goes before what `registries` and the docker config say. */
export interface DeployerContext {
  registries: {
    repository(
      name: string,
      login: { username?: string | undefined; password?: Secret | undefined; plainHttp?: boolean | undefined },
    ): Sink
  }
  logger: Logger
}
