import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { TokenIndex } from './tokens.ts'

/** Who a connection was found to be, by which header; good as long as the tokens are these. */
interface Known<T> {
  authorization: string | undefined
  owner: T
  tokens: TokenIndex<T>
  generation: number
}

/**
 * A connection shows the same token with each of its requests: it is hashed once, and what comes later is compared with nothing
 * but what the same client sent before, which tells it nothing.
 */
export interface KnownConnections<T> {
  /** Who that was, unless the credentials or any token changed since. */
  recall(request: IncomingMessage, tokens: TokenIndex<T>): T | undefined
  remember(request: IncomingMessage, tokens: TokenIndex<T>, owner: T): void
}

export function createKnownConnections<T>(): KnownConnections<T> {
  const known = new WeakMap<Socket, Known<T>>()
  return {
    recall({ socket, headers: { authorization } }, tokens) {
      if (authorization === undefined) return undefined
      const before = known.get(socket)
      if (before?.authorization !== authorization || before.tokens !== tokens) return undefined
      return before.generation === tokens.generation() ? before.owner : undefined
    },
    remember({ socket, headers: { authorization } }, tokens, owner) {
      known.set(socket, { authorization, owner, tokens, generation: tokens.generation() })
    },
  }
}
