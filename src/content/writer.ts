import { createHash, type Hash } from 'node:crypto'
import { IntegrityError } from '../lib/errors.ts'
import { finish, type Algorithm, type Digest } from '../oci/digest.ts'
import { abortable } from './abortable.ts'
import type { Budget } from './budget.ts'
import { onDisk } from './errors.ts'
import type { FileSteps, NewFile } from './files.ts'
import { readFileChunks } from './reader.ts'

/** Sockets give 16 to 64 KiB at a time; a write of this much costs hardly more. */
const gatherBytes = 512 * 1024
/** Hashing this much takes 4 ms on a slow processor: the loop is free in between. */
const sliceBytes = 1024 * 1024

export interface HashingOptions {
  steps: FileSteps
  algorithm: Algorithm
  /** For messages. */
  what: string
  budget: Budget | undefined
}

export interface WriteOptions {
  /** IntegrityError `size_mismatch` beyond this. */
  maxBytes: number
  signal?: AbortSignal | undefined
}

/** A file that grows while its digest is computed. */
export class HashingFile {
  readonly path: string
  readonly #file: NewFile
  readonly #algorithm: Algorithm
  readonly #what: string
  readonly #budget: Budget | undefined
  #hash: Hash
  #size = 0
  /** What of the budget is given back when the file goes. */
  #taken = 0

  static async create(path: string, options: HashingOptions): Promise<HashingFile> {
    const { steps, what } = options
    const file = await onDisk({ what: `creating a file for ${what}`, path }, () => steps.create(path))
    return new HashingFile(file, path, options)
  }

  private constructor(file: NewFile, path: string, { algorithm, what, budget }: HashingOptions) {
    this.#file = file
    this.path = path
    this.#algorithm = algorithm
    this.#what = what
    this.#budget = budget
    this.#hash = createHash(algorithm)
  }

  get size(): number {
    return this.#size
  }

  digest(): Digest {
    return finish(this.#hash.copy(), this.#algorithm)
  }

  /** Reads the file again, for a digest that was not computed on the way. */
  async rehash(algorithm: Algorithm): Promise<Digest> {
    const hash = createHash(algorithm)
    for await (const chunk of readFileChunks(this.path, { first: 0, last: this.#size - 1 })) hash.update(chunk)
    return finish(hash, algorithm)
  }

  /** All of the source, or nothing: on an error the file is as long as it was before. */
  async append(source: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<void> {
    const before = { hash: this.#hash.copy(), size: this.#size }
    try {
      await this.#write(source, options)
    } catch (error) {
      this.#giveBack(this.#size - before.size)
      this.#hash = before.hash
      this.#size = before.size
      // Frees the space at once. Whether it works does not matter to what follows: writes are by position, and `seal` truncates again.
      await this.#file.truncate(before.size).catch(() => undefined)
      throw error
    }
  }

  async #write(source: AsyncIterable<Uint8Array>, { maxBytes, signal }: WriteOptions): Promise<void> {
    const start = this.#size
    // One write is under way while the next bytes are gathered and hashed.
    let writing: Promise<void> = Promise.resolve()
    let gathered: Uint8Array[] = []
    let gatheredBytes = 0
    const flush = async () => {
      const [buffers, position] = [gathered, this.#size - gatheredBytes]
      gathered = []
      gatheredBytes = 0
      await writing
      writing = this.#onDisk('writing', () => this.#file.write(buffers, position))
      // Awaited by the next flush; until then nobody else hears of a failure.
      writing.catch(() => undefined)
    }
    try {
      for await (const chunk of abortable(source, signal)) {
        for (let at = 0; at < chunk.byteLength; at += sliceBytes) {
          const slice = chunk.subarray(at, at + sliceBytes)
          if (this.#size + slice.byteLength - start > maxBytes) throw this.#tooBig(maxBytes)
          this.#budget?.take(slice.byteLength)
          this.#taken += slice.byteLength
          this.#hash.update(slice)
          this.#size += slice.byteLength
          gathered.push(slice)
          gatheredBytes += slice.byteLength
          if (gatheredBytes >= gatherBytes) await flush()
        }
      }
      signal?.throwIfAborted()
      if (gatheredBytes > 0) await flush()
    } finally {
      await writing
    }
  }

  #tooBig(maxBytes: number): IntegrityError {
    return new IntegrityError('size_mismatch', `${this.#what} has more than the ${maxBytes} bytes that are allowed`)
  }

  /** The bytes are on the disk when this resolves. Nothing can be appended afterwards. */
  async seal(): Promise<void> {
    await this.#onDisk('writing', async () => {
      await this.#file.truncate(this.#size)
      await this.#file.sync()
    })
    await this.close()
  }

  /** The file stays for good: what it has of the budget is the blob's now. */
  stays(): void {
    this.#taken = 0
  }

  /** The file is gone, or about to go. */
  goes(): void {
    this.#giveBack(this.#taken)
  }

  #giveBack(bytes: number): void {
    this.#budget?.giveBack(bytes)
    this.#taken -= bytes
  }

  async close(): Promise<void> {
    await this.#onDisk('closing', () => this.#file.close())
  }

  #onDisk<T>(verb: string, run: () => Promise<T>): Promise<T> {
    return onDisk({ what: `${verb} ${this.#what}`, path: this.path }, run)
  }
}
