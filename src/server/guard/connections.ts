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

/** A property of the connection: weak keys by the thousand would hold up each full collection of garbage. */
const known = Symbol('known')

type Connection<T> = Socket & { [known]?: Known<T> }

export function createKnownConnections<T>(): KnownConnections<T> {
  return {
    recall({ socket, headers: { authorization } }, tokens) {
      if (authorization === undefined) return undefined
      const before = (socket as Connection<T>)[known]
      if (before?.authorization !== authorization || before.tokens !== tokens) return undefined
      return before.generation === tokens.generation() ? before.owner : undefined
    },
    remember({ socket, headers: { authorization } }, tokens, owner) {
      ;(socket as Connection<T>)[known] = { authorization, owner, tokens, generation: tokens.generation() }
    },
  }
}
