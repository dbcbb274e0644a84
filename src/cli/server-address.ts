import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { PeerCertificate } from 'node:tls'
import type { ServerConfig } from '../config/config.ts'
import { ConfigError } from '../lib/errors.ts'
import type { CommandContext } from './command.ts'
import type { ServerOptions } from './options.ts'
import { readConfig } from './read-config.ts'

/** Where a running server is, and who we are there. */
export interface ServerAddress {
  /** `http://127.0.0.1:8085`, without a slash at the end. */
  url: string
  token?: string
  /** What to trust beside the usual roots: the certificate that the local server's config names. */
  tls?: TlsTrust
  /** Who named it: the user, or the config. */
  source: 'named' | 'config'
}

/** Options of `tls.connect`. */
export interface TlsTrust {
  ca: string
  allowPartialTrustChain: true
  checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined
}

/** What `--server` says, else LONGSHORE_SERVER, else where the config's server listens. Throws ConfigError. */
export async function findServer(context: CommandContext, options: ServerOptions): Promise<ServerAddress> {
  const { environment, redactor } = context
  const own = environment.token === undefined ? undefined : redactor.add(environment.token)
  const named = options.server ?? environment.server
  if (named !== undefined) return { url: parseServer(named), source: 'named', ...(own !== undefined && { token: own }) }
  const { server, content } = await readConfig(context, options.config)
  const token = own ?? (await readAdminToken(content.path))
  if (token !== undefined) redactor.add(token)
  return {
    url: localUrl(server),
    source: 'config',
    ...(token !== undefined && { token }),
    ...(server.tls !== null && { tls: await trustOwn(server.tls.cert) }),
  }
}

/** Only the origin and a path before `/api` count. Throws ConfigError. */
export function parseServer(text: string): string {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new ConfigError(`not a server's URL: ${JSON.stringify(text.slice(0, 300))}`, {
      code: 'usage',
      hint: 'Write it as https://policy.example.com or http://127.0.0.1:8085.',
    })
  }
  if (url.username !== '' || url.password !== '') {
    throw new ConfigError('a server URL cannot carry a user or a password', {
      code: 'usage',
      hint: 'Put a token into LONGSHORE_TOKEN instead.',
    })
  }
  return `${url.origin}${url.pathname.replace(/(?<!\/)\/+$/, '')}`
}

/** A server that listens on every address is reached on this machine's own. */
export function localUrl({ listen, tls }: Pick<ServerConfig, 'listen' | 'tls'>): string {
  if (listen.port === 0) {
    throw new ConfigError('the config lets the server take any free port, so nobody can tell which', {
      code: 'usage',
      hint: 'Name it with --server; the log says where it listens.',
    })
  }
  const everywhere: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1', '*': '127.0.0.1', '': '127.0.0.1' }
  const host = everywhere[listen.host] ?? listen.host
  return `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${listen.port}`
}

/** Undefined where there is none, or where it is not for us to read. */
async function readAdminToken(folder: string): Promise<string | undefined> {
  const token = await readFile(join(folder, 'token'), 'utf8').catch(() => '')
  return token.trim() === '' ? undefined : token.trim()
}

/** The name in it is the public one, which is not how we reach it: that it is exactly this certificate says more. */
async function trustOwn(path: string): Promise<TlsTrust> {
  try {
    const ca = await readFile(path, 'utf8')
    const own = new X509Certificate(ca)
    return {
      ca,
      allowPartialTrustChain: true,
      checkServerIdentity: (host, { raw }) =>
        own.raw.equals(raw) ? undefined : new Error(`what answers at ${host} shows another certificate than ${path}`),
    }
  } catch (error) {
    throw new ConfigError(`cannot read the server's certificate ${path}`, { cause: error })
  }
}
