import type { Logger } from '../lib/logger.ts'
import type { Secret } from '../lib/secret.ts'
import type { Exact } from '../model/follow.ts'
import type { Promotion, PromotionTerms } from '../model/promotion.ts'
import type { Release } from '../model/release.ts'
import type { Descriptor, Sink, Source } from '../oci/target.ts'

/** What a store offers now; nothing downloaded yet. */
export interface Candidate {
  /** What the store calls it: a tag, a commit. */
  version: string
  /** Opaque; the same content has the same one. For OCI: the manifest's digest. */
  fingerprint: string
  /** Whose word let it go on, where one had to. */
  by?: string
}

/** Where a bundle's content comes from. */
export interface Store {
  /** For messages: `ghcr.io/acme/policies`. */
  readonly name: string
  /** Undefined when the store has nothing of this name. Throws RemoteError. */
  resolve(version: Exact, signal: AbortSignal): Promise<Candidate | undefined>
  /** The names of all there is, for choosing from; much dearer than `resolve`. */
  versions(signal: AbortSignal): Promise<string[]>
  /** When it was made, as it says itself, in milliseconds since the epoch; undefined where it does not. */
  createdAt(candidate: Candidate, options: { platform: string; signal: AbortSignal }): Promise<number | undefined>
  /** Puts the candidate into `into`, verified: the manifest that counts (an index's member for `platform`), untagged, its blobs, its referrers. */
  fetch(candidate: Candidate, into: Sink, options: { platform: string; signal: AbortSignal }): Promise<Fetched>
  /** The repository that it reads: what is not pulled goes on from there. */
  open(): Promise<Source>
  /** The repository of the built-in registry it reads, so that a push there starts a look; undefined elsewhere. */
  readonly watches?: string
  /** For refusing a deployer that would write where its bundle's store reads: `host/repository` or a folder. */
  readonly address: string
  /** Where it offers what was promoted from another bundle. */
  readonly promoter?: Promoter
  close?(): Promise<void>
}

/** Says how far another bundle's releases are on their way here. */
export interface Promoter {
  readonly terms: PromotionTerms
  standing(): Promise<Promotion>
  /** As it was when somebody last asked. */
  readonly last: Promotion | null
  /** The other bundle's release that counts now; `by`: who agreed to it, where that is asked for. */
  promoted(): Promise<{ release: Release; by?: string } | undefined>
}

/** `bytes` is what was transferred for it. */
export interface Fetched {
  manifest: Descriptor
  bytes: number
}

/** What a store is made with, besides its own config. */
export interface StoreContext {
  /** Where what another bundle has comes from, if nothing of it is kept here. */
  origin?: Store
  registries: { repository(name: string, login: Login): Source }
  /** A repository of the built-in registry. */
  local: (repository: string) => Source
  /** Of another bundle's releases, to the bundle whose store this is. */
  promotion: (terms: PromotionTerms) => Promoter
  logger: Logger
}

/** Goes before what `registries` and the docker config say. */
export interface Login {
  username?: string | undefined
  password?: Secret | undefined
  plainHttp?: boolean | undefined
}
