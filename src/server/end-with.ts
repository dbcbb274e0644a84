import type { ServerResponse } from 'node:http'

/** With its head it fits into what Node writes to the network without asking for memory. */
export const maxTextBytes = 15 * 1024

/** A character for each byte (latin1): Node sends head and body in one piece where both are text, which costs it a third less. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** Ends an answer whose head is written, with the bytes. */
export function endWith(response: ServerResponse, bytes: Uint8Array): void {
  if (bytes.byteLength > maxTextBytes) response.end(bytes)
  else response.end(textOf(bytes), 'latin1')
}
