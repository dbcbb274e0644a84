import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { Clock } from '../../lib/clock.ts'
import { digestOf } from '../../oci/digest.ts'
import type { Call } from './call.ts'
import { isNotModified } from './etag.ts'
import type { Refusal } from './refusal.ts'

/** What is left of a refused request's body up to this much is read away, so that the connection can go on. */
const smallRestBytes = 1024 * 1024
/** A bigger rest ends the connection, but not before the client had a chance to read the answer. */
export const drainBytes = 64 * 1024 * 1024
export const drainMs = 5_000

/** As Node takes headers without looking each one up, with what every answer of the registry has. */
export function writeHead(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  const lines: (string | number | string[])[] = ['Docker-Distribution-API-Version', 'registry/2.0']
  for (const name in headers) lines.push(name, headers[name]!)
  response.writeHead(status, lines as string[])
}

export function sendEmpty(call: Call, status: number, headers: OutgoingHttpHeaders = {}): void {
  const { response } = call.exchange
  // RFC 9110, section 8.6: no Content-Length with 204, and with 304 it would be the body's that is not sent.
  writeHead(response, status, status === 204 || status === 304 ? headers : { ...headers, 'Content-Length': 0 })
  response.end()
}

/** A page of a list. Whoever has it already, and the same word on whether there is more, is told only that. */
export function sendList(call: Call, value: unknown, headers: OutgoingHttpHeaders & { Link?: string } = {}): void {
  const bytes = Buffer.from(JSON.stringify(value))
  const etag = `"${digestOf(Buffer.concat([bytes, Buffer.from(headers.Link ?? '')]))}"`
  const all = { 'Content-Type': 'application/json', ETag: etag, ...headers }
  if (isNotModified(call.exchange.request.headers['if-none-match'], etag)) sendEmpty(call, 304, all)
  else sendBytes(call, bytes, all)
}

/** Node leaves the body out when the request is a HEAD. */
export function sendBytes(call: Call, bytes: Uint8Array, headers: OutgoingHttpHeaders): void {
  const { response } = call.exchange
  writeHead(response, 200, { ...headers, 'Content-Length': bytes.length })
  response.end(bytes)
}

/** Sends the refusal; the rest of the request's body is read away, or the connection ends. */
export async function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Refusal,
  clock: Clock,
): Promise<void> {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify({ errors: refusal.entries }))
  const headers = { ...refusal.headers, 'Content-Type': 'application/json', 'Content-Length': body.length }
  const declared = Number(request.headers['content-length'] ?? Infinity)
  if (request.complete || declared <= smallRestBytes) {
    writeHead(response, refusal.status, headers)
    response.end(body)
    request.resume()
    return
  }
  writeHead(response, refusal.status, { ...headers, Connection: 'close' })
  response.write(body)
  await drain(request, clock)
  response.end()
}

/** Ending at once would reset the connection while the client still writes, and it would never see the answer. */
function drain(request: IncomingMessage, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    let left = drainBytes
    const cancel = clock.after(drainMs, stop)
    function stop() {
      cancel()
      request.pause()
      resolve()
    }
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left < 0) stop()
    })
    request.once('end', stop)
    request.once('close', stop)
    request.once('error', stop)
    request.resume()
  })
}
