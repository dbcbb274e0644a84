import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { IntegrityError, RemoteError } from '../lib/errors.ts'
import { algorithmOf, finish, type Digest } from './digest.ts'
import { isMissing, storageError, syncFolder } from './layout-index.ts'
import type { Descriptor } from './target.ts'

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
    const hash = createHash(algorithmOf(descriptor.digest))
    let size = 0
    try {
      const stream = createReadStream(this.#path(descriptor.digest), signal === undefined ? {} : { signal })
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > descriptor.size) break
        hash.update(chunk)
        yield chunk
      }
    } catch (error) {
      signal?.throwIfAborted()
      throw this.#unreadable(descriptor.digest, error)
    }
    check(this.#name, descriptor, size, finish(hash, algorithmOf(descriptor.digest)))
  }

  /** Aside, hashed, synced, and only then under its name. */
  async write(descriptor: Descriptor, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    const algorithm = algorithmOf(descriptor.digest)
    const [folder, ingest] = [join(this.#folder, 'blobs', algorithm), join(this.#folder, 'ingest')]
    const aside = join(ingest, randomUUID())
    const hash = createHash(algorithm)
    let size = 0
    const counted = async function* () {
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
        await handle.writeFile(counted())
        check('what came', descriptor, size, finish(hash, algorithm))
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

function check(where: string, { digest, size: wanted }: Descriptor, size: number, is: Digest): void {
  if (size !== wanted) {
    const shown = size > wanted ? 'more' : `${size}`
    throw new IntegrityError('size_mismatch', `${where}: ${digest} has ${shown} bytes, not ${wanted}`)
  }
  if (is !== digest) throw new IntegrityError('digest_mismatch', `${where}: ${digest} hashes to ${is}`)
}

function isDiskError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}
