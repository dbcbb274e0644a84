import { IntegrityError, RemoteError } from '../../src/lib/errors.ts'
import { digestOf, isDigest, type Digest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { emptyJson, ociConfig, ociIndex, ociLayerTarGzip, ociManifest } from '../../src/oci/media.ts'
import type { Descriptor, Platform, RawManifest, Sink, Source } from '../../src/oci/target.ts'

/** A repository in memory, as strict as the interface asks, that can be looked into and made to fail. */
export class MemoryRepository implements Sink {
  readonly name: string
  readonly blobs = new Map<Digest, Buffer>()
  readonly manifests = new Map<Digest, RawManifest>()
  readonly tagged = new Map<string, Digest>()
  /** Each call, in order: `head v1`, `putBlob sha256:…`, `putManifest sha256:… tag,tag`. */
  readonly log: string[] = []
  mountable = false

  constructor(name: string) {
    this.name = name
  }

  async head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    signal?.throwIfAborted()
    this.log.push(`head ${reference}`)
    const raw = this.#find(reference)
    return raw && { mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length }
  }

  async manifest(reference: string, signal?: AbortSignal): Promise<RawManifest> {
    signal?.throwIfAborted()
    this.log.push(`manifest ${reference}`)
    const raw = this.#find(reference)
    if (raw === undefined) throw new RemoteError('not_found', `${this.name} has no ${reference}`, { host: this.name })
    return raw
  }

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    signal?.throwIfAborted()
    this.log.push(`blob ${descriptor.digest}`)
    const bytes = this.blobs.get(descriptor.digest)
    if (bytes === undefined) throw new RemoteError('not_found', `no blob ${descriptor.digest}`, { host: this.name })
    yield bytes
    check(descriptor, bytes)
  }

  rawBlob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.blob(descriptor, signal)
  }

  async *tags(): AsyncIterable<string> {
    yield* [...this.tagged.keys()].sort()
  }

  async referrers(digest: Digest, { artifactType }: { artifactType?: string } = {}): Promise<Descriptor[]> {
    return [...this.manifests.values()]
      .filter((raw) => parseManifest(raw).subject?.digest === digest)
      .map((raw) => ({ mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length }))
      .filter(() => artifactType === undefined)
  }

  async hasBlob({ digest }: Descriptor): Promise<boolean> {
    return this.blobs.has(digest)
  }

  async putBlob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.log.push(`putBlob ${descriptor.digest}`)
    const chunks: Uint8Array[] = []
    for await (const chunk of open()) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    check(descriptor, bytes)
    this.blobs.set(descriptor.digest, bytes)
  }

  async mountBlob(descriptor: Descriptor, from: Source): Promise<boolean> {
    if (!this.mountable || !(from instanceof MemoryRepository)) return false
    this.blobs.set(descriptor.digest, from.blobs.get(descriptor.digest)!)
    return true
  }

  async putManifest(raw: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.log.push(`putManifest ${raw.digest} ${tags.join()}`)
    this.manifests.set(raw.digest, raw)
    for (const tag of tags) this.tagged.set(tag, raw.digest)
  }

  async deleteManifest(digest: Digest): Promise<void> {
    this.manifests.delete(digest)
    for (const [tag, to] of this.tagged) if (to === digest) this.tagged.delete(tag)
  }

  async deleteTag(tag: string): Promise<void> {
    this.tagged.delete(tag)
  }

  #find(reference: string): RawManifest | undefined {
    const digest = isDigest(reference) ? reference : this.tagged.get(reference)
    return digest && this.manifests.get(digest)
  }
}

export function blobOf(text: string | Buffer, mediaType: string = ociLayerTarGzip): Descriptor {
  return { mediaType, digest: digestOf(text), size: Buffer.byteLength(text) }
}

/** An image manifest in `into`, with these texts as layers. */
export async function imageOf(
  into: Sink,
  texts: (string | Buffer)[],
  options: { tags?: string[]; layers?: Descriptor[]; subject?: RawManifest; annotations?: Record<string, string> } = {},
): Promise<RawManifest> {
  const blobs = [emptyJson, ...texts].map((text) => ({ text, descriptor: blobOf(text) }))
  for (const { text, descriptor } of blobs) await into.putBlob(descriptor, () => chunks(text))
  return put(into, options, {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: blobOf(emptyJson, ociConfig),
    layers: [...blobs.slice(1).map(({ descriptor }) => descriptor), ...(options.layers ?? [])],
    ...(options.annotations && { annotations: options.annotations }),
  })
}

export async function indexOf(
  into: Sink,
  members: RawManifest[],
  options: { tags?: string[]; platforms?: Platform[]; subject?: RawManifest } = {},
): Promise<RawManifest> {
  const manifests = members.map((raw, at) => ({
    ...descriptorOf(raw),
    ...(options.platforms?.[at] && { platform: options.platforms[at] }),
  }))
  return put(into, options, { schemaVersion: 2, mediaType: ociIndex, manifests })
}

export function descriptorOf({ mediaType, digest, bytes }: RawManifest): Descriptor {
  return { mediaType, digest, size: bytes.length }
}

async function put(
  into: Sink,
  { tags = [], subject }: { tags?: string[]; subject?: RawManifest },
  json: Record<string, unknown> & { mediaType: string },
): Promise<RawManifest> {
  const bytes = Buffer.from(JSON.stringify({ ...json, ...(subject && { subject: descriptorOf(subject) }) }))
  const raw = { mediaType: json.mediaType, digest: digestOf(bytes), bytes }
  await into.putManifest(raw, tags)
  return raw
}

async function* chunks(text: string | Buffer): AsyncIterable<Uint8Array> {
  yield Buffer.from(text)
}

function check({ digest, size }: Descriptor, bytes: Buffer): void {
  if (bytes.length !== size) throw new IntegrityError('size_mismatch', `${bytes.length} bytes, not ${size}`)
  if (digestOf(bytes) !== digest) throw new IntegrityError('digest_mismatch', `not ${digest}`)
}
