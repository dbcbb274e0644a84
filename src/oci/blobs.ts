import { callTo, named, type Context } from './context.ts'
import { parseDigest } from './digest.ts'
import { packed, refused } from './errors.ts'
import { resumed, verified } from './stream.ts'
import type { Descriptor } from './target.ts'

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry */
export async function hasBlob(context: Context, { digest, size }: Descriptor, signal?: AbortSignal): Promise<boolean> {
  const { transport, site } = context
  const what = `look for blob ${named(context, digest)}`
  const path = `blobs/${parseDigest(digest)}`
  const answer = await transport.send(
    site,
    callTo(context, path, { method: 'HEAD', what, ok: [200, 403, 404, 405], signal }),
  )
  await answer.discard()
  if (answer.status === 404) return false
  if (answer.status === 200) return (answer.length() ?? size) === size
  if (answer.status === 403 && !answer.redirected) {
    throw refused({ host: site.host, status: 403, what })
  }
  // No HEAD there, or storage that was asked by a URL signed for GET: one byte says as much.
  const range = { range: 'bytes=0-0' }
  const got = await transport.send(
    site,
    callTo(context, path, { method: 'GET', what, ok: [200, 206, 404, 416], headers: range, signal }),
  )
  await got.discard()
  return got.status !== 404
}

/** The bytes of a blob; only ever from the registry: the `urls` of a descriptor are not followed (CVE-2020-15157). */
export function readBlob(context: Context, descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const download = openDownload(context, descriptor, signal)
  return rightOnly(download.bytes, download, context, descriptor)
}

/** As `readBlob`, but for another to verify. */
export async function* readRawBlob(
  context: Context,
  descriptor: Descriptor,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const download = openDownload(context, descriptor, signal)
  const bytes = download.bytes[Symbol.asyncIterator]()
  const first = await bytes.next().catch((error: unknown) => {
    throw explained(error, download, context)
  })
  const all = following(first, bytes)
  // What somebody packed on the way is wrong: only here is it known who did that.
  yield* download.encoding() === undefined ? all : rightOnly(all, download, context, descriptor)
}

interface Download {
  bytes: AsyncGenerator<Uint8Array, void, undefined>
  /** Known once something came. */
  encoding: () => string | undefined
  what: string
}

function openDownload(context: Context, descriptor: Descriptor, signal: AbortSignal | undefined): Download {
  const { transport, site, clock, random } = context
  const { size } = descriptor
  const path = `blobs/${parseDigest(descriptor.digest)}`
  const what = `fetch blob ${named(context, descriptor.digest)}`
  let encoding: string | undefined
  const open = async (from: number) => {
    const answer = await transport.send(
      site,
      callTo(context, path, {
        method: 'GET',
        what,
        lane: 'download',
        ok: from === 0 ? [200] : [200, 206],
        headers: from === 0 ? {} : { range: `bytes=${from}-${size - 1}` },
        signal,
      }),
    )
    encoding = answer.encoding()
    return answer
  }
  const bytes = resumed({ size, host: site.host, what, limits: site.limits, clock, random, signal, open })
  return { bytes, encoding: () => encoding, what }
}

async function* rightOnly(
  bytes: AsyncIterable<Uint8Array>,
  download: Download,
  context: Context,
  descriptor: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* verified(bytes, descriptor, `blob ${named(context, descriptor.digest)}`)
  } catch (error) {
    throw explained(error, download, context)
  }
}

/** Bytes that somebody packed on the way are wrong because of that. */
function explained(error: unknown, { encoding, what }: Download, { site }: Context): unknown {
  const packing = encoding()
  return packing === undefined ? error : packed(error, packing, site.host, what)
}

async function* following<T>(
  first: IteratorResult<T, void>,
  rest: AsyncGenerator<T, void, undefined>,
): AsyncGenerator<T, void, undefined> {
  try {
    if (first.done !== true) yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}
