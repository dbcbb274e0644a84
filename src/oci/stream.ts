import type { Clock } from '../lib/clock.ts'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { GrowingHash } from '../lib/hash/growing.ts'
import { heldBack } from '../lib/hash/held-back.ts'
import { backoffMs } from '../lib/retry.ts'
import { formatDuration, formatSize } from '../lib/units.ts'
import type { Answer } from './answer.ts'
import { algorithmOf, digestOf, type Digest } from './digest.ts'
import type { Limits } from './limits.ts'
import { readContentRange } from './range.ts'

export interface Expected {
  digest: Digest
  /** Bytes. */
  size: number
}

/**
 * Passes bytes on and throws IntegrityError when they are not what was expected. The last piece is held back until
 * everything was found to be right: whoever got all bytes got the right ones. `what` names them in the message.
 */
export async function* verified(
  source: AsyncIterable<Uint8Array>,
  { digest, size }: Expected,
  what: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const algorithm = algorithmOf(digest)
  yield* heldBack(ofSize(source, size, what), new GrowingHash(algorithm), (hex) => {
    const actual = `${algorithm}:${hex}`
    if (actual !== digest) throw wrongDigest(what, actual, digest)
  })
}

/** As `verified`, for what is small: all of it, in memory. */
export async function verifiedBytes(
  source: AsyncIterable<Uint8Array>,
  { digest, size }: Expected,
  what: string,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of ofSize(source, size, what)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  const actual = digestOf(bytes, algorithmOf(digest))
  if (actual !== digest) throw wrongDigest(what, actual, digest)
  return bytes
}

async function* ofSize(source: AsyncIterable<Uint8Array>, size: number, what: string): AsyncIterable<Uint8Array> {
  let received = 0
  for await (const chunk of source) {
    received += chunk.length
    if (received > size) throw wrongSize(what, `more than the ${size} bytes that were announced`)
    yield chunk
  }
  if (received < size) throw wrongSize(what, `${received} bytes, not the ${size} that were announced`)
}

export interface ResumeOptions {
  size: number
  host: string
  what: string
  limits: Limits
  clock: Clock
  random: () => number
  signal?: AbortSignal | undefined
  /** Asks the registry, never the storage it redirected to: signed URLs expire. `from` is the first byte that is wanted. */
  open: (from: number) => Promise<Answer>
}

/** The bytes of a blob, unverified; goes on where the line was cut. https://www.rfc-editor.org/rfc/rfc9110#section-14 */
export async function* resumed(options: ResumeOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { limits, clock, random, signal } = options
  let received = 0
  let tries = 0
  for (let resumes = 0; ; resumes++) {
    const before = received
    try {
      for await (const chunk of opened(options, received)) {
        received += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      signal?.throwIfAborted()
      if (!(error instanceof LineCut)) throw error
      // A line that brings something each time is slow, not dead; one that drips would never come to an end.
      const enough = error.cause.code === 'timeout' ? limits.slowBytes : 1
      tries = received - before >= enough ? 1 : tries + 1
      if (tries >= limits.tries || resumes >= limits.resumes) throw error.cause
      const backoff = { firstMs: limits.backoffFirstMs, factor: limits.backoffFactor, capMs: limits.backoffCapMs }
      await clock.sleep(backoffMs(tries, backoff, random), signal)
    }
  }
}

/** A body that ended too early for a reason that may pass; told apart from a request that was refused after all its retries. */
class LineCut extends Error {
  declare readonly cause: RemoteError

  constructor(cause: RemoteError) {
    super('the line was cut', { cause })
  }
}

async function* opened(options: ResumeOptions, from: number): AsyncGenerator<Uint8Array, void, undefined> {
  const { size, host, what } = options
  const answer = await options.open(from)
  const wrong = wrongRange(answer, from, options)
  if (wrong !== undefined) {
    await answer.discard()
    throw wrong
  }
  // 200 instead of 206: it begins at the beginning.
  let skip = answer.status === 200 ? from : 0
  let at = from - skip
  try {
    for await (const chunk of lively(answer.stream(), options)) {
      const rest = chunk.subarray(Math.min(skip, chunk.length))
      skip -= chunk.length - rest.length
      at += chunk.length
      if (rest.length > 0) yield rest
    }
  } catch (error) {
    if (error instanceof RemoteError && error.retryable) throw new LineCut(error)
    throw error
  }
  // Without a length, a cut line looks like the end.
  if (at < size && answer.length() === undefined) {
    const message = `cannot ${what}: ${host} ended after ${at} of ${size} bytes`
    throw new LineCut(new RemoteError('network', message, { host, retryable: true }))
  }
}

/** Throws RemoteError `timeout` when too little comes. Only waiting for the line counts: whoever takes the bytes may be slow. */
async function* lively(
  source: AsyncIterable<Uint8Array>,
  { limits, clock, host, what }: ResumeOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytes = 0
  let waitedMs = 0
  let askedAt = clock.monotonic()
  for await (const chunk of source) {
    bytes += chunk.length
    waitedMs += clock.monotonic() - askedAt
    if (waitedMs >= limits.slowMs) {
      if (bytes < limits.slowBytes) throw tooSlow(bytes, limits, host, what)
      bytes = waitedMs = 0
    }
    yield chunk
    askedAt = clock.monotonic()
  }
}

function tooSlow(bytes: number, { slowMs }: Limits, host: string, what: string): RemoteError {
  const message = `cannot ${what}: ${host} sent only ${formatSize(bytes)} in ${formatDuration(slowMs)}`
  return new RemoteError('timeout', message, { host, retryable: true })
}

function wrongRange(answer: Answer, from: number, { size, host, what }: ResumeOptions): Error | undefined {
  if (answer.status === 200) {
    const length = answer.length()
    const isRight = length === undefined || length === size
    return isRight ? undefined : wrongSize(what, `${length} bytes, not the ${size} that were announced`)
  }
  const range = readContentRange(answer.header('content-range') ?? '')
  if (range?.first === from && range.last === size - 1 && [null, size].includes(range.size)) return undefined
  const message = `cannot ${what}: ${host} was asked for bytes ${from}-${size - 1} and answered with other ones`
  return new RemoteError('protocol', message, { host, status: answer.status })
}

function wrongDigest(what: string, actual: string, digest: Digest): IntegrityError {
  return new IntegrityError('digest_mismatch', `${what} has the digest ${actual}, not ${digest}`)
}

function wrongSize(what: string, why: string): IntegrityError {
  return new IntegrityError('size_mismatch', `${what} has ${why}`)
}
