import type tls from 'node:tls'
import type { Dispatcher } from 'undici'
import type { Limits } from './limits.ts'
import { createProxyAgent, readProxy, type Proxy } from './proxy.ts'
import { createLargeReads } from './receiving.ts'
import { isLoopbackHost } from './reference.ts'
import type { RegistrySettings } from './settings.ts'

/** URLs, as the environment's variables of these names hold them; a hidden environment is not read. */
export interface ProxySettings {
  httpProxy?: string
  httpsProxy?: string
  /** Comma-separated. */
  noProxy?: string
}

/** Connections, kept by what makes them different: certificates, time-out and proxy. */
export class Dispatchers {
  readonly #proxy: ProxySettings
  readonly #open = new Map<string, Promise<Dispatcher>>()
  /** The last one of each settings: almost all requests go where the one before went. */
  #last = new WeakMap<RegistrySettings, { origin: string; own: boolean; dispatcher: Promise<Dispatcher> }>()
  #roots: readonly string[] | undefined

  constructor(proxy: ProxySettings) {
    this.#proxy = proxy
  }

  /** `own`: whether the URL is the registry's own origin; a client certificate is shown to nobody else. */
  for(url: URL, settings: RegistrySettings, limits: Limits, own: boolean): Promise<Dispatcher> {
    const last = this.#last.get(settings)
    if (last?.origin === url.origin && last.own === own) return last.dispatcher
    const dispatcher = this.#find(url, settings, limits, own)
    this.#last.set(settings, { origin: url.origin, own, dispatcher })
    return dispatcher
  }

  #find(url: URL, settings: RegistrySettings, limits: Limits, own: boolean): Promise<Dispatcher> {
    const proxy = this.#proxyFor(url)
    const { ca, cert, key } = settings
    const client = own && cert !== undefined && key !== undefined ? { cert, key } : {}
    const id = JSON.stringify([proxy, ca, client, limits.connectMs])
    let dispatcher = this.#open.get(id)
    if (dispatcher === undefined) {
      dispatcher = this.#create(proxy, { ...(ca === undefined ? {} : { ca: this.rootsAnd(ca) }), ...client }, limits)
      this.#open.set(id, dispatcher)
    }
    return dispatcher
  }

  async close(): Promise<void> {
    const open = [...this.#open.values()]
    this.#open.clear()
    this.#last = new WeakMap()
    await Promise.all(open.map(async (dispatcher) => (await dispatcher).destroy()))
  }

  /** undici comes with the first request, and of it only what is used: as a whole it is twice as large. */
  async #create(proxy: Proxy | undefined, secure: tls.SecureContextOptions, limits: Limits): Promise<Dispatcher> {
    // HTTP/2 is off: one connection's window caps the speed of blobs.
    const connect = { ...secure, timeout: limits.connectMs, allowH2: false }
    const options = { connect, allowH2: false }
    if (proxy === undefined) {
      const { default: Agent } = await import('undici/lib/dispatcher/agent.js')
      return new Agent({ ...options, connect: { ...connect, onread: createLargeReads() } })
    }
    return createProxyAgent(proxy, this.#proxy.noProxy ?? '', { ...options, requestTls: connect })
  }

  #proxyFor(url: URL): Proxy | undefined {
    if (isLoopbackHost(url.host)) return undefined
    const isSecure = url.protocol === 'https:'
    const proxy = isSecure ? this.#proxy.httpsProxy : this.#proxy.httpProxy
    return proxy === undefined || proxy === '' ? undefined : readProxy(proxy, isSecure ? 'HTTPS_PROXY' : 'HTTP_PROXY')
  }

  /** Node replaces its roots by what is given: so what is given holds them. */
  rootsAnd(ca: string): string[] {
    this.#roots ??= process.getBuiltinModule('node:tls').getCACertificates('default')
    return [...this.#roots, ca]
  }
}
