import type { Clock } from '../lib/clock.ts'
import { ConfigError, RemoteError } from '../lib/errors.ts'
import { linkTo } from '../lib/linked.ts'
import type { Logger } from '../lib/logger.ts'
import { formatDuration } from '../lib/units.ts'
import { Authenticator, type SecretSink } from './auth.ts'
import type { Context } from './context.ts'
import type { RunHelper } from './credential-helper.ts'
import { createConfigReader, findCredential, type DockerConfig, type ReadDockerConfig } from './credentials.ts'
import { Dispatchers, type ProxySettings } from './dispatchers.ts'
import { exchange, type ExchangeOptions, type RequestEvent } from './exchange.ts'
import { HostState } from './host-state.ts'
import { defaultLimits, type Limits } from './limits.ts'
import { listCatalog } from './lists.ts'
import { canonicalHost, isHost, isRepositoryName, parseReference, type Reference } from './reference.ts'
import { Repository } from './repository.ts'
import { checkRegistries, originOf, settingsFor, type Registries, type RegistrySettings } from './settings.ts'
import type { RealmRequest } from './token.ts'
import { Transport, type Site } from './transport.ts'
import { Turns } from './turns.ts'

export interface OciClientOptions {
  clock: Clock
  /** Between 0 and 1; for jitter. */
  random: () => number
  logger: Pick<Logger, 'debug' | 'warn'>
  /** Told of every password and token the moment it is known. */
  redactor: SecretSink
  /** By host, host/path, or `*`. */
  registries?: Registries
  dockerConfig?: DockerConfig
  proxy?: ProxySettings
  userAgent?: string
  limits?: Partial<Limits>
  /** Called after each request, redirects and tokens included. */
  onRequest?: (event: RequestEvent) => void
  /** For tests: runs credential helpers. */
  runHelper?: RunHelper
}

/** All that goes to registries passes one of these: connections, tokens, ceilings and circuits are shared per host. */
export interface OciClient {
  /** A tag or digest in the reference does not matter here; `own` goes before the client's `registries`. Throws ConfigError. */
  repository(reference: string | Reference, own?: RegistrySettings): Repository
  /** The names of a registry's repositories, in lexical order. */
  catalog(host: string, signal?: AbortSignal): AsyncIterable<string>
  /** Whether a registry is there and takes our credentials: throws RemoteError when not. */
  ping(host: string, signal?: AbortSignal): Promise<void>
  /** Ends what is under way with an AbortError, and closes all connections. */
  close(): Promise<void>
}

/** Throws ConfigError for registries that cannot be meant. Opens nothing yet. */
export function createOciClient(options: OciClientOptions): OciClient {
  const registries = options.registries ?? {}
  checkRegistries(registries)
  const dispatchers = new Dispatchers(options.proxy ?? {})
  const closing = new AbortController()
  const readConfig = createConfigReader(options.clock)
  const { clock, random, logger } = options
  const onRequest = (event: RequestEvent) => {
    logger.debug({ request: event }, 'asked a registry')
    options.onRequest?.(event)
  }
  const exchangeOptions = { dispatchers, clock, userAgent: options.userAgent ?? 'longshore', onRequest }
  const transport = new Transport({ ...exchangeOptions, random, redactor: options.redactor, closing: closing.signal })
  const turns = new Turns()
  const states = new Map<string, HostState>()
  const auths = new Map<string, Authenticator>()
  /** As they are written, and as they are spoken to: of thousands of repositories, most are at one. */
  const hosts = new Map<string, string>()

  /** Dozens of numbers, the same ones for nearly all repositories. */
  const knownLimits = new Map<string, Limits>()
  const limitsFor = ({ timeouts = {} }: RegistrySettings) =>
    remembered(knownLimits, JSON.stringify(timeouts), () => ({ ...defaultLimits, ...options.limits, ...timeouts }))

  const siteOf = (host: string, repository: string, own?: RegistrySettings): Site => {
    const settings = settingsFor(registries, host, repository, own)
    const limits = limitsFor(settings)
    const state = remembered(states, host, () => createState(host, registries, limits, clock))
    const create = () =>
      createAuthenticator({ ...options, registries, own, host, settings, limits, exchangeOptions, closing, readConfig })
    // Tokens are asked for where the registry is, in the way in which it is spoken to: a part of it may have its own.
    const { ca, cert, key } = settings
    const origin = originOf(host, settings)
    const auth = own ? create() : remembered(auths, JSON.stringify([origin, ca, cert, key]), create)
    return { host, origin, repository, settings, limits, state, auth }
  }

  const contextOf = (host: string, repository: string, own?: RegistrySettings): Context => ({
    transport,
    site: siteOf(host, repository, own),
    clock,
    random,
    turns,
    // Made when they are needed: thousands of repositories are only ever asked for one digest.
    fetched: undefined,
    listed: undefined,
  })

  return {
    repository(reference, own) {
      const { host, repository } = typeof reference === 'string' ? parseReference(reference) : reference
      const canonical = remembered(hosts, host, () => checkedHost(host))
      if (!isRepositoryName(repository))
        throw new ConfigError(`not a repository name: ${JSON.stringify(repository.slice(0, 200))}`)
      return new Repository(contextOf(canonical, repository, own))
    },
    catalog: (host, signal) => listCatalog(contextOf(checkedHost(host), ''), signal),
    async ping(host, signal) {
      const site = siteOf(checkedHost(host), '')
      const what = `reach the registry ${site.host}`
      const answer = await transport.send(site, {
        method: 'GET',
        url: '/v2/',
        what,
        lane: 'metadata',
        scopes: [],
        ok: [200],
        signal,
      })
      await answer.discard()
    },
    async close() {
      closing.abort()
      await dispatchers.close()
    },
  }
}

