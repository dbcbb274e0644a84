import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Caller, Exchange } from './types.ts'

const saneId = /^[\w.:+=/-]{1,128}$/

/** Ids that no two requests share; the client's own where it sends a sane one. */
export function createRequestIds(): (request: IncomingMessage) => string {
  const prefix = randomBytes(5).toString('hex')
  let count = 0
  return ({ headers }) => {
    const given = headers['x-request-id']
    return typeof given === 'string' && saneId.test(given) ? given : `${prefix}-${(++count).toString(36)}`
  }
}

/** Somebody whom nobody asked who they are, on a route that is open to all. */
export const nobody: Caller = { name: 'anonymous', anonymous: true, may: () => false }

/** Most requests for small things end before anybody asks for their query or their signal: these are made when somebody does. */
export function createExchange(
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
  requestId: string,
): Exchange {
  // As it came: a route may write another one into the request.
  const target = request.url
  let url: URL | undefined
  let signal: AbortSignal | undefined
  return {
    ...{ request, response, caller, requestId },
    get url() {
      // Put together as text: a path that begins with two slashes would be taken for a host.
      return (url ??= new URL(`http://localhost${target}`))
    },
    get signal() {
      return (signal ??= signalOf(response))
    },
  }
}

function signalOf(response: ServerResponse): AbortSignal {
  const gone = new AbortController()
  const leave = () => {
    if (!response.writableFinished) gone.abort(new Error('the client went away'))
  }
  if (response.closed) leave()
  else response.once('close', leave)
  return gone.signal
}
