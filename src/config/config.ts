import type { DeployForm } from '../deployers/deployer.ts'
import type { DeployerConfig } from '../deployers/types.ts'
import type { Schedule } from '../lib/schedule.ts'
import type { Secret } from '../lib/secret.ts'
import type { Follow } from '../model/follow.ts'
import type { BundleKind } from '../model/release.ts'
import type { PublisherConfig } from '../publishers/types.ts'
import type { StoreConfig } from '../stores/types.ts'
import type { WebhookConfig } from '../webhooks/types.ts'

/** What `longshore.yaml` says, checked and with every default filled in: durations in ms, sizes in bytes, paths absolute. */
export interface Config {
  /** Absolute; null when there is no file: then everything is the default, and `bundles` holds the example. */
  file: string | null
  server: ServerConfig
  log: LogConfig
  content: ContentConfig
  state: StateConfig
  registries: RegistryConfig[]
  /** Shared stores by name; each bundle carries its own resolved `store` too. */
  stores: Record<string, StoreConfig>
  /** In the file's order. */
  bundles: BundleConfig[]
  deployers: Record<string, DeployerConfig>
  publishers: Record<string, PublisherConfig>
  webhooks: Record<string, WebhookConfig>
  /** The `opa` program that checks Rego; null where none is configured. */
  opa: { path: string | null }
  /** `concurrency`: looks under way at one time. */
  reconcile: { concurrency: number }
}

export type StateConfig = { type: 'sqlite' } | PostgresConfig

export interface PostgresConfig {
  type: 'postgres'
  url: Secret
  /** Goes before the one in the URL. */
  password: Secret | null
  /** Paths of PEM files; null where only the URL says whether TLS is spoken. */
  tls: { ca: string | null; cert: string | null; key: string | null } | null
  /** At most, beside one for the lease. */
  connections: number
  connectTimeoutMs: number
  statementTimeoutMs: number
  /** How long what is asked waits for a database that cannot be reached. */
  reconnectTimeoutMs: number
  /** `pollMs`: how often one that stands by asks for it. */
  lease: { durationMs: number; renewMs: number; pollMs: number }
}

export interface ContentConfig {
  path: string
  /** Null: no limit. */
  quotaBytes: number | null
  /** The longest that matches counts. In a pattern `*` stands for any characters, `/` too. */
  repositoryQuotas: { pattern: string; maxBytes: number }[]
  /** `graceMs`: what was used this recently is not collected. `untaggedMs`: how long what no tag needs stays; null: for ever. */
  gc: { schedule: Schedule; graceMs: number; untaggedMs: number | null }
}

export interface ServerConfig {
  /** An IPv6 host comes without brackets; port 0 means any free one. */
  listen: { host: string; port: number }
  /** Without a slash at the end. */
  publicUrl: string | null
  /** Whose pages may use the routes of the registry watcher. */
  corsOrigins: string[]
  /** Paths of PEM files. */
  tls: { cert: string; key: string; clientCa: string | null } | null
  /** Null where nothing is configured: loopback may do everything. */
  access: AccessConfig | null
  limits: ServerLimits
  /** How long a stop waits for what is under way. */
  shutdownTimeoutMs: number
  /** After this long a bundle without a release no longer keeps the server from being ready. */
  readyTimeoutMs: number
}

export interface ServerLimits {
  /** The longest that a long poll is held, whatever the client asks for. */
  waitMaxMs: number
  maxManifestBytes: number
  maxBlobBytes: number
  /** Bundles up to this total are served from memory. */
  bundleMemoryBytes: number
  /** An upload that nobody touches is dropped after this long. */
  uploadExpiryMs: number
  /** Uploads open at one time. */
  maxUploads: number
  /** Answers read from disk at one time. */
  maxDownloads: number
  /** Long polls held at one time. */
  maxWaiting: number
  maxConnections: number
  /** From one address. */
  maxConnectionsPerSource: number
  /** For a TLS handshake, and for the head of a request. */
  headersTimeoutMs: number
  /** Between two requests. */
  idleTimeoutMs: number
  /** A request or answer on which nothing moves for so long is cut. */
  stallTimeoutMs: number
  /** Nor may less move in a second, on average over that time. */
  minRateBytes: number
}

export interface AccessConfig {
  anonymous: Grant[]
  tokens: { name: string; token: Secret; allow: Grant[] }[]
  /** `passwordHash` is bcrypt's, as `htpasswd -B` writes it. */
  users: { name: string; passwordHash: Secret; allow: Grant[] }[]
}

export interface Grant {
  action: 'read' | 'push' | 'delete' | 'deploy' | 'admin'
  /** A name in which `*` stands for any characters, `/` too; null for every name. */
  pattern: string | null
}

export interface LogConfig {
  level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** `auto`: readable lines on a terminal, JSON elsewhere. */
  format: 'auto' | 'json' | 'pretty'
}

/** How to talk to the registries that `match` names; of several, the longest that has a key gives it. */
export interface RegistryConfig {
  /** `ghcr.io`, `ghcr.io/acme` or `*`. */
  match: string
  username: string | null
  password: Secret | null
  /** A bearer token that is sent as it is. */
  token: Secret | null
  /** An OAuth2 refresh token. */
  identityToken: Secret | null
  /** Null: plain HTTP for loopback hosts without a `ca`, else HTTPS. */
  plainHttp: boolean | null
  /** Paths of PEM files. */
  ca: string | null
  cert: string | null
  key: string | null
  requestsPerSecond: number | null
  /** Requests under way at one time. */
  concurrency: number | null
}

export interface BundleConfig {
  name: string
  kind: BundleKind
  store: StoreConfig
  /** The key of `stores` that it came from; null where the bundle spells its store out. */
  storeName: string | null
  follow: Follow
  /** Whether an older version is taken where the one that ran is gone. */
  allowDowngrade: boolean
  /** `os/architecture[/variant]`. */
  platform: string
  /** False: nothing is fetched of it, it is only watched. */
  pull: boolean
  schedule: Schedule
  deploy: DeployConfig[]
  /** False: no place gets new releases by itself. */
  autoDeploy: boolean
  /** Keys of `webhooks`. */
  webhooks: string[]
  /** Keys of `publishers`. */
  publish: string[]
  /** Releases whose bytes are kept. */
  keep: number
  /** Exact URL paths. */
  aliases: string[]
  limits: BundleLimits
}

export interface DeployConfig {
  /** A key of `deployers`. */
  to: string
  form: DeployForm
  /** Where in the place; null for its root. */
  path: string | null
  /** Whether new releases go there by themselves. */
  autoDeploy: boolean
  /** What comes of it when somebody else changed what was put there. */
  drift: 'restore' | 'report'
  retry: {
    /** Null: for ever. */
    maxAttempts: number | null
    maxIntervalMs: number
  }
}

/** The same as artifact's `ArchiveLimits`. */
export interface BundleLimits {
  maxEntries: number
  maxUnpackedBytes: number
  maxRatio: number
  maxFileBytes: number
}
