import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { IntegrityError, StorageError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import { finish, type Digest } from '../oci/digest.ts'
import { describeDisk } from './disk.ts'

/** A file's content inside the spool. */
export interface Slice {
  offset: number
  /** Bytes. */
  size: number
  digest: Digest
}

const readBytes = 256 * 1024

/**
 * Contents of many files, one after the other in one nameless file: what comes out of an archive is kept without ever
 * being given a path of its own, so that no name in an archive can reach the file system. Reads and writes are
 * synchronous: this belongs in a thread of its own, and with many small files waiting costs more than the disk.
 */
export class Spool {
  readonly #file: number
  readonly #folder: string
  readonly #maxBytes: number
  #end = 0

  private constructor(file: number, folder: string, maxBytes: number) {
    this.#file = file
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  /** The file at `path` is unlinked at once: it is gone when the process is. `maxBytes` over all contents. */
  static create(path: string, maxBytes: number): Spool {
    const folder = dirname(path)
    try {
      const file = openSync(path, 'wx+', 0o600)
      rmSync(path)
      return new Spool(file, folder, maxBytes)
    } catch (error) {
      throw describeDisk(error, workIn(folder))
    }
  }

  /** Throws IntegrityError `bad_archive` beyond the ceiling. */
  async add(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Slice> {
    const offset = this.#end
    const hash = createHash('sha256')
    for await (const chunk of content) {
      if (this.#end + chunk.length > this.#maxBytes) {
        throw new IntegrityError(
          'bad_archive',
          `the layers together unpack to more than ${formatSize(this.#maxBytes)}`,
          {
            hint: 'The ceilings are in the config, under `limits`.',
          },
        )
      }
      hash.update(chunk)
      this.#write(chunk)
    }
    return { offset, size: this.#end - offset, digest: finish(hash, 'sha256') }
  }

  #write(chunk: Uint8Array): void {
    try {
      for (let at = 0; at < chunk.length;) {
        const written = writeSync(this.#file, chunk, at, chunk.length - at, this.#end)
        at += written
        this.#end += written
      }
    } catch (error) {
      throw describeDisk(error, workIn(this.#folder))
    }
  }

  *read({ offset, size }: Slice): Generator<Buffer> {
    for (let at = offset; at < offset + size;) {
      const buffer = Buffer.allocUnsafe(Math.min(readBytes, offset + size - at))
      const bytesRead = readSync(this.#file, buffer, 0, buffer.length, at)
      if (bytesRead === 0) throw new StorageError('io', 'a file for work in progress ended early')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  bytes(slice: Slice): Buffer {
    return Buffer.concat([...this.read(slice)])
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Without its own name, which is another one each time: the same failure is no news. */
function workIn(folder: string): string {
  return `a file for work in progress in ${folder}`
}
