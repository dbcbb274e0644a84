import type http from 'node:http'

/**
 * Node's HTTP. To import it as a module would load everything that it exports, among it a WebSocket with an undici of its
 * own: 15 MB and 40 ms that nobody here uses.
 */
export function nodeHttp(): typeof http {
  return process.getBuiltinModule('node:http')
}
