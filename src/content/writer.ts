import { dirname } from 'node:path'
import { IntegrityError } from '../lib/errors.ts'
import { GrowingHash } from '../lib/hash/growing.ts'
import { Pour } from '../lib/hash/pour.ts'
import type { Algorithm, Digest } from '../oci/digest.ts'
import { abortable } from './abortable.ts'
import type { Budget } from './budget.ts'
import { onDisk } from './errors.ts'
import type { FileSteps, NewFile } from './files.ts'
import { hashChunks, readFileChunks } from './reader.ts'

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
  readonly #hash: GrowingHash
  #size = 0
  /** What of the budget is given back when the file goes. */
  #taken = 0

  static async create(path: string, options: HashingOptions): Promise<HashingFile> {
    const { steps, what } = options
    const file = await onDisk({ what: `creating a file for ${what}`, path: dirname(path) }, () => steps.create(path))
    return new HashingFile(file, path, options)
  }

  private constructor(file: NewFile, path: string, { algorithm, what, budget }: HashingOptions) {
    this.#file = file
    this.path = path
    this.#algorithm = algorithm
    this.#what = what
    this.#budget = budget
    this.#hash = new GrowingHash(algorithm)
  }

  get size(): number {
    return this.#size
  }

  async digest(): Promise<Digest> {
    return `${this.#algorithm}:${await this.#hash.digest()}`
  }

  /** Reads the file again, for a digest that was not computed on the way. */
  rehash(algorithm: Algorithm): Promise<Digest> {
    return hashChunks(readFileChunks(this.path, { first: 0, last: this.#size - 1 }), algorithm)
  }

  /** All of the source, or nothing: on an error the file is as long as it was before. */
  async append(source: AsyncIterable<Uint8Array>, options: WriteOptions): Promise<void> {
    const before = this.#size
    this.#hash.mark()
    try {
      await this.#write(source, options)
    } catch (error) {
      this.#giveBack(this.#size - before)
      this.#hash.rollback()
      this.#size = before
      // Frees the space at once. Whether it works does not matter to what follows: writes are by position, and `seal` truncates again.
      await this.#file.truncate(before).catch(() => undefined)
      throw error
    }
  }

  async #write(source: AsyncIterable<Uint8Array>, { maxBytes, signal }: WriteOptions): Promise<void> {
    const start = this.#size
    const pour = new Pour({
      hash: this.#hash,
      write: (buffers, offset) => this.#onDisk('writing', () => this.#file.write(buffers, start + offset)),
      flush: () => this.#onDisk('writing', () => this.#file.flush()),
    })
    try {
      for await (const chunk of abortable(source, signal)) {
        if (this.#size + chunk.byteLength - start > maxBytes) throw this.#tooBig(maxBytes)
        this.#budget?.take(chunk.byteLength)
        this.#taken += chunk.byteLength
        this.#size += chunk.byteLength
        await pour.add(chunk)
      }
      signal?.throwIfAborted()
      await pour.end()
    } finally {
      await pour.settle()
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
    this.#hash.end()
    await this.#onDisk('closing', () => this.#file.close())
  }

  #onDisk<T>(verb: string, run: () => Promise<T>): Promise<T> {
    // The file's own name means nothing to anybody, and is another one at each try: as if it were news each time.
    return onDisk({ what: `${verb} ${this.#what}`, path: dirname(this.path) }, run)
  }
}
