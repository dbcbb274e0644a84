import { request as httpRequest, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http'
import { afterEach } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger, type Logger } from '../../../src/lib/logger.ts'
import { createMetrics, type Metrics } from '../../../src/lib/metrics.ts'
import type { Explanation } from '../../../src/model/explain.ts'
import type { Message } from '../../../src/model/message.ts'
import type { Steering } from '../../../src/model/steering.ts'
import type { BundleStatus } from '../../../src/model/status.ts'
import type { Look, Release } from '../../../src/model/release.ts'
import { digestOf, type Digest } from '../../../src/oci/digest.ts'
import { createApi } from '../../../src/server/api/api.ts'
import { createBundleRoute, type BundleRouteOptions } from '../../../src/server/bundles/route.ts'
import { createBundleTable, type BundleTable } from '../../../src/server/bundles/table.ts'
import { createGuard, type Guard, type GuardOptions } from '../../../src/server/guard/guard.ts'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../../src/server/http.ts'
import { createCors } from '../../../src/server/watcher/cors.ts'
import { createWatcherRoute } from '../../../src/server/watcher/route.ts'
import { createWebhookRoute } from '../../../src/server/webhooks/route.ts'
import type { Control, Exchange, Route } from '../../../src/server/types.ts'
import { FakeClock } from '../../support/clock.ts'

export const adminToken = 'the-admin-token-of-this-test'

export interface TestServer {
  url: string
  server: HttpServer
  table: BundleTable
  guard: Guard
  metrics: Metrics
  /** Time for those who wait; the server's own runs by itself. */
  clock: FakeClock
  /** Every release by digest, found when it is asked for by digest, read when it is not in memory. */
  stored: Map<Digest, { release: Release; bytes: Buffer }>
  /** Requests that reached the registry's route. */
  v2: Exchange[]
}

export interface TestServerOptions {
  bundles?: { name: string; aliases?: string[]; pull?: boolean }[]
  guard?: Partial<GuardOptions>
  control?: Partial<Control>
  route?: Partial<BundleRouteOptions>
  http?: Partial<Omit<HttpServerOptions, 'routes'>>
  v2?: Route
  corsOrigins?: string[]
  maxMemoryBytes?: number
  logger?: Logger
}

const started: TestServer[] = []
afterEach(async () => {
  for (const { server, guard } of started.splice(0)) await Promise.all([server.close(), guard.close()])
})

export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const clock = new FakeClock()
  const metrics = createMetrics(clock)
  const logger = options.logger ?? silentLogger
  const stored: TestServer['stored'] = new Map()
  const v2: Exchange[] = []
  const { maxMemoryBytes } = options
  const table = createBundleTable({ metrics, ...(maxMemoryBytes !== undefined && { maxMemoryBytes }) })
  const names = options.bundles ?? [{ name: 'authz' }]
  table.configure(names.map(({ name, aliases = [], pull = true }) => ({ name, aliases, pull })))
  const bundles = createBundleRoute({
    table,
    findRelease: async (_bundle, digest) => stored.get(digest)?.release,
    async *readBlob(_bundle, digest) {
      const found = stored.get(digest)
      if (found === undefined) throw new Error('no such blob')
      for (let at = 0; at < found.bytes.length; at += 65_536) yield found.bytes.subarray(at, at + 65_536)
    },
    clock,
    logger,
    metrics,
    ...options.route,
  })
  const cors = createCors(options.corsOrigins ?? [])
  const guard = createGuard({
    access: null,
    adminToken,
    listenHost: '127.0.0.1',
    isInvited: (request) => cors.isInvited(request),
    clock: systemClock,
    logger,
    metrics,
    ...options.guard,
  })
  const control = createControl(options.control)
  const api = createApi({ control, clock, metrics, logger, version: '1.2.3' })
  const answerV2: Route = async (exchange) => {
    v2.push(exchange)
    exchange.response.end('the registry')
  }
  const server = await createHttpServer({
    listen: { host: '127.0.0.1', port: 0 },
    guard,
    cors,
    routes: {
      bundles,
      v2: options.v2 ?? answerV2,
      watcher: createWatcherRoute({ control, clock, logger }),
      api,
      webhooks: createWebhookRoute({ control, clock, logger, metrics }),
    },
    logger,
    metrics,
    clock: systemClock,
    ...options.http,
  })
  const test = { url: server.url, server, table, guard, metrics, clock, stored, v2 }
  started.push(test)
  return test
}

/** Makes content current, in memory unless told. */
export function release(
  server: TestServer,
  bundle: string,
  content: string | Buffer,
  where: 'memory' | 'disk' = 'memory',
) {
  const bytes = Buffer.from(content)
  const made = releaseOf(bundle, bytes)
  server.stored.set(made.bundleDigest!, { release: made, bytes })
  server.table.activate({ release: made, bytes: where === 'memory' ? bytes : undefined })
  return { digest: made.bundleDigest!, etag: `"${made.bundleDigest}"` }
}

let numbers = 0

export function releaseOf(bundle: string, bytes: Buffer): Release {
  const digest = digestOf(bytes)
  return {
    bundle,
    number: ++numbers,
    bundleDigest: digest,
    size: bytes.length,
    manifestDigest: digestOf(`manifest of ${digest}`),
    sourceDigest: digestOf(`manifest of ${digest}`),
    form: 'original',
    version: '1.0.0',
    revision: null,
    activatedAt: Date.UTC(2026, 0, 1),
    reason: 'first',
    kept: true,
  }
}

