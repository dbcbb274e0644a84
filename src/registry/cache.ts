interface Entry {
  bytes: Uint8Array
  /** Since it was last looked whether it may go. */
  isUsed: boolean
}

/**
 * When there are more than `maxBytes` in all, those go first that were not asked for since the last time. Who only reads changes
 * nothing but a mark: a Map that is written to at each look leaves tables behind that hold each other, which V8 then copies into
 * the old generation, and all that they hold with them.
 */
export class BytesCache<Key> {
  readonly #entries = new Map<Key, Entry>()
  readonly #maxBytes: number
  readonly #onSize: (bytes: number) => void
  #bytes = 0

  constructor(maxBytes: number, onSize: (bytes: number) => void = () => undefined) {
    this.#maxBytes = maxBytes
    this.#onSize = onSize
  }

  get(key: Key): Uint8Array | undefined {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.isUsed = true
    return entry?.bytes
  }

  set(key: Key, bytes: Uint8Array): void {
    this.delete(key)
    this.#entries.set(key, { bytes, isUsed: false })
    this.#bytes += bytes.byteLength
    this.#onSize(this.#bytes)
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes <= this.#maxBytes) return
      if (entry.isUsed) this.#spare(oldest, entry)
      else this.delete(oldest)
    }
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    this.#entries.delete(key)
    this.#bytes -= entry.bytes.byteLength
    this.#onSize(this.#bytes)
  }

  /** Its turn comes again after all others. */
  #spare(key: Key, entry: Entry): void {
    entry.isUsed = false
    this.#entries.delete(key)
    this.#entries.set(key, entry)
  }
}
