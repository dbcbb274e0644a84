import { StorageError } from '../lib/errors.ts'
import { formatSize } from '../lib/units.ts'

/** Bytes that blobs and uploads may take together. */
export class Budget {
  readonly #maxBytes: number
  #usedBytes: number

  constructor(maxBytes: number, usedBytes: number) {
    this.#maxBytes = maxBytes
    this.#usedBytes = usedBytes
  }

  /** Throws StorageError `quota_exceeded`, and then nothing is taken. */
  take(bytes: number): void {
    this.check(bytes)
    this.#usedBytes += bytes
  }

  /** Throws as `take` would now. */
  check(bytes: number): void {
    if (this.#usedBytes + bytes > this.#maxBytes) throw this.#exceeded()
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes
  }

  #exceeded(): StorageError {
    const [max, used] = [formatSize(this.#maxBytes), formatSize(this.#usedBytes)]
    return new StorageError('quota_exceeded', `all content together may have ${max}, and has ${used} already`, {
      hint: 'Delete what is not needed and run `longshore gc`, or raise content.quota.',
    })
  }
}
