import type { IncomingMessage } from 'node:http'
import { abortable } from '../../content/abortable.ts'
import { formatDuration } from '../../lib/units.ts'
import type { Call } from './call.ts'
import { Refusal, refusal } from './refusal.ts'

/** The body's chunks. Whoever stops early leaves the request as it is, so that an answer can still be sent. */
export function bodyOf(request: IncomingMessage): AsyncIterable<Buffer> {
  return request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>
}

export function declaredLength(request: IncomingMessage): number | undefined {
  const header = request.headers['content-length']
  return header === undefined ? undefined : Number(header)
}

/** What bodies that are still arriving may hold in memory, all together. */
export const maxBodiesBytes = 64 * 1024 * 1024
/** A manifest is small: one that takes longer is not on its way. */
export const bodyTimeoutMs = 60_000

/** Bytes of requests' bodies that are held until the rest is there. */
export interface BodyMemory {
  /** Throws Refusal 429 where it would be too much. */
  take(bytes: number): void
  give(bytes: number): void
}

export function createBodyMemory(maxBytes = maxBodiesBytes): BodyMemory {
  let held = 0
  return {
    take(bytes) {
      if (held + bytes > maxBytes) throw tooManyBodies()
      held += bytes
    },
    give(bytes) {
      held -= bytes
    },
  }
}

/** The whole body. Throws Refusal 413 beyond `maxBytes`, 408 when it takes too long, 429 when others hold too much. */
export async function readBody(call: Call, maxBytes: number, what: string): Promise<Buffer> {
  const { request, signal } = call.exchange
  const tooLong = () => refusal(413, 'SIZE_INVALID', `${what} may have ${maxBytes} bytes`, { maxBytes })
  if ((declaredLength(request) ?? 0) > maxBytes) throw tooLong()
  const late = new AbortController()
  const cancel = call.options.clock.after(bodyTimeoutMs, () => late.abort(tooSlow(what)))
  const chunks: Buffer[] = []
  let size = 0
  let held = 0
  try {
    for await (const chunk of abortable(bodyOf(request), AbortSignal.any([signal, late.signal]))) {
      size += chunk.length
      if (size > maxBytes) throw tooLong()
      call.bodies.take(chunk.length)
      held += chunk.length
      chunks.push(chunk)
    }
    return Buffer.concat(chunks, size)
  } finally {
    cancel()
    call.bodies.give(held)
  }
}

function tooSlow(what: string): Refusal {
  const message = `${what} has to arrive within ${formatDuration(bodyTimeoutMs)}`
  return new Refusal(408, [{ code: 'UNSUPPORTED', message }], { Connection: 'close' })
}

function tooManyBodies(): Refusal {
  const message = 'too much is being received: try again in a moment'
  return new Refusal(429, [{ code: 'TOOMANYREQUESTS', message }], { 'Retry-After': '2' }, 'max_bodies')
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