export function statusOf(name: string, parts: Partial<BundleStatus> = {}): BundleStatus {
  return {
    name,
    kind: 'opa',
    store: 'ghcr.io/acme/policies',
    follow: 'latest',
    current: releaseOf(name, Buffer.from(name)),
    look: lookOf(name),
    looking: false,
    nextLookAt: 1,
    deployments: [
      {
        bundle: name,
        place: 'prod',
        desired: 1,
        deployed: null,
        observed: null,
        state: 'pending',
        attempts: 0,
        nextAttemptAt: null,
        lastError: null,
        lastAttemptAt: null,
        deployedAt: null,
        forced: 0,
        forcedDone: 0,
        autoDeploy: true,
        switched: null,
      },
    ],
    held: null,
    promotion: null,
    pin: null,
    health: 'ok',
    ...parts,
  }
}

export function explanationOf(bundle: BundleStatus): Explanation {
  return {
    bundle,
    tags: {
      ...{ follow: 'semver ^1', askedAt: 1, total: 3, error: null },
      verdicts: [
        { tag: 'v1.0.0', verdict: { code: 'taken' } },
        { tag: 'latest', verdict: { code: 'not_a_version' } },
      ],
    },
    places: [{ place: 'prod', verdict: { code: 'waiting', release: 1 } }],
  }
}

export function lookOf(bundle: string, parts: Partial<Look> = {}): Look {
  return {
    bundle,
    startedAt: 1,
    endedAt: 2,
    outcome: 'unchanged',
    trigger: 'request',
    version: 'latest',
    fingerprint: null,
    message: null,
    code: null,
    failures: 0,
    nextAt: null,
    ...parts,
  }
}

export function steeringOf(): Steering {
  return {
    pin: async (bundle, to) => ({ to, look: lookOf(bundle) }),
    unpin: async (bundle) => ({ wasPinned: true, look: lookOf(bundle) }),
    approve: async (bundle) => ({
      ...{ release: 7, version: 'v1.2.0', digest: digestOf('seven'), isNew: true, place: null, waiting: null },
      look: lookOf(bundle),
    }),
    rollback: async (bundle, release) => ({ to: { release: release ?? 7 }, look: lookOf(bundle) }),
    hold: async () => true,
    resume: async (bundle) => (bundle === '*' ? ['authz', 'team/a'] : [bundle]),
    switchAutoDeploy: async () => undefined,
    deploy: async (bundle) => statusOf(bundle).deployments,
    plan: async (bundle) => [
      {
        ...{ bundle, place: 'prod', desired: 1, deployed: null, observed: null },
        does: 'deploy',
        why: 'it is not there',
      },
    ],
  }
}

export function messageOf(bundle: string, parts: Partial<Message> = {}): Message {
  return {
    publisher: 'events',
    event: { seq: 7, at: 1, type: 'deployments.held', bundle, place: null, by: 'ann', data: {} },
    ...{ state: 'parked', attempts: 3, queuedAt: 1, nextAttemptAt: null, lastError: 'no' },
    ...parts,
  }
}

function createControl(parts: Partial<Control> = {}): Control {
  return {
    status: async () => [statusOf('authz'), statusOf('team/a')],
    releases: async (bundle) => [releaseOf(bundle, Buffer.from('a'))],
    look: async (bundle) => (['authz', 'team/a'].includes(bundle) ? lookOf(bundle) : undefined),
    explain: async (bundle) => (['authz', 'team/a'].includes(bundle) ? explanationOf(statusOf(bundle)) : undefined),
    left: () => [],
    tags: async () => ['v1.0.0', 'latest'],
    knownTags: () => ['v1.0.0', 'latest'],
    reload: async () => ({ added: ['new'], changed: [], removed: [] }),
    steering: steeringOf(),
    events: async (bundle) => [
      { seq: 1, at: 1, type: 'deployments.held', bundle, place: null, by: 'ann', data: { reason: 'freeze' } },
    ],
    feed: { newest: async () => 0, after: async () => [], hear: () => () => undefined },
    webhook: () => undefined,
    messages: {
      publishers: () => ['events'],
      list: async () => [messageOf('authz')],
      resend: async (keys) => [...keys],
    },
    collect: async ({ dryRun }) => ({
      ...{ dryRun, releases: 0, manifests: 1, blobs: 2, files: 3, bytes: 4, left: { files: 5, bytes: 6 }, items: [] },
    }),
    backUp: async ({ to }) => ({ path: to, blobs: 1, bytes: 2, missing: [] }),
    verify: async () => ({ blobs: 2, bytes: 3, found: 0, findings: [], lookingAt: [] }),
    verifying: () => null,
    unready: async () => [],
    warnings: () => [],
    ...parts,
  }
}

export interface TestAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** Sends exactly these headers, the host and its port too; each request on a connection of its own. */
export function ask(
  url: string,
  headers: OutgoingHttpHeaders = {},
  options: { method?: string; body?: string; signal?: AbortSignal; localAddress?: string } = {},
): Promise<TestAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<TestAnswer>()
  const { body: sent, ...rest } = options
  const request = httpRequest(url, { headers, agent: false, ...rest }, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () =>
      resolve({
        status: response.statusCode!,
        headers: response.headers,
        body: Buffer.concat(chunks).toString(),
      }),
    )
  })
  request.on('error', reject)
  request.end(sent)
  return promise
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
}
