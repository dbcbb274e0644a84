import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { makeFolders } from '../lib/folders.ts'
import { GrowingHash } from '../lib/hash/growing.ts'
import { heldBack } from '../lib/hash/held-back.ts'
import { Pour, slabBytes } from '../lib/hash/pour.ts'
import { writeAll } from '../lib/write-all.ts'
import { algorithmOf, type Digest } from './digest.ts'
import { isMissing, storageError, syncFolder } from './layout-index.ts'
import type { Descriptor } from './target.ts'

const readBytes = 256 * 1024

/** `blobs/<alg>/<hex>` of a layout: what goes in and what comes out is what its name says. */
export class LayoutBlobs {
  readonly #folder: string
  readonly #name: string

  /** `name` is the layout's, for messages. */
  constructor(folder: string, name: string) {
    this.#folder = folder
    this.#name = name
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    try {
      return (await stat(this.#path(descriptor.digest))).size === descriptor.size
    } catch (error) {
      if (isMissing(error)) return false
      throw this.#unreadable(descriptor.digest, error)
    }
  }

  async *read(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const algorithm = algorithmOf(descriptor.digest)
    const hash = new GrowingHash(algorithm)
    const bytes = counted(this.raw(descriptor, signal), descriptor)
    yield* heldBack(bytes, hash, (hex) => checkDigest(this.#name, descriptor, `${algorithm}:${hex}`))
  }

  /** As the disk gives them. */
  async *raw({ digest }: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    try {
      const options = { highWaterMark: readBytes, ...(signal && { signal }) }
      yield* createReadStream(this.#path(digest), options) as AsyncIterable<Buffer>
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#unreadable(digest, error)
    }
  }

  /** Aside, hashed, synced, and only then under its name. */
  async write(descriptor: Descriptor, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const algorithm = algorithmOf(descriptor.digest)
    const [folder, ingest] = [join(this.#folder, 'blobs', algorithm), join(this.#folder, 'ingest')]
    const aside = join(ingest, randomUUID())
    try {
      for (const path of [folder, ingest]) await makeFolders(path)
      const handle = await open(aside, 'wx')
      try {
        checkDigest('what came', descriptor, await receive(handle, descriptor, source, signal))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(aside, this.#path(descriptor.digest))
      await syncFolder(folder)
    } catch (error) {
      await rm(aside, { force: true }).catch(() => undefined)
      // Errors of the source and of our checks go on as they are; those of the disk become ours.
      throw isDiskError(error) ? storageError(`writing blob ${descriptor.digest} into ${this.#name}`, error) : error
    }
  }

  #unreadable(digest: Digest, error: unknown): Error {
    if (!isDiskError(error)) return error as Error
    if (!isMissing(error)) return storageError(`reading blob ${digest} of ${this.#name}`, error)
    return new RemoteError('not_found', `${this.#name} does not hold blob ${digest}`, { host: this.#name })
  }

  #path(digest: Digest): string {
    return join(this.#folder, 'blobs', algorithmOf(digest), digest.slice(digest.indexOf(':') + 1))
  }
}

/** Writes what comes, and gives its digest. */
async function receive(
  handle: FileHandle,
  descriptor: Descriptor,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<Digest> {
  const algorithm = algorithmOf(descriptor.digest)
  const hash = new GrowingHash(algorithm)
  // A thread starts while the registry is asked.
  if (descriptor.size >= slabBytes) hash.expectMany()
  const pour = new Pour({
    hash,
    write: (buffers, offset) => writeAll(handle, buffers, offset),
    flush: () => handle.datasync(),
  })
  try {
    for await (const chunk of counted(source, descriptor)) {
      signal?.throwIfAborted()
      await pour.add(chunk)
    }
    await pour.end()
    return `${algorithm}:${await hash.digest()}`
  } finally {
    await pour.settle()
    hash.end()
  }
}

/** Throws IntegrityError where there are more or fewer than there should be. */
async function* counted(
  source: AsyncIterable<Uint8Array>,
  { digest, size }: Descriptor,
): AsyncGenerator<Uint8Array, void, undefined> {
  const wrong = (shown: string) => new IntegrityError('size_mismatch', `${digest} has ${shown} bytes, not ${size}`)
  let received = 0
  for await (const chunk of source) {
    received += chunk.length
    if (received > size) throw wrong('more')
    yield chunk
  }
  if (received < size) throw wrong(`${received}`)
}

function checkDigest(where: string, { digest }: Descriptor, is: Digest): void {
  if (is !== digest) throw new IntegrityError('digest_mismatch', `${where}: ${digest} hashes to ${is}`)
}

function isDiskError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}
