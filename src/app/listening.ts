import type { Config } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Lifecycle } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { createApi } from '../server/api/api.ts'
import { whyNotServed } from '../server/bundles/refusals.ts'
import { createBundleRoute } from '../server/bundles/route.ts'
import type { createBundleTable } from '../server/bundles/table.ts'
import type { createGuard } from '../server/guard/guard.ts'
import { createHttpServer, type HttpLimits, type HttpServerOptions } from '../server/http.ts'
import { createSlots, defaultDownloads } from '../server/slots.ts'
import type { TlsFiles } from '../server/tls.ts'
import type { Control } from '../server/types.ts'
import { createV2Route } from '../server/v2/route.ts'
import type { Cors } from '../server/watcher/cors.ts'
import { createWatcherRoute } from '../server/watcher/route.ts'
import { createWebhookRoute } from '../server/webhooks/route.ts'
import { boundByDescriptors } from './descriptors.ts'
import type { Serving } from './serving.ts'
import type { Storage } from './storage.ts'

const pageMax = 1000

type ServerParts = Pick<Storage, 'registry' | 'state'> & {
  config: Pick<Config, 'server'>
  clock: Clock
  logger: Logger
  /** Longshore's own. */
  version: string
  metrics: Metrics
  guard: ReturnType<typeof createGuard>
  cors: Cors
  table: ReturnType<typeof createBundleTable>
  control: Control
  serving: Pick<Serving, 'hold'>
}

/** Everything that HTTP answers. Resolves to the URL for clients on this machine. */
export async function openServer(parts: ServerParts, lifecycle: Lifecycle): Promise<string> {
  const { config, registry, state, guard, cors, table, control, serving, clock, logger, metrics, version } = parts
  const { limits } = config.server
  const { waitMaxMs: maxWaitMs, maxWaiting: maxWaiters, stallTimeoutMs: stallMs } = limits
  const { maxManifestBytes, maxBlobBytes, maxDownloads } = limits
  const downloads = createSlots({ ...defaultDownloads, max: maxDownloads, clock })
  const bundles = createBundleRoute({
    ...{ table, clock, logger, metrics, downloads, limits: { maxWaitMs, maxWaiters, stallMs } },
    findRelease: (bundle, digest) => state.bundles.releaseByDigest(bundle, digest),
    readBlob: (bundle, digest) => registry.repository(`bundles/${bundle}`).readBlob(digest),
    missed: (bundle) => serving.hold(bundle),
  })
  const v2 = createV2Route({
    ...{ registry, clock, logger, metrics, downloads, limits: { maxManifestBytes, maxBlobBytes, pageMax } },
    whyHidden: (bundle) => whyNotServed(bundle, table.get(bundle))?.message,
    get challenge() {
      return guard.hasLogins
    },
  })
  const server = await createHttpServer({
    ...(await listeningOf(config.server, logger)),
    ...{ guard, cors, clock, logger, metrics },
    routes: {
      ...{ bundles, v2, watcher: createWatcherRoute({ control, clock, logger }) },
      webhooks: createWebhookRoute({ control, clock, logger, metrics }),
      api: createApi({ control, clock, metrics, logger, version }),
    },
  })
  lifecycle.defer('server', () => server.close())
  return server.url
}

/** Where it listens, and within which limits. */
export async function listeningOf(
  server: Config['server'],
  logger: Logger,
): Promise<Pick<HttpServerOptions, 'listen' | 'tls' | 'limits'>> {
  const { listen, tls } = server
  return { listen, limits: await httpLimits(server, logger), ...(tls === null ? {} : { tls: tlsFiles(tls) }) }
}

async function httpLimits({ limits, shutdownTimeoutMs }: Config['server'], logger: Logger): Promise<HttpLimits> {
  const { headersTimeoutMs, stallTimeoutMs: stallMs, idleTimeoutMs: keepAliveMs, maxConnectionsPerSource } = limits
  return {
    ...{ headersTimeoutMs, stallMs, keepAliveMs, maxConnectionsPerSource },
    minBytesPerSecond: limits.minRateBytes,
    maxConnections: await boundByDescriptors(limits.maxConnections, logger),
    // What is left of the time is for the rooms behind it.
    closeMs: shutdownTimeoutMs * 0.8,
  }
}

function tlsFiles({ cert, key, clientCa }: NonNullable<Config['server']['tls']>): TlsFiles {
  return { cert, key, ...(clientCa === null ? {} : { clientCa }) }
}
