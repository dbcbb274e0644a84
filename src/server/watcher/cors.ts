import type { IncomingMessage, ServerResponse } from 'node:http'
import { isWatcherPath } from './path.ts'

/** Which pages of other origins may use the registry watcher's routes, and these alone. https://fetch.spec.whatwg.org/#http-cors-protocol */
export interface Cors {
  /** Says so in the answer. True where that is all that was asked: the request is answered. */
  greet(request: IncomingMessage, response: ServerResponse, path: string): boolean
  /** Whether the request comes from a page that may send it. */
  isInvited(request: IncomingMessage): boolean
}

const allowedHeaders = 'Accept, Authorization, Content-Type, X-Request-Id, X-Requested-With'
const allowedMethods = 'GET, POST'
const rememberedSeconds = 600

/** `origins` as a browser writes them: `https://watcher.example.com`. */
export function createCors(origins: readonly string[]): Cors {
  const invited = new Set(origins)
  const isMeant = (path: string) => isWatcherPath(path) || path === '/ping' || path === '/ping/'
  const originOf = ({ headers: { origin } }: IncomingMessage) =>
    origin !== undefined && invited.has(origin) ? origin : undefined

  return {
    greet(request, response, path) {
      if (invited.size === 0 || !isMeant(path)) return false
      response.setHeader('Vary', 'Origin')
      const origin = originOf(request)
      if (origin === undefined) return false
      response.setHeader('Access-Control-Allow-Origin', origin)
      response.setHeader('Access-Control-Allow-Credentials', 'true')
      if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
      response.writeHead(204, {
        'Access-Control-Allow-Methods': allowedMethods,
        'Access-Control-Allow-Headers': allowedHeaders,
        'Access-Control-Max-Age': rememberedSeconds,
      })
      response.end()
      return true
    },
    isInvited(request) {
      const [path = ''] = (request.url ?? '').split('?', 1)
      return isMeant(path) && originOf(request) !== undefined
    },
  }
}