function remembered<T>(known: Map<string, T>, key: string, create: () => T): T {
  const found = known.get(key) ?? create()
  known.set(key, found)
  return found
}

/** What all repositories of one host have in common, whoever logs in. */
function createState(host: string, registries: Registries, limits: Limits, clock: Clock): HostState {
  const { concurrency, requestsPerSecond } = settingsFor(registries, host)
  return new HostState({
    host,
    clock,
    limits,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(requestsPerSecond === undefined ? {} : { requestsPerSecond }),
  })
}

interface AuthOptions extends OciClientOptions {
  registries: Registries
  own: RegistrySettings | undefined
  host: string
  settings: RegistrySettings
  limits: Limits
  exchangeOptions: ExchangeOptions
  closing: AbortController
  readConfig: ReadDockerConfig
}

function createAuthenticator(options: AuthOptions): Authenticator {
  const { host, settings, limits, clock, redactor } = options
  const credentials = { ...options, dockerConfig: options.dockerConfig ?? { paths: [] } }
  const lookup = (repository: string) => findCredential(credentials, host, repository)
  const send = realmRequest(options)
  return new Authenticator({ host, origin: originOf(host, settings), lookup, send, clock, redactor, limits })
}

function realmRequest({ host, clock, settings, limits, exchangeOptions, closing }: AuthOptions): RealmRequest {
  // The realm may be somebody else: a client certificate is for the registry alone.
  const { cert: _cert, key: _key, ...bare } = settings
  const origin = originOf(host, settings)
  return async ({ method, url, headers, body, authorization }) => {
    const what = `log in to ${host}`
    const stop = linkTo(closing.signal)
    const message = `cannot ${what}: ${url.host} took longer than ${formatDuration(limits.metadataMs)}`
    const cancel = clock.after(limits.metadataMs, () =>
      stop.abort(new RemoteError('timeout', message, { host, retryable: true })),
    )
    const end = () => {
      cancel()
      stop.unlink()
    }
    const who = { settings: url.origin === origin ? settings : bare, authorization, stay: body !== undefined }
    const sent = { host, origin: url.origin, method, url, what, headers, body, limits, stop, ...who }
    try {
      const answer = await exchange(sent, exchangeOptions)
      answer.onEnd(end)
      return answer
    } catch (error) {
      end()
      throw error
    }
  }
}

function checkedHost(host: string): string {
  if (isHost(host)) return canonicalHost(host)
  throw new ConfigError(`not a host: ${JSON.stringify(host.slice(0, 200))}`, {
    hint: 'Write it as registry.example.com or localhost:5000.',
  })
}
