import type { IncomingMessage, RequestListener, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import { nodeHttp } from '../lib/http.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Api } from './api/api.ts'
import type { BundleRoute } from './bundles/route.ts'
import { boundConnections, type Connections } from './connections.ts'
import { createRequestIds, nobody, RequestExchange } from './exchange.ts'
import type { Admission, Guard } from './guard/guard.ts'
import { checkHead, createPipelineCheck } from './head.ts'
import { answerClientError, spareUnsent, start, stop, urlOf } from './listen.ts'
import { challenge, refuse, type Refusal } from './refusal.ts'
import type { Cors } from './watcher/cors.ts'
import { isWatcherPath } from './watcher/path.ts'
import type { TlsFiles } from './tls.ts'
import type { Caller, Route } from './types.ts'
import { isWebhookPath } from './webhooks/route.ts'

export interface HttpServerOptions {
  /** Port 0 takes any. */
  listen: { host: string; port: number }
  tls?: TlsFiles
  guard: Guard
  /** Pages of other origins that may use some of the routes. */
  cors: Cors
  routes: {
    bundles: BundleRoute
    v2: Route
    watcher: Route
    webhooks: Route
    /** Everything else. */
    api: Api
  }
  logger: Logger
  metrics: Pick<Metrics, 'answered' | 'limited'>
  clock: Clock
  limits?: HttpLimits
}

export interface HttpLimits {
  /** Until a request's head is complete, and a TLS handshake; 15 s unless said. */
  headersTimeoutMs?: number
  /** A connection on which nothing moves for this long during a request is cut; 2 min unless said. Being held as a long poll does not count. */
  stallMs?: number
  /** Nor may less than this move on average over that time; 1 KiB unless said. */
  minBytesPerSecond?: number
  /** How long an idle connection stays open; 10 s unless said: OPA opens a new one for each request. */
  keepAliveMs?: number
  /** 16 KiB unless said. */
  maxHeaderBytes?: number
  /** 16,000 unless said. */
  maxConnections?: number
  /** 12,000 unless said. */
  maxConnectionsPerSource?: number
  /** How long `close` waits for answers under way; 10 s unless said. */
  closeMs?: number
}

export const maxHeaderBytes = 16 * 1024
const checkEveryMs = 5_000

export interface HttpServer {
  /** For people and clients on this machine: `http://127.0.0.1:8085`. */
  readonly url: string
  /** Not ready from now on, and connections end with their answer; everything is still answered. */
  drain(): void
  /** Takes no more connections, answers who waits, finishes what is under way, within `closeMs`. */
  close(): Promise<void>
}

/** Listens and hands each request to its route. ConfigError when it cannot listen there, or the TLS files are no good. */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { tls, listen, limits = {}, clock, logger } = options
  const stallMs = limits.stallMs ?? 120_000
  const settings = serverOptions(limits)
  const dispatcher = createDispatcher(options, (request) => connections.receiving(request))
  const { server, keepFresh } =
    tls === undefined
      ? { server: nodeHttp().createServer(settings, dispatcher.dispatch), keepFresh: undefined }
      : await createTlsServer(tls, settings, dispatcher.dispatch)
  // Node would leave out the lines beyond its limit, and with them what a proxy adds at the end: we count ourselves.
  server.maxHeadersCount = 0
  const connections: Connections = boundConnections(server, tls !== undefined, {
    limits: {
      stallMs,
      minBytesPerSecond: limits.minBytesPerSecond ?? 1024,
      maxConnections: limits.maxConnections ?? 16_000,
      maxPerSource: limits.maxConnectionsPerSource ?? 12_000,
    },
    ...{ clock, logger, metrics: options.metrics },
  })
  server.on('clientError', answerClientError)
  spareUnsent(server, tls === undefined ? 'connection' : 'secureConnection')
  await start(server, listen)
  server.on('error', (error) => logger.error({ err: error }, 'the HTTP server failed'))
  const stopTls = keepFresh?.({ clock, logger })

  return {
    url: urlOf(server, listen.host, tls !== undefined),
    drain: () => dispatcher.drain(),
    async close() {
      stopTls?.()
      connections.close()
      dispatcher.drain()
      await Promise.all([options.routes.bundles.drain(), stop(server, clock, limits.closeMs ?? 10_000)])
      await options.routes.api.close()
    },
  }
}

/** Loaded only where it is used: OpenSSL's part of Node is large. */
async function createTlsServer(files: TlsFiles, settings: ServerOptions, dispatch: RequestListener) {
  const { createServer } = await import('node:https')
  const { keepTlsFresh, readTls } = await import('./tls.ts')
  const secure = await readTls(files)
  const clientCertificates = { requestCert: files.clientCa !== undefined, rejectUnauthorized: true }
  const server = createServer({ ...settings, ...secure, ...clientCertificates }, dispatch)
  const keepFresh = (parts: Parameters<typeof keepTlsFresh>[3]) => keepTlsFresh(server, files, secure, parts)
  return { server, keepFresh }
}

function serverOptions(limits: HttpLimits): ServerOptions & { handshakeTimeout: number } {
  const headersTimeout = limits.headersTimeoutMs ?? 15_000
  return {
    headersTimeout,
    handshakeTimeout: headersTimeout,
    connectionsCheckingInterval: Math.min(checkEveryMs, headersTimeout / 2),
    // An upload takes as long as it takes, while it moves.
    requestTimeout: 0,
    // A request without a body is no stream that has to be read to its end.
    optimizeEmptyRequests: true,
    keepAliveTimeout: limits.keepAliveMs ?? 10_000,
    maxHeaderSize: limits.maxHeaderBytes ?? maxHeaderBytes,
  }
}

