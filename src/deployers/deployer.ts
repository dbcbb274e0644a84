import type { ArchiveLimits } from '../artifact/types.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Secret } from '../lib/secret.ts'
import type { Release } from '../model/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { Sink, Source } from '../oci/target.ts'

/**
 * What goes to a place. To a registry: what is served, or what the store offered. To a folder: the layers of what the store
 * offered, the files of what is served, or that as one file.
 */
export type DeployForm = 'served' | 'source' | 'layers' | 'unpacked' | 'tarball'

/** How one bundle goes to a place. */
export interface DeployTo {
  form: DeployForm
  /** Where in the place, where it has folders: absolute or relative to its root; null for the root. */
  path: string | null
  /** What an archive of the bundle may hold. */
  limits: ArchiveLimits
}

/** What is to be at the place, and where its bytes are. */
export interface Deploy extends DeployTo {
  release: Release
  /** What the config calls it. */
  place: string
  /** The release's manifests and what belongs to them: `bundles/NAME` of the built-in registry, or, where nothing is pulled, the store's repository. */
  source: Source
  /** The `address` of the store that the release came from: blobs may be there as well. */
  origin: string
  /** A person asked for it, whatever is there already. */
  isForced: boolean
  /** The same for one deployment however often it is tried. */
  idempotencyKey: string
  /** Asked before each step that others see: throws where another longshore acts by now, and then nothing is done any more. */
  check: () => Promise<void>
  /** A line, or several, for the log of this attempt: what was done, and what the place answered. Secrets are taken out. */
  say: (text: string) => void
}

/** What is to be taken away from a place that left the config. */
export interface Removal {
  bundle: string
  place: string
  form: DeployForm
  /** As in `DeployTo`. */
  path: string | null
  /** The bundle still goes to the place, under another path: what is there stays. */
  movedTo?: Pick<DeployTo, 'path'>
  /** All that may have been put there; their bytes may be gone by now. */
  releases: readonly Release[]
  /** For the log of the attempt. */
  say: Deploy['say']
  /** As in `Deploy`. */
  check: Deploy['check']
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
  /** Most of `deploy` is waiting for the place: it is ended when a newer release is to be there, which takes its place. */
  readonly yields?: boolean
  /** Asked before and after `deploy`. Undefined where the place cannot be asked. */
  observe(what: Deploy, signal: AbortSignal): Promise<Observation | undefined>
  /** May be called again for what is there already. Throws FinalError where the same would fail again whatever happens. */
  deploy(what: Deploy, signal: AbortSignal): Promise<void>
  /** Takes away all that was put there of a bundle, and nothing else. May be called again for what is gone already. */
  remove?(what: Removal, signal: AbortSignal): Promise<void>
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
  clock: Clock
  logger: Logger
  /** For what others wrote, before it gets into an error. */
  redactor: Pick<Redactor, 'redact'>
}
