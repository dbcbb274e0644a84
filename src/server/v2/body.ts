import type { IncomingMessage } from 'node:http'
import { refusal } from './refusal.ts'

/** The body's chunks. Whoever stops early leaves the request as it is, so that an answer can still be sent. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
}

export function declaredLength(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length']
  return header === undefined ? undefined : Number(header)
}

/** The whole body. Throws Refusal 413 beyond `maxBytes`. */
export async function readBody(request: IncomingMessage, maxBytes: number, what: string): Promise<Buffer> {
  const tooLong = () => refusal(413, 'SIZE_INVALID', `${what} may have ${maxBytes} bytes`, { maxBytes })
  if ((declaredLength(request) ?? 0) > maxBytes) throw tooLong()
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of bodyOf(request)) {
    size += chunk.length
    if (size > maxBytes) throw tooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** Passes on what comes; throws Refusal SIZE_INVALID unless it is exactly `bytes` long. */
export async function* exactly(source: AsyncIterable<Uint8Array>, bytes: number): AsyncIterable<Uint8Array> {
  let seen = 0
  for await (const chunk of source) {
    seen += chunk.length
    if (seen > bytes) break
    yield chunk
  }
  if (seen !== bytes)
    throw refusal(400, 'SIZE_INVALID', `the body does not have the ${bytes} bytes that Content-Range names`)
}
