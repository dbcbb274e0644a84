import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { hostName } from './address.ts'
import type { Refusal } from '../refusal.ts'

export interface BrowserOptions {
  /** What we listen on: a name or an address. */
  listenHost: string
  publicUrl?: string
  /** Whether the request comes from a page of another origin that may send it. */
  isInvited?(request: IncomingMessage): boolean
}

/** A browser on the same machine is not the user: a page from elsewhere may make it send requests to us. */
export interface BrowserGuard {
  /**
   * `Host` must be one that we are, or a page could reach us under its own name (DNS rebinding). An address is no
   * name that somebody could point at us. Only for callers that are known by nothing but where they are.
   */
  checkHost(request: IncomingMessage): Refusal | undefined
  /** Nothing but GET and HEAD at the bidding of a page that is not ours. */
  checkOrigin(request: IncomingMessage): Refusal | undefined
}

const maxRemembered = 100

export function createBrowserGuard(options: BrowserOptions): BrowserGuard {
  const publicUrl = options.publicUrl === undefined ? undefined : new URL(options.publicUrl)
  const names = new Set(['localhost', options.listenHost.toLowerCase()])
  if (publicUrl !== undefined) names.add(hostName(publicUrl.host))
  // Nearly every request carries one of few values.
  const remembered = new Set<string>()

  function isOurs(host: string): boolean {
    if (remembered.has(host)) return true
    const name = hostName(host)
    if (isIP(name) === 0 && !names.has(name) && !name.endsWith('.localhost')) return false
    if (remembered.size < maxRemembered) remembered.add(host)
    return true
  }

  return {
    checkHost(request) {
      const { host } = request.headers
      if (host === undefined || isOurs(host)) return undefined
      return {
        status: 403,
        code: 'foreign_host',
        message: `this server does not go by the name ${JSON.stringify(hostName(host))}: set server.public_url to the URL that clients use, or send credentials`,
      }
    },
    checkOrigin(request) {
      if (request.method === 'GET' || request.method === 'HEAD') return undefined
      if (options.isInvited?.(request) === true) return undefined
      const { origin, host = '' } = request.headers
      const foreign = origin !== undefined && !isSameOrigin(origin, host, publicUrl)
      if (!foreign && request.headers['sec-fetch-site'] !== 'cross-site') return undefined
      return {
        status: 403,
        code: 'foreign_origin',
        message: 'a page of another origin may not change anything here',
      }
    },
  }
}

function isSameOrigin(origin: string, host: string, publicUrl: URL | undefined): boolean {
  if (!URL.canParse(origin)) return false
  const from = new URL(origin)
  if (from.origin === publicUrl?.origin) return true
  // The scheme is left out: what ends TLS before us changes it. `from.host` has no default port.
  return from.host !== '' && (from.host === host.toLowerCase() || `${from.host}:${defaultPort(from)}` === host)
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80'
}
