import { nobody } from './exchange.ts'
import type { HttpServerOptions } from './http.ts'
import { refuse } from './refusal.ts'
import type { Exchange } from './types.ts'

/** Seconds after which asking again makes sense: about as long as another one takes to take over. */
const retryAfter = '5'

/** What an instance answers that does not act: that it is there, and on every other route why there is nothing more. */
export function createStandbyRoutes(why: () => string): Pick<HttpServerOptions, 'routes' | 'guard'> {
  const route = async ({ request, response, url, requestId }: Exchange): Promise<void> => {
    const path = url.pathname
    // What is sent along is for nobody.
    request.resume()
    if (path === '/health/live') return answer(response, 200, { ready: true, reasons: [], warnings: [] })
    if (path === '/health/ready') return answer(response, 503, { ready: false, reasons: [why()], warnings: [] })
    const headers = { 'Retry-After': retryAfter }
    return refuse(response, path, requestId, { status: 503, code: 'standby', message: why(), headers })
  }
  return {
    routes: {
      ...{ v2: route, watcher: route, webhooks: route },
      bundles: { handles: () => false, answer: () => undefined, drain: () => Promise.resolve() },
      api: { route, isOpen: () => true, drain: () => undefined, close: () => Promise.resolve() },
    },
    // Nobody is asked who they are, since nobody gets anything.
    guard: {
      admit: () => ({ caller: nobody }),
      hasLogins: false,
      setAccess: () => undefined,
      close: () => Promise.resolve(),
    },
  }
}

interface Readiness {
  ready: boolean
  reasons: string[]
  warnings: string[]
}

function answer(response: Exchange['response'], status: number, body: Readiness): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...(status === 503 && { 'Retry-After': retryAfter }),
  })
  response.end(JSON.stringify(body))
}
