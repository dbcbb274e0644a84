import { resolve } from 'node:path'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { isDigest, type Digest } from './digest.ts'
import { LayoutBlobs } from './layout-blobs.ts'
import { createLayoutFiles, entryOf, readIndex, refName, untagged, writeIndex, type Entry } from './layout-index.ts'
import { artifactTypeOf, maxManifestBytes, parseManifest, type Manifest } from './manifest.ts'
import { isImageManifest, isIndex } from './media.ts'
import type { Descriptor, RawManifest, Sink, Source } from './target.ts'

/** Hostile indexes may name indexes that name indexes. */
const maxDepth = 8

export interface LayoutOptions {
  /** Makes the layout, and its folders, where it is not there yet. */
  create?: boolean
}

/**
 * An OCI image layout on disk. Reads see what other programs have written meanwhile; writes are for one process at a time.
 * Throws ConfigError `no_layout` when the folder is none, StorageError `corrupt` when its index cannot be read.
 */
export async function openLayout(folder: string, { create = false }: LayoutOptions = {}): Promise<Layout> {
  const path = resolve(folder)
  if (create) await createLayoutFiles(path)
  await readIndex(path)
  return new Layout(path, folder)
}

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
export class Layout implements Sink {
  readonly name: string
  readonly #folder: string
  readonly #blobs: LayoutBlobs
  #writing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, shownAs: string) {
    this.#folder = folder
    this.name = `oci-layout:${shownAs}`
    this.#blobs = new LayoutBlobs(folder, this.name)
  }

  async head(reference: string, signal?: AbortSignal): Promise<Descriptor | undefined> {
    signal?.throwIfAborted()
    const { entries } = await readIndex(this.#folder)
    // Where tools left several of one name, the newest stands last.
    if (!isDigest(reference)) return entries.findLast((entry) => refName(entry.descriptor) === reference)?.descriptor
    for await (const descriptor of this.#reachable(entries, signal)) {
      if (descriptor.digest === reference) return descriptor
    }
    return undefined
  }

  async manifest(reference: string, signal?: AbortSignal): Promise<RawManifest> {
    const descriptor = await this.head(reference, signal)
    if (descriptor === undefined) throw await this.#notFound(reference)
    return this.#read(descriptor)
  }

  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#blobs.read(descriptor, signal)
  }

  rawBlob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#blobs.raw(descriptor, signal)
  }

  async *tags(signal?: AbortSignal): AsyncIterable<string> {
    signal?.throwIfAborted()
    const { entries } = await readIndex(this.#folder)
    yield* tagsOf(entries)
  }

  async referrers(
    digest: Digest,
    { artifactType, signal }: { artifactType?: string; signal?: AbortSignal } = {},
  ): Promise<Descriptor[]> {
    const { entries } = await readIndex(this.#folder)
    const found = new Map<Digest, Descriptor>()
    for await (const descriptor of this.#reachable(entries, signal)) {
      if (found.has(descriptor.digest)) continue
      const manifest = parseManifest(await this.#read(descriptor))
      if (manifest.subject?.digest === digest) found.set(descriptor.digest, describe(descriptor, manifest))
    }
    return [...found.values()].filter((found) => artifactType === undefined || found.artifactType === artifactType)
  }

  hasBlob(descriptor: Descriptor): Promise<boolean> {
    return this.#blobs.has(descriptor)
  }

  async putBlob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    await this.#blobs.write(descriptor, open(), signal)
  }

  /** Two folders have nothing to share. */
  mountBlob(_descriptor: Descriptor, _from: Source): Promise<boolean> {
    return Promise.resolve(false)
  }

  async putManifest(raw: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void> {
    const manifest = parseManifest(raw)
    const descriptor = { mediaType: manifest.mediaType, digest: raw.digest, size: raw.bytes.length }
    await this.#blobs.write(descriptor, chunksOf(raw.bytes), signal)
    await this.#change(async (entries) => {
      // A tag that moves away leaves its manifest behind, untagged, as in a registry.
      const left = entries.map((entry) => (isNamed(entry, tags) ? untagged(entry) : entry))
      const added =
        tags.length === 0 ? [entryOf(describe(descriptor, manifest))] : tags.map((tag) => entryOf(descriptor, tag))
      return tidied([...left, ...added])
    })
  }

  async deleteManifest(digest: Digest): Promise<void> {
    await this.#change(async (entries) => {
      const left = entries.filter((entry) => entry.descriptor.digest !== digest)
      if (left.length === entries.length) throw await this.#notFound(digest)
      return left
    })
  }

  async deleteTag(tag: string): Promise<void> {
    await this.#change(async (entries) => {
      if (!entries.some((entry) => isNamed(entry, [tag]))) throw await this.#notFound(tag)
      return tidied(entries.map((entry) => (isNamed(entry, [tag]) ? untagged(entry) : entry)))
    })
  }

  /** What the index names, and what the indexes it names do, each once. */
  async *#reachable(entries: readonly Entry[], signal?: AbortSignal): AsyncIterable<Descriptor> {
    const seen = new Set<Digest>()
    let level = entries.map(({ descriptor }) => descriptor)
    for (let depth = 0; depth < maxDepth && level.length > 0; depth++) {
      const next: Descriptor[] = []
      for (const descriptor of level) {
        signal?.throwIfAborted()
        if (seen.has(descriptor.digest) || !isManifestType(descriptor.mediaType)) continue
        seen.add(descriptor.digest)
        // A sparse index names members that are not here.
        if (!(await this.#blobs.has(descriptor))) continue
        yield descriptor
        if (!isIndex(descriptor.mediaType)) continue
        const index = parseManifest(await this.#read(descriptor))
        if (index.kind === 'index') next.push(...index.manifests)
      }
      level = next
    }
  }

  async #read(descriptor: Descriptor): Promise<RawManifest> {
    if (descriptor.size > maxManifestBytes) {
      throw new IntegrityError('size_mismatch', `${this.name}: ${descriptor.digest} is too big for a manifest`)
    }
    const bytes = Buffer.concat(await Array.fromAsync(this.#blobs.read(descriptor)))
    return { mediaType: descriptor.mediaType, digest: descriptor.digest, bytes }
  }

  /** One change of the index after the other: each reads what the one before has written. */
  #change(edit: (entries: readonly Entry[]) => Promise<Entry[]>): Promise<void> {
    const change = this.#writing.then(async () => {
      const index = await readIndex(this.#folder)
      await writeIndex(this.#folder, { ...index, entries: await edit(index.entries) })
    })
    this.#writing = change.catch(() => undefined)
    return change
  }

  async #notFound(reference: string): Promise<RemoteError> {
    const tags = tagsOf((await readIndex(this.#folder)).entries)
    return new RemoteError(
      'not_found',
      `${this.name} has no ${isDigest(reference) ? 'manifest' : 'tag'} ${reference}`,
      {
        host: this.name,
        hint: tags.length === 0 ? 'It has no tags.' : `It has the tags ${tags.slice(0, 10).join(', ')}.`,
      },
    )
  }
}

function describe({ mediaType, digest, size }: Descriptor, manifest: Manifest): Descriptor {
  const artifactType = artifactTypeOf(manifest)
  const { annotations } = manifest
  return { mediaType, digest, size, ...(artifactType && { artifactType }), ...(annotations && { annotations }) }
}

function isManifestType(mediaType: string): boolean {
  return isIndex(mediaType) || isImageManifest(mediaType)
}

function isNamed({ descriptor }: Entry, tags: readonly string[]): boolean {
  const name = refName(descriptor)
  return name !== undefined && tags.includes(name)
}

/** An entry without a tag says nothing where the same manifest stands under a tag, or a second time. */
function tidied(entries: readonly Entry[]): Entry[] {
  const tagged = new Set(
    entries.filter(({ descriptor }) => refName(descriptor)).map(({ descriptor }) => descriptor.digest),
  )
  const bare = new Set<Digest>()
  return entries.filter(({ descriptor }) => {
    if (refName(descriptor) !== undefined) return true
    if (tagged.has(descriptor.digest) || bare.has(descriptor.digest)) return false
    bare.add(descriptor.digest)
    return true
  })
}

function tagsOf(entries: readonly Entry[]): string[] {
  return [...new Set(entries.flatMap(({ descriptor }) => refName(descriptor) ?? []))].sort()
}

async function* chunksOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