function createDispatcher(
  { routes, guard, cors, logger, metrics, clock }: HttpServerOptions,
  onBody: (request: IncomingMessage) => void,
) {
  const requestId = createRequestIds()
  const checkPipeline = createPipelineCheck()
  let draining = false

  function routeFor(path: string): Route {
    if (isRegistry(path)) return routes.v2
    if (isWebhookPath(path)) return routes.webhooks
    return isWatcherPath(path) ? routes.watcher : routes.api.route
  }

  function refuseRequest(request: IncomingMessage, response: ServerResponse, path: string, refusal: Refusal): void {
    refuse(response, path, requestId(request), refusal)
    metrics.answered(routeName(path), refusal.status)
  }

  function fault(request: IncomingMessage, response: ServerResponse, path: string, error: unknown): void {
    const id = requestId(request)
    logger.error({ err: error, method: request.method, path, requestId: id }, 'a request failed')
    refuse(response, path, id, internalError)
    if (!response.writableEnded) response.destroy()
  }

  async function exchange(request: IncomingMessage, response: ServerResponse, path: string, caller: Caller) {
    const startedMs = clock.monotonic()
    response.on('timeout', (socket: Socket) => {
      if (isClientsTurn(request, response)) socket.destroy()
    })
    response.once('close', () => {
      metrics.answered(routeName(path), response.statusCode, (clock.monotonic() - startedMs) / 1000)
    })
    try {
      await routeFor(path)(new RequestExchange(request, response, caller, requestId(request)))
    } catch (error) {
      fault(request, response, path, error)
    }
  }

  function proceed(request: IncomingMessage, response: ServerResponse, path: string, admission: Admission): void {
    if ('refusal' in admission) return refuseRequest(request, response, path, admission.refusal)
    const { caller } = admission
    if (isForBundles(path, request, routes.bundles)) {
      return routes.bundles.answer({ request, response, path, caller, requestId })
    }
    if (guard.hasLogins && isLoginProbe(request, path)) return refuseRequest(request, response, path, mayLogIn)
    void exchange(request, response, path, caller)
  }

  return {
    dispatch(this: void, request: IncomingMessage, response: ServerResponse): void {
      const target = request.url ?? ''
      const question = target.indexOf('?')
      const path = question === -1 ? target : target.slice(0, question)
      if (draining) response.shouldKeepAlive = false
      const unfit = checkHead(request) ?? checkPipeline(request, response)
      if (unfit !== undefined) return refuseRequest(request, response, path, unfit)
      if (!path.startsWith('/')) return refuseRequest(request, response, path, notProxy)
      if (hasBody(request)) onBody(request)
      if (cors.greet(request, response, path)) return
      if (routes.api.isOpen(path) || isWebhookPath(path)) return void exchange(request, response, path, nobody)
      const admitted = guard.admit(request)
      if (!(admitted instanceof Promise)) return proceed(request, response, path, admitted)
      admitted.then(
        (admission) => proceed(request, response, path, admission),
        (error: unknown) => fault(request, response, path, error),
      )
    },
    drain(): void {
      draining = true
      routes.api.drain()
    },
  }
}

/** Nothing moved for long. Where all has come that is to come, it is our disk, or a registry, that takes so long. */
function isClientsTurn(request: IncomingMessage, response: ServerResponse): boolean {
  const mayHaveMore = !request.complete && request.readableLength === 0
  return mayHaveMore || response.writableLength > 0
}

function isRegistry(path: string): boolean {
  return path === '/v2' || path.startsWith('/v2/')
}

function isForBundles(path: string, { method }: IncomingMessage, bundles: BundleRoute): boolean {
  if (isRegistry(path) || !bundles.handles(path)) return false
  // A bundle's routes that change something are the API's.
  return !path.startsWith('/v1/bundles/') || method === 'GET' || method === 'HEAD'
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}

/** podman and skopeo learn only from this that they may log in, though anybody may read. */
function isLoginProbe({ headers }: IncomingMessage, path: string): boolean {
  return (path === '/v2/' || path === '/v2') && headers.authorization === undefined
}

/** Few words: each is a label of metrics. */
function routeName(path: string): string {
  if (isRegistry(path)) return 'v2'
  if (path.startsWith('/api/')) return 'api'
  if (isWebhookPath(path)) return 'webhooks'
  if (path.startsWith('/bundles/') || path.startsWith('/v1/bundles/')) return 'bundles'
  return path === '/metrics' || path.startsWith('/health/') ? 'probes' : 'other'
}

const internalError: Refusal = {
  status: 500,
  code: 'internal',
  message: 'this failed inside longshore: its log has more under the id of this request',
}

const notProxy: Refusal = { status: 400, code: 'bad_target', message: 'the request must name a path: this is no proxy' }

const mayLogIn: Refusal = {
  status: 401,
  code: 'unauthorized',
  message: 'log in, or go on without where anybody may read',
  headers: { 'WWW-Authenticate': challenge, 'Docker-Distribution-API-Version': 'registry/2.0' },
}
