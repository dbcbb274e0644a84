import { pipeline } from 'node:stream/promises'
import type { ByteRange } from '../../content/content.ts'
import { release } from '../../lib/lent.ts'
import type { Digest } from '../../oci/digest.ts'
import { sourceOf } from '../guard/address.ts'
import { sendEmpty, writeHead } from './answer.ts'
import { audit, demand, digestIn, repositoryOf, type Call } from './call.ts'
import { isNotModified } from './etag.ts'
import { readRange } from './range.ts'
import { Refusal, refusal } from './refusal.ts'

/** GET and HEAD `/v2/<name>/blobs/<digest>`. */
export async function getBlob(call: Call): Promise<void> {
  demand(call, 'read')
  const digest = digestIn(call.reference)
  const { request, response } = call.exchange
  const repository = repositoryOf(call)
  const stat = await repository.statBlob(digest)
  if (stat === undefined) throw blobUnknown(call, digest)
  // Who asks so wants to know whether to send it: what the disk lost is to be sent.
  if (request.method === 'HEAD' && !(await repository.hasBlob({ ...stat, digest, mediaType: '' }))) {
    throw blobUnknown(call, digest)
  }
  const etag = `"${digest}"`
  const headers = { 'Docker-Content-Digest': digest, ETag: etag, 'Accept-Ranges': 'bytes' }
  if (isNotModified(request.headers['if-none-match'], etag)) {
    sendEmpty(call, 304, headers)
    return
  }
  // RFC 9110, section 14.2: Range means something with GET alone.
  const range = request.method === 'GET' ? readRange(request.headers.range, stat.size) : undefined
  if (range === 'unsatisfiable') {
    throw new Refusal(416, [{ code: 'SIZE_INVALID', message: `the blob has ${stat.size} bytes` }], {
      'Content-Range': `bytes */${stat.size}`,
    })
  }
  const length = range === undefined ? stat.size : range.last - range.first + 1
  const status = range === undefined ? 200 : 206
  const all = {
    ...headers,
    'Content-Type': 'application/octet-stream',
    'Content-Length': length,
    ...(range && { 'Content-Range': `bytes ${range.first}-${range.last}/${stat.size}` }),
  }
  const begin = () => writeHead(response, status, all)
  if (request.method === 'HEAD' || length === 0) {
    begin()
    response.end()
  } else if (range === undefined) await sendWhole(call, { digest, size: length }, begin)
  else await withSlot(call, () => sendContent(call, digest, range, begin))
}

/** A small one from memory, once it was asked for. */
async function sendWhole(call: Call, blob: { digest: Digest; size: number }, begin: () => void): Promise<void> {
  const repository = repositoryOf(call)
  const send = (bytes: Uint8Array) => {
    begin()
    call.exchange.response.end(bytes)
  }
  const held = repository.heldBlob(blob.digest)
  if (held?.length === blob.size) return send(held)
  await withSlot(call, async () => {
    const small = await repository.smallBlob(blob)
    if (small?.length === blob.size) send(small)
    else await sendContent(call, blob.digest, undefined, begin)
  })
}

/** Each answer holds a file and a piece of it while its client reads. Throws Refusal 503 when none came free in time. */
async function withSlot(call: Call, run: () => Promise<void>): Promise<void> {
  const { request, signal } = call.exchange
  const leave = await call.downloads.enter(sourceOf(request.socket.remoteAddress), signal)
  if (leave === undefined) {
    const entry = {
      code: 'TOOMANYREQUESTS' as const,
      message: 'too many downloads are under way: try again in a moment',
    }
    throw new Refusal(503, [entry], { 'Retry-After': '5' }, 'max_downloads')
  }
  try {
    await run()
  } finally {
    leave()
  }
}

/** The first piece is read before anything is said: what is found wrong by then is answered with an error. */
async function sendContent(call: Call, digest: Digest, range: ByteRange | undefined, begin: () => void): Promise<void> {
  const { response, signal } = call.exchange
  const chunks = repositoryOf(call).readBlob(digest, range)[Symbol.asyncIterator]()
  try {
    const first = await chunks.next()
    begin()
    // From here on a failure cuts the connection: the client sees fewer bytes than Content-Length said.
    await pipeline(
      async function* () {
        for (let next = first; next.done !== true; next = await chunks.next()) {
          yield next.value
          // Else a part of it still waits for the client.
          if (response.writableLength === 0) release(next.value)
        }
      },
      response,
      { signal },
    )
  } finally {
    // A client may go away at any moment: the file is closed all the same.
    await chunks.return?.()
  }
}

/** DELETE `/v2/<name>/blobs/<digest>`: from this repository alone. */
export async function deleteBlob(call: Call): Promise<void> {
  demand(call, 'delete')
  const digest = digestIn(call.reference)
  if (!(await repositoryOf(call).removeBlob(digest))) throw blobUnknown(call, digest)
  audit(call, 'delete', { kind: 'blob', reference: digest, digest })
  sendEmpty(call, 202)
}

function blobUnknown(call: Call, digest: Digest): Refusal {
  return refusal(404, 'BLOB_UNKNOWN', `${call.repository} has no such blob`, { digest })
}
