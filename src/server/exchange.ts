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

/**
 * Most requests for small things end before anybody asks for their query or their signal: these are made when somebody does. A
 * class, since each object with getters of its own gets a shape of its own, which holds it, and its request, for long: a quarter of
 * the processor's time went into collecting that.
 */
export class RequestExchange implements Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly caller: Caller
  readonly requestId: string
  readonly #target: string | undefined
  #url: URL | undefined
  #signal: AbortSignal | undefined

  constructor(request: IncomingMessage, response: ServerResponse, caller: Caller, requestId: string) {
    this.request = request
    this.response = response
    this.caller = caller
    this.requestId = requestId
    // As it came: a route may write another one into the request.
    this.#target = request.url
  }

  get url(): URL {
    // Put together as text: a path that begins with two slashes would be taken for a host.
    return (this.#url ??= new URL(`http://localhost${this.#target}`))
  }

  get signal(): AbortSignal {
    return (this.#signal ??= signalOf(this.response))
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
