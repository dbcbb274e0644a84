/** The least recently used go first when there are more than `maxBytes` in all. */
export class BytesCache<Key> {
  readonly #entries = new Map<Key, Uint8Array>()
  readonly #maxBytes: number
  readonly #onSize: (bytes: number) => void
  #bytes = 0

  constructor(maxBytes: number, onSize: (bytes: number) => void = () => undefined) {
    this.#maxBytes = maxBytes
    this.#onSize = onSize
  }

  get(key: Key): Uint8Array | undefined {
    const bytes = this.#entries.get(key)
    if (bytes !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, bytes)
    }
    return bytes
  }

  set(key: Key, bytes: Uint8Array): void {
    this.delete(key)
    this.#entries.set(key, bytes)
    this.#bytes += bytes.byteLength
    this.#onSize(this.#bytes)
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.delete(oldest)
    }
  }

  delete(key: Key): void {
    const bytes = this.#entries.get(key)
    if (bytes === undefined) return
    this.#entries.delete(key)
    this.#bytes -= bytes.byteLength
    this.#onSize(this.#bytes)
  }
}
