import { createHash } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { IntegrityError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'
import { finish, type Digest } from '../oci/digest.ts'

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
 * being given a path of its own, so that no name in an archive can reach the file system.
 */
export class Spool {
  readonly #file: FileHandle
  readonly #maxBytes: number
  #end = 0

  private constructor(file: FileHandle, maxBytes: number) {
    this.#file = file
    this.#maxBytes = maxBytes
  }

  /** The file at `path` is unlinked at once: it is gone when the process is. `maxBytes` over all contents. */
  static async create(path: string, maxBytes: number): Promise<Spool> {
    const file = await open(path, 'wx+', 0o600)
    await rm(path)
    return new Spool(file, maxBytes)
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
      await this.#file.writev([chunk], this.#end)
      this.#end += chunk.length
    }
    return { offset, size: this.#end - offset, digest: finish(hash, 'sha256') }
  }

  async *read({ offset, size }: Slice): AsyncGenerator<Buffer> {
    for (let at = offset; at < offset + size;) {
      const length = Math.min(readBytes, offset + size - at)
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, at)
      if (bytesRead === 0) throw new Error('the spool ended early')
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  }

  async bytes(slice: Slice): Promise<Buffer> {
    return Buffer.concat(await Array.fromAsync(this.read(slice)))
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
