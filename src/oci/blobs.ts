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
  const right = verified(bytes, descriptor, `blob ${named(context, descriptor.digest)}`)
  return blamed(right, (error) => (encoding === undefined ? error : packed(error, encoding, site.host, what)))
}

async function* blamed(
  source: AsyncIterable<Uint8Array>,
  blame: (error: unknown) => unknown,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* source
  } catch (error) {
    throw blame(error)
  }
}
