import type { Digest } from '../oci/digest.ts'

/**
 * Keeps the one who removes a blob apart from those who store it: these may be many at once and wait for nobody but a
 * removal under way; a removal does not wait, it is not done while somebody stores the same.
 */
export class Claims {
  readonly #storing = new Map<Digest, number>()
  readonly #removing = new Map<Digest, Promise<unknown>>()

  async store<T>(digest: Digest, run: () => Promise<T>): Promise<T> {
    while (this.#removing.has(digest)) await this.#removing.get(digest)
    this.#storing.set(digest, (this.#storing.get(digest) ?? 0) + 1)
    try {
      return await run()
    } finally {
      const left = this.#storing.get(digest)! - 1
      if (left === 0) this.#storing.delete(digest)
      else this.#storing.set(digest, left)
    }
  }

  /** False, and nothing was run, while somebody stores or removes it. */
  async remove(digest: Digest, run: () => Promise<boolean>): Promise<boolean> {
    if (this.#storing.has(digest) || this.#removing.has(digest)) return false
    const running = run()
    this.#removing.set(
      digest,
      running.catch(() => undefined),
    )
    try {
      return await running
    } finally {
      this.#removing.delete(digest)
    }
  }
}
