import type { Clock } from '../lib/clock.ts'
import type { Digest } from '../oci/digest.ts'

/** What changes when a file's bytes do, unless it is the disk that changes them. */
export interface FileState {
  ino: number
  size: number
  mtimeMs: number
  ctimeMs: number
}

/** What was read a moment ago is in the system's memory: the disk is not asked anyway. */
const freshMs = 60_000
const mostRemembered = 10_000

/** Which blobs were hashed a moment ago, so that many readers of one do not each hash it. */
export class Checks {
  readonly #clock: Clock
  /** The oldest first. */
  readonly #known = new Map<Digest, { state: FileState; at: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(digest: Digest, { ino, size, mtimeMs, ctimeMs }: FileState): void {
    this.#known.delete(digest)
    this.#known.set(digest, { state: { ino, size, mtimeMs, ctimeMs }, at: this.#clock.monotonic() })
    if (this.#known.size > mostRemembered) this.#known.delete(this.#known.keys().next().value!)
  }

  /** Whether this very file was right a moment ago, and nobody has written to it since. */
  isFresh(digest: Digest, { ino, size, mtimeMs, ctimeMs }: FileState): boolean {
    const known = this.#known.get(digest)
    if (known === undefined || this.#clock.monotonic() - known.at >= freshMs) return false
    const { state } = known
    return state.ino === ino && state.size === size && state.mtimeMs === mtimeMs && state.ctimeMs === ctimeMs
  }
}
