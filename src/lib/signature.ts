import { createHmac, timingSafeEqual } from 'node:crypto'

/** HMAC-SHA256 of all the pieces, in hex. */
export async function sign(secret: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const hmac = createHmac('sha256', secret)
  for await (const piece of pieces) hmac.update(piece)
  return hmac.digest('hex')
}

/** In a time that says nothing of where they differ, nor how long the one that is right is. */
export function isSame(given: string, right: string): boolean {
  const [a, b] = [given, right].map((text) => createHmac('sha256', 'of equal length').update(text).digest())
  return timingSafeEqual(a!, b!)
}
