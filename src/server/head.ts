import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Refusal } from './refusal.ts'

/** More than any client or chain of proxies sends. */
export const maxHeaderLines = 200
/** Requests on one connection that came before the answer to the first. */
export const maxPipelined = 16

/** What Node's parser lets through, and must not get further. */
export function checkHead({ rawHeaders }: IncomingMessage): Refusal | undefined {
  if (rawHeaders.length > 2 * maxHeaderLines) return tooManyLines
  let hosts = 0
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
  }
  return hosts > 1 ? twoHosts : undefined
}

/** Counts the requests of a connection that wait for the answers before theirs; nothing is counted for one at a time. */
export function createPipelineCheck(): (request: IncomingMessage, response: ServerResponse) => Refusal | undefined {
  const waiting = new WeakMap<Socket, number>()
  return ({ socket }, response) => {
    // Node hands the connection to a response when it is that one's turn.
    if (response.socket !== null) return undefined
    const before = waiting.get(socket) ?? 0
    if (before >= maxPipelined) return tooManyAhead
    waiting.set(socket, before + 1)
    response.once('close', () => waiting.set(socket, waiting.get(socket)! - 1))
    return undefined
  }
}

const tooManyLines: Refusal = {
  status: 431,
  code: 'too_many_headers',
  message: `a request may have ${maxHeaderLines} header lines`,
  headers: { Connection: 'close' },
}

/** https://www.rfc-editor.org/rfc/rfc9112#section-3.2 */
const twoHosts: Refusal = {
  status: 400,
  code: 'two_hosts',
  message: 'a request must have one Host header',
  headers: { Connection: 'close' },
}

const tooManyAhead: Refusal = {
  status: 429,
  code: 'too_many_pipelined',
  message: `a connection may have ${maxPipelined} requests that wait for an answer: wait, or open another one`,
  headers: { Connection: 'close', 'Retry-After': '1' },
}
