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

export function createExchange(
  request: IncomingMessage,
  response: ServerResponse,
  caller: Caller,
  requestId: string,
): Exchange {
  const gone = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) gone.abort(new Error('the client went away'))
  })
  // Put together as text: a path that begins with two slashes would be taken for a host.
  const url = new URL(`http://localhost${request.url}`)
  return { request, response, url, caller, requestId, signal: gone.signal }
}
