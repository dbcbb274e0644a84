import { RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'
import type { Limits } from './limits.ts'
import { readOffset } from './range.ts'
import type { Descriptor } from './target.ts'
import type { Session } from './session.ts'

export interface ChunkOptions {
  limits: Limits
  host: string
  what: string
  send: (method: 'PATCH' | 'GET', url: URL, headers: Record<string, string>, body?: Uint8Array) => Promise<Answer>
  /** Where to go on after an answer. */
  sessionOf: (answer: Answer, before: URL) => URL
}

/**
 * Sends a blob in pieces and returns where to end the upload.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-a-blob-in-chunks
 */
export async function sendChunks(
  session: Session,
  { size }: Descriptor,
  open: () => AsyncIterable<Uint8Array>,
  options: ChunkOptions,
): Promise<URL> {
  const { limits } = options
  const chunkBytes = Math.min(Math.max(limits.chunkBytes, session.minChunkBytes), limits.chunkMaxBytes)
  let url = session.url
  let sent = 0
  for (let pass = 1; sent < size; pass++) {
    let lost = false
    for await (const chunk of piecesOf(open(), chunkBytes, sent)) {
      const answer = await sendOne(url, sent, chunk, options)
      await answer.discard()
      url = options.sessionOf(answer, url)
      const expected = sent + chunk.length
      sent =
        answer.status === 416
          ? await askOffset(url, options)
          : (readOffset(answer.header('range') ?? '', expected) ?? expected)
      lost = sent !== expected
      if (lost) break
    }
    if (!lost) break
    if (sent > size || pass >= limits.tries) {
      throw new RemoteError('protocol', `cannot ${options.what}: ${options.host} and we disagree on how much it has`, {
        host: options.host,
      })
    }
  }
  return url
}

function sendOne(url: URL, from: number, chunk: Uint8Array, options: ChunkOptions): Promise<Answer> {
  const headers = { 'content-type': 'application/octet-stream', 'content-range': `${from}-${from + chunk.length - 1}` }
  return options.send('PATCH', url, headers, chunk)
}

/** After a 416: the registry knows better than we do where the upload stands. */
async function askOffset(url: URL, options: ChunkOptions): Promise<number> {
  const answer = await options.send('GET', url, {})
  await answer.discard()
  return readOffset(answer.header('range') ?? '', 0) ?? 0
}

/** Pieces of exactly `bytes`, but for the last; `from` bytes are passed over. */
async function* piecesOf(
  source: AsyncIterable<Uint8Array>,
  bytes: number,
  from: number,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Uint8Array[] = []
  let size = 0
  let skip = from
  for await (const chunk of source) {
    let rest = chunk.subarray(Math.min(skip, chunk.length))
    skip -= chunk.length - rest.length
    while (rest.length > 0) {
      const part = rest.subarray(0, bytes - size)
      held.push(part)
      size += part.length
      rest = rest.subarray(part.length)
      if (size < bytes) continue
      yield Buffer.concat(held)
      held = []
      size = 0
    }
  }
  if (size > 0) yield Buffer.concat(held)
}
