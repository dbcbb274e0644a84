import { createHash, type Hash } from 'node:crypto'
import { hashThreads, type HashThreads, type ThreadHash } from './threads.ts'

/**
 * A hash of bytes that come in pieces: here, or in a thread once it is clear that there are many. The way to the thread
 * costs more than it saves where they are few.
 */
export class GrowingHash {
  readonly #algorithm: string
  readonly #threads: () => HashThreads
  #here: Hash
  #mark: Hash
  #isFresh = true
  #thread: ThreadHash | undefined

  constructor(algorithm: string, threads: () => HashThreads = hashThreads) {
    this.#algorithm = algorithm
    this.#threads = threads
    this.#here = createHash(algorithm)
    this.#mark = this.#here
  }

  get inThread(): boolean {
    return this.#thread !== undefined
  }

  /** Many bytes follow. What was begun here stays here. */
  expectMany(): void {
    if (!this.#isFresh || this.#thread !== undefined) return
    this.#thread = this.#threads().begin(this.#algorithm)
  }

  /** Only while it is here. */
  update(bytes: Uint8Array): void {
    this.#isFresh = false
    this.#here.update(bytes)
  }

  /** Nobody may write to them before this resolves. */
  async updateShared(bytes: Uint8Array<SharedArrayBuffer>): Promise<void> {
    if (this.#thread === undefined) this.update(bytes)
    else await this.#thread.update(bytes)
  }

  mark(): void {
    this.#mark = this.#here.copy()
    this.#thread?.mark()
  }

  /** As if nothing had come since the last mark, or the beginning. */
  rollback(): void {
    this.#here = this.#mark.copy()
    this.#thread?.rollback()
  }

  /** Of all so far, in hex; more may follow. */
  async digest(): Promise<string> {
    return this.#thread === undefined ? this.#here.copy().digest('hex') : this.#thread.digest()
  }

  /** Frees what it holds; nothing may follow. */
  end(): void {
    this.#thread?.end()
  }
}
