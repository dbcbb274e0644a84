import { resolve } from 'node:path'
import type { DeployForm } from '../deployers/deployer.ts'
import type { DeployerConfig } from '../deployers/types.ts'
import type { BundleKind } from '../model/release.ts'
import { storeOf } from './check.ts'
import type {
  AccessConfig,
  BundleConfig,
  Config,
  ContentConfig,
  Grant,
  RegistryConfig,
  ServerConfig,
  StateConfig,
} from './config.ts'
import type { CheckedConfig } from './schema.ts'

/** From the file's words to the program's. Everything was checked before. `folder`: what paths are relative to. */
export function resolveConfig(checked: CheckedConfig, from: { file: string | null; folder: string }): Config {
  return {
    file: from.file,
    server: resolveServer(checked.server),
    log: checked.log,
    content: resolveContent(checked.content, from.folder),
    state: resolveState(checked.state),
    registries: Object.entries(checked.registries).map(([match, registry]) => resolveRegistry(match, registry)),
    stores: checked.stores,
    bundles: Object.entries(checked.bundles).map(([name, bundle]) => resolveBundle(name, bundle, checked)),
    deployers: checked.deployers,
    publishers: checked.publishers,
    webhooks: checked.webhooks,
    opa: { path: checked.opa.path ?? null },
    reconcile: checked.reconcile,
  }
}

function resolveContent(content: CheckedConfig['content'], folder: string): ContentConfig {
  const { path, quota, repository_quotas: quotas, gc } = content
  return {
    path: resolve(folder, path),
    quotaBytes: quota ?? null,
    repositoryQuotas: Object.entries(quotas).map(([pattern, maxBytes]) => ({ pattern, maxBytes })),
    gc: { schedule: gc.schedule, graceMs: gc.grace, untaggedMs: gc.untagged ?? null },
  }
}

function resolveState(state: CheckedConfig['state']): StateConfig {
  if (state.type === 'sqlite') return state
  const { type, url, password, tls, connections, lease } = state
  return {
    ...{ type, url, connections },
    password: password ?? null,
    tls: tls === undefined ? null : { ca: tls.ca ?? null, cert: tls.cert ?? null, key: tls.key ?? null },
    connectTimeoutMs: state.connect_timeout,
    statementTimeoutMs: state.statement_timeout,
    reconnectTimeoutMs: state.reconnect_timeout,
    lease: { durationMs: lease.duration, renewMs: lease.renew, pollMs: lease.poll },
  }
}

function resolveServer(server: CheckedConfig['server']): ServerConfig {
  const { tls, limits } = server
  return {
    listen: server.listen,
    publicUrl: server.public_url ?? null,
    corsOrigins: server.cors_origins,
    tls: tls === undefined ? null : { cert: tls.cert, key: tls.key, clientCa: tls.client_ca ?? null },
    access: server.access === undefined ? null : resolveAccess(server.access),
    limits: {
      waitMaxMs: limits.wait_max,
      maxManifestBytes: limits.max_manifest,
      maxBlobBytes: limits.max_blob,
      bundleMemoryBytes: limits.bundle_memory,
      uploadExpiryMs: limits.upload_expiry,
      maxUploads: limits.max_uploads,
      maxDownloads: limits.max_downloads,
      maxWaiting: limits.max_waiting,
      maxConnections: limits.max_connections,
      maxConnectionsPerSource: limits.max_connections_per_source ?? Math.ceil(limits.max_connections * 0.75),
      headersTimeoutMs: limits.headers_timeout,
      idleTimeoutMs: limits.idle_timeout,
      stallTimeoutMs: limits.stall_timeout,
      minRateBytes: limits.min_rate,
    },
    shutdownTimeoutMs: server.shutdown_timeout,
    readyTimeoutMs: server.ready_timeout,
  }
}

function resolveAccess(access: NonNullable<CheckedConfig['server']['access']>): AccessConfig {
  const anonymous: Grant[] = access.anonymous === undefined ? [] : [{ action: access.anonymous, pattern: null }]
  return {
    anonymous,
    tokens: Object.entries(access.tokens).map(([name, { token, allow }]) => ({ name, token, allow })),
    users: Object.entries(access.users).map(([name, { password_hash: passwordHash, allow }]) => ({
      name,
      passwordHash,
      allow,
    })),
  }
}

function resolveRegistry(match: string, registry: CheckedConfig['registries'][string]): RegistryConfig {
  return {
    match,
    username: registry.username ?? null,
    password: registry.password ?? null,
    token: registry.token ?? null,
    identityToken: registry.identity_token ?? null,
    plainHttp: registry.plain_http ?? null,
    ca: registry.ca ?? null,
    cert: registry.cert ?? null,
    key: registry.key ?? null,
    requestsPerSecond: registry.requests_per_second ?? null,
    concurrency: registry.concurrency ?? null,
  }
}

function resolveBundle(name: string, bundle: CheckedConfig['bundles'][string], checked: CheckedConfig): BundleConfig {
  const store = storeOf(checked, bundle)
  if (store === undefined) throw new Error(`bundle ${name} has no store, though the config was checked`)
  const { kind, follow, platform, pull, schedule, deploy, keep, aliases, limits } = bundle
  return {
    name,
    kind,
    store,
    storeName: typeof bundle.store === 'string' ? bundle.store : null,
    follow,
    allowDowngrade: bundle.allow_downgrade,
    platform,
    pull,
    schedule,
    deploy: deploy.map(({ to, form, path, auto_deploy: autoDeploy, drift, retry }) => ({
      to,
      form: form ?? usualForm(kind, checked.deployers[to]!),
      path: path ?? null,
      autoDeploy,
      drift,
      retry: { maxAttempts: retry.max_attempts ?? null, maxIntervalMs: retry.max_interval },
    })),
    autoDeploy: bundle.auto_deploy,
    webhooks: bundle.webhooks,
    publish: bundle.publish,
    keep,
    aliases,
    limits: {
      maxEntries: limits.max_entries,
      maxUnpackedBytes: limits.max_unpacked,
      maxRatio: limits.max_ratio,
      maxFileBytes: limits.max_file,
    },
  }
}

/** An OPA bundle is its files; of what is only files, each layer is one. */
function usualForm(kind: BundleKind, deployer: DeployerConfig): DeployForm {
  if (deployer.type === 'oci') return 'served'
  if (deployer.type === 'nomad') return 'source'
  if (deployer.type !== 'directory') return 'tarball'
  return deployer.form ?? (kind === 'files' ? 'layers' : 'unpacked')
}
