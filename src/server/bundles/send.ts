import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../oci/digest.ts'
import { sourceOf } from '../guard/address.ts'
import type { Slots } from '../slots.ts'
import type { Freshness } from './etag.ts'
import type { ServedRelease } from './table.ts'

export interface Sender {
  /** 304, with or without our ETag. */
  same(response: ServerResponse, served: ServedRelease, freshness: Exclude<Freshness, 'changed'>): void
  /**
   * 200 with the bytes; settles when they are with the network, with false when too many are being sent already. Rejects
   * when they cannot be read and nothing was sent.
   */
  full(response: ServerResponse, served: ServedRelease, waiting: boolean): void | Promise<boolean>
}

export interface SenderOptions {
  readBlob: (bundle: string, digest: Digest) => AsyncIterable<Uint8Array>
  /** Each answer from disk holds a file while its client reads. */
  downloads: Slots
}

export function createSender({ readBlob, downloads }: SenderOptions): Sender {
  async function fromDisk(
    response: ServerResponse,
    served: ServedRelease,
    headers: readonly string[],
  ): Promise<boolean> {
    const leave = await downloads.enter(sourceOf(response.req.socket.remoteAddress))
    if (leave === undefined) return false
    try {
      if (!response.destroyed)
        await sendChunks(response, headers, served, readBlob(served.release.bundle, served.digest))
      return true
    } finally {
      leave()
    }
  }

  /**
   * Of what those who wait were told last. Node makes one piece of memory of head and text for each answer: for thousands at once that is
   * garbage by the hundred megabytes, and all of them can be sent these bytes.
   */
  let told: { served: ServedRelease; bytes: Buffer } | undefined

  function bytesFor(served: ServedRelease, text: string): Buffer {
    if (told?.served !== served) told = { served, bytes: Buffer.from(text, 'latin1') }
    return told.bytes
  }

  return {
    same(response, served, freshness) {
      response.writeHead(304, (freshness === 'same' ? served.headers.same : served.headers.sameUntold) as string[])
      response.end()
    },
    full(response, served, waiting) {
      const headers = waiting ? served.headers.fullWaiting : served.headers.full
      if (response.req.method !== 'HEAD' && served.body === undefined) return fromDisk(response, served, headers)
      response.writeHead(200, headers as string[])
      if (response.req.method === 'HEAD') response.end()
      else if (waiting && typeof served.body === 'string') response.end(bytesFor(served, served.body))
      else response.end(served.body, 'latin1')
    },
  }
}

/** The first chunk is read before anything is said, so that a blob that is gone can still be answered with an error. */
async function sendChunks(
  response: ServerResponse,
  headers: readonly string[],
  served: ServedRelease,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]()
  try {
    const first = await iterator.next()
    response.writeHead(200, headers as string[])
    // From here on a failure cuts the connection: the client sees fewer bytes than Content-Length said.
    await pipeline(async function* () {
      let sent = 0
      for (let next = first; next.done !== true; next = await iterator.next()) {
        sent += next.value.length
        yield next.value
      }
      if (sent !== served.release.size)
        throw new Error(`${served.digest} has ${sent} bytes, not ${served.release.size}`)
    }, response)
  } finally {
    // A client may go away at any moment: the file is closed all the same.
    await iterator.return?.()
  }
}
