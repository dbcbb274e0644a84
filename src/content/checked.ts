import { stat } from 'node:fs/promises'
import type { Clock } from '../lib/clock.ts'
import { GrowingHash } from '../lib/hash/growing.ts'
import { heldBack } from '../lib/hash/held-back.ts'
import { SingleFlight } from '../lib/single-flight.ts'
import { algorithmOf, type Digest } from '../oci/digest.ts'
import { Checks } from './checks.ts'
import type { ByteRange } from './content.ts'
import { isCorrupt } from './damage.ts'
import { chunksOf, damaged, hashChunks, openFile, type OpenFile } from './reader.ts'

/**
 * Hands out no byte of a blob's end before all of it was found right: whoever reads from a disk that changed something gets an
 * error, and never the whole. Throws StorageError `corrupt`.
 */
export class CheckedReads {
  readonly #pathOf: (digest: Digest) => string
  readonly #checks: Checks
  readonly #checking = new SingleFlight<void>()

  constructor(pathOf: (digest: Digest) => string, clock: Clock) {
    this.#pathOf = pathOf
    this.#checks = new Checks(clock)
  }

  async *read(digest: Digest, range?: ByteRange): AsyncIterable<Uint8Array> {
    const file = await openFile(this.#pathOf(digest))
    try {
      if (this.#checks.isFresh(digest, file.state)) yield* chunksOf(file, range)
      else if (range === undefined) yield* this.#hashed(digest, file)
      else {
        // A piece says nothing of itself.
        await this.#check(digest)
        // Another file than the one that was checked took its place meanwhile.
        if (!this.#checks.isFresh(digest, file.state)) await this.#hash(digest, file)
        yield* chunksOf(file, range)
      }
    } finally {
      await file.handle.close()
    }
  }

  /** The file, right when this resolves. */
  async file(digest: Digest): Promise<string> {
    const { path, handle, state } = await openFile(this.#pathOf(digest))
    await handle.close()
    if (!this.#checks.isFresh(digest, state)) await this.#check(digest)
    return path
  }

  /** False when it is gone, or its bytes hash to something else. */
  async isRight(digest: Digest): Promise<boolean> {
    try {
      await this.file(digest)
      return true
    } catch (error) {
      if (isCorrupt(error)) return false
      throw error
    }
  }

  /** What was just stored was hashed on the way. */
  async stored(digest: Digest): Promise<void> {
    // Whoever reads it has it hashed otherwise.
    const state = await stat(this.#pathOf(digest)).catch(() => undefined)
    if (state !== undefined) this.#checks.note(digest, state)
  }

  /** The last piece comes only when the whole is right. */
  #hashed(digest: Digest, file: OpenFile): AsyncIterable<Uint8Array> {
    const algorithm = algorithmOf(digest)
    return heldBack(chunksOf(file), new GrowingHash(algorithm), (hex) => {
      if (`${algorithm}:${hex}` !== digest) throw damaged(file.path)
      this.#checks.note(digest, file.state)
    })
  }

  /** Once for all who ask meanwhile. */
  #check(digest: Digest): Promise<void> {
    return this.#checking.do(digest, async () => {
      const file = await openFile(this.#pathOf(digest))
      try {
        await this.#hash(digest, file)
      } finally {
        await file.handle.close()
      }
    })
  }

  async #hash(digest: Digest, file: OpenFile): Promise<void> {
    if ((await hashChunks(chunksOf(file), algorithmOf(digest))) !== digest) throw damaged(file.path)
    this.#checks.note(digest, file.state)
  }
}
