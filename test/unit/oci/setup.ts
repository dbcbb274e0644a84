import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { createOciClient, type OciClient, type OciClientOptions } from '../../../src/oci/client.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociEmpty, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../../src/oci/target.ts'
import { FakeClock } from '../../support/clock.ts'
import type { Reply } from '../../support/scripted-server.ts'

export interface TestClient extends AsyncDisposable {
  client: OciClient
  clock: FakeClock
  redactor: Redactor
  /** Runs `work` while the clock goes on whenever it waits: no test waits for a retry. */
  run: <T>(work: Promise<T>) => Promise<T>
}

export function testClient(options: Partial<OciClientOptions> = {}): TestClient {
  const clock = new FakeClock()
  const redactor = new Redactor()
  const client = createOciClient({ clock, random: () => 1, logger: silentLogger, redactor, ...options })
  return {
    client,
    clock,
    redactor,
    run: (work) => whileWaiting(clock, work),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

/** Lets retries through at once, but not the time-outs of a minute and more. */
async function whileWaiting<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let done = false
  const settled = work.finally(() => (done = true))
  settled.catch(() => undefined)
  while (!done) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    const next = clock.nextInMs()
    if (next !== undefined && next < 50_000) await clock.advance(next)
  }
  return settled
}

export const emptyConfig: Descriptor = { mediaType: ociEmpty, digest: digestOf('{}'), size: 2 }

export function blobOf(bytes: Uint8Array | string): Descriptor {
  return { mediaType: 'application/octet-stream', digest: digestOf(bytes), size: Buffer.from(bytes).length }
}

export function manifestOf(extra: Record<string, unknown> = {}): RawManifest {
  const bytes = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, config: emptyConfig, layers: [], ...extra }),
  )
  return { mediaType: ociManifest, digest: digestOf(bytes), bytes }
}

export function manifestReply(raw: RawManifest, headers: Record<string, string> = {}): Reply {
  return {
    body: raw.bytes,
    headers: {
      'content-type': raw.mediaType,
      'docker-content-digest': raw.digest,
      'content-length': String(raw.bytes.length),
      ...headers,
    },
  }
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source))
}

export async function* piecesOf(bytes: Uint8Array, size = 4): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

export async function failureOf(
  work: Promise<unknown>,
): Promise<{ code: string; message: string; name: string } & Record<string, unknown>> {
  try {
    await work
  } catch (error) {
    return error as never
  }
  throw new Error('it did not fail')
}
