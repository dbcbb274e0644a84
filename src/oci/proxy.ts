import type { buildConnector, Dispatcher, EnvHttpProxyAgent, Pool } from 'undici'
import { ConfigError } from '../lib/errors.ts'

type AgentOptions = ConstructorParameters<typeof EnvHttpProxyAgent>[0]

/** How one is written. */
export const exampleProxy = 'http://proxy.example.com:3128'

/** A proxy, and how it was named. */
export interface Proxy {
  /** It may hold a password. */
  url: string
  /** `HTTPS_PROXY` */
  variable: string
}

/** `proxy.corp:3128` is HTTP, as curl has it. Throws ConfigError that does not show the URL. */
export function readProxy(text: string, variable: string): Proxy {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url !== null && /^(?:https?|socks5?):$/.test(url.protocol)) return { url: url.href, variable }
  throw new ConfigError(`${variable} holds no URL of an HTTP or SOCKS5 proxy`, {
    hint: `Write it as ${variable}=${exampleProxy}, or unset it.`,
  })
}

/** Why there is no connection to the proxy itself: the registry behind it was not even asked. */
export class ProxyFailure extends Error {
  readonly code: string | undefined
  readonly variable: string

  constructor(error: Error, variable: string) {
    super(error.message, { cause: error })
    this.name = error.name
    this.code = (error as NodeJS.ErrnoException).code
    this.variable = variable
  }
}

/** Goes through the proxy, but for what `noProxy` has. undici comes with the first. */
export async function createProxyAgent({ url, variable }: Proxy, noProxy: string, options: AgentOptions) {
  const undici = await import('undici')
  const create = (origin: string | URL, { connect, ...more }: Pool.Options): Dispatcher =>
    new undici.Pool(origin, {
      ...more,
      ...(typeof connect === 'function' && { connect: tellingOf(connect, variable) }),
    })
  const own = new URL(url).origin
  return new undici.EnvHttpProxyAgent({
    ...options,
    // Named for both schemes and never undefined: undici would look into the environment.
    httpProxy: url,
    httpsProxy: url,
    noProxy,
    // Of tunnels.
    clientFactory: create,
    // Of plain HTTP by the proxy's origin, else of what a tunnel leads to.
    factory: (origin, more) => (new URL(origin).origin === own ? create(origin, more) : new undici.Pool(origin, more)),
  })
}

function tellingOf(connect: buildConnector.connector, variable: string): buildConnector.connector {
  return (options, done) => {
    connect(options, (error, socket) => {
      if (error === null) done(null, socket)
      else done(new ProxyFailure(error, variable), null)
    })
  }
}
