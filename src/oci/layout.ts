import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { algorithmOf, digestOf, finish, isDigest, type Digest } from './digest.ts'
import {
  createLayoutFiles,
  entryOf,
  isMissing,
  readIndex,
  refName,
  storageError,
  syncFolder,
  untagged,
  writeIndex,
  type Entry,
} from './layout-index.ts'
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
  #writing: Promise<unknown> = Promise.resolve()

  constructor(folder: string, shownAs: string) {
    this.#folder = folder
    this.name = `oci-layout:${shownAs}`
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

  async *blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const hash = createHash(algorithmOf(descriptor.digest))
    let size = 0
    try {
      for await (const chunk of createReadStream(
        this.#path(descriptor.digest),
        signal === undefined ? {} : { signal },
      )) {
        size += (chunk as Buffer).length
        if (size > descriptor.size) break
        hash.update(chunk as Buffer)
        yield chunk as Buffer
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#unreadable(descriptor.digest, error)
    }
    checkBlob(this.name, descriptor, size, finish(hash, algorithmOf(descriptor.digest)))
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

  async hasBlob(descriptor: Descriptor): Promise<boolean> {
    try {
      return (await stat(this.#path(descriptor.digest))).size === descriptor.size
    } catch (error) {
      if (isMissing(error)) return false
      throw this.#unreadable(descriptor.digest, error)
    }
  }

  async putBlob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    await this.#write(descriptor, open(), signal)
  }

  /** Two folders have nothing to share. */
  mountBlob(_descriptor: Descriptor, _from: Source): Promise<boolean> {
    return Promise.resolve(false)
  }

  async putManifest(raw: RawManifest, tags: readonly string[], signal?: AbortSignal): Promise<void> {
    const manifest = parseManifest(raw)
    const descriptor = { mediaType: manifest.mediaType, digest: raw.digest, size: raw.bytes.length }
    await this.#write(descriptor, chunksOf(raw.bytes), signal)
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
        if (!(await this.hasBlob(descriptor))) continue
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
    const bytes = await readFile(this.#path(descriptor.digest)).catch((error: unknown) => {
      throw this.#unreadable(descriptor.digest, error)
    })
    checkBlob(this.name, descriptor, bytes.length, digestOf(bytes, algorithmOf(descriptor.digest)))
    return { mediaType: descriptor.mediaType, digest: descriptor.digest, bytes }
  }

  /** Aside, hashed, synced, and only then under its name. */
  async #write(descriptor: Descriptor, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const algorithm = algorithmOf(descriptor.digest)
    const folder = join(this.#folder, 'blobs', algorithm)
    const ingest = join(this.#folder, 'ingest')
    const aside = join(ingest, randomUUID())
    const hash = createHash(algorithm)
    let size = 0
    const checked = async function* () {
      for await (const chunk of source) {
        signal?.throwIfAborted()
        size += chunk.length
        if (size > descriptor.size) break
        hash.update(chunk)
        yield chunk
      }
    }
    try {
      for (const path of [folder, ingest]) await mkdir(path, { recursive: true })
      const handle = await open(aside, 'wx')
      try {
        await handle.writeFile(checked())
        checkBlob('what came', descriptor, size, finish(hash, algorithm))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(aside, this.#path(descriptor.digest))
      await syncFolder(folder)
    } catch (error) {
      await rm(aside, { force: true }).catch(() => undefined)
      // Errors of the source and of our checks go on as they are; those of the disk become ours.
      throw isDiskError(error) ? storageError(`writing blob ${descriptor.digest} into ${this.name}`, error) : error
    }
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

  #unreadable(digest: Digest, error: unknown): Error {
    if (!isDiskError(error)) return error as Error
    if (!isMissing(error)) return storageError(`reading blob ${digest} of ${this.name}`, error)
    return new RemoteError('not_found', `${this.name} does not hold blob ${digest}`, { host: this.name })
  }

  #path(digest: Digest): string {
    return join(this.#folder, 'blobs', algorithmOf(digest), digest.slice(digest.indexOf(':') + 1))
  }
}

function checkBlob(where: string, descriptor: Descriptor, size: number, digest: Digest): void {
  if (size !== descriptor.size) {
    const is = size > descriptor.size ? 'more' : `${size}`
    throw new IntegrityError('size_mismatch', `${where}: ${descriptor.digest} has ${is} bytes, not ${descriptor.size}`)
  }
  if (digest !== descriptor.digest) {
    throw new IntegrityError('digest_mismatch', `${where}: ${descriptor.digest} hashes to ${digest}`)
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

function isDiskError(error: unknown): error is NodeJS.ErrnoException {
  const { syscall } = error as NodeJS.ErrnoException
  return error instanceof Error && typeof syscall === 'string'
}

async function* chunksOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
