import { release } from '../lent.ts'
import { discarded } from '../young.ts'
import type { GrowingHash } from './growing.ts'

/**
 * Sockets give 16 to 64 KiB at a time: gathered, they cost far fewer writes, and fewer trips to another thread. Twice as much
 * costs the kernel half as much again: it looks for memory for the file in pieces of the size in which it is written.
 */
export const slabBytes = 256 * 1024
/** One fills while others are hashed and written. On a busy machine each waits for its turn: then several have to be on their way. */
export const mostUnderWay = 6
/**
 * What comes in shared memory goes as it is, in pieces of at least this size: each wakes two threads and a processor that slept,
 * which costs more than to copy it.
 */
export const lentBytes = 512 * 1024
/** A smaller part of it is copied, unless it follows the one before. */
const leastLentBytes = 64 * 1024
/** They are larger. */
export const mostLentUnderWay = 3
/** Kept for whoever comes next. */
const mostSpare = 8

/** So much is written before the disk is asked to have it. */
const flushBytes = 64 * 1024 * 1024

const spare: SharedArrayBuffer[] = []

/** What goes to be hashed and written in one go. */
interface Piece {
  memory: SharedArrayBuffer
  from: number
  to: number
  /** Read where it is, and released; else it is ours, to copy into. */
  isLent: boolean
}

export interface PourOptions {
  hash: GrowingHash
  /** Writes all of the bytes at `offset` from where the pouring began; called in order, one at a time. */
  write?: (buffers: Uint8Array[], offset: number) => Promise<void>
  /** Brings what was written to the disk: called once in a while, so that who syncs at the end does not wait for all of it. */
  flush?: () => Promise<void>
  /** The chunks go on to somebody else: he releases them. */
  passesOn?: boolean
}

/**
 * Takes bytes in, in order, and has them hashed and written, both at once while more come. Few are done here and written
 * as they are; many are copied into memory that a hashing thread shares, and released.
 */
export class Pour {
  readonly #hash: GrowingHash
  readonly #write: (buffers: Uint8Array[], offset: number) => Promise<void>
  readonly #flush: () => Promise<void>
  readonly #passesOn: boolean
  /** Until it is clear that there are many. */
  #gathered: Uint8Array[] = []
  #gatheredBytes = 0
  #isLong = false
  #piece: Piece | undefined
  #offset = 0
  #writing: Promise<void> = Promise.resolve()
  #unflushed = 0
  #flushing: Promise<void> = Promise.resolve()
  #underWay: Promise<void>[] = []

  constructor({ hash, write = nothing, flush = nothing, passesOn = false }: PourOptions) {
    this.#hash = hash
    this.#write = write
    this.#flush = flush
    this.#passesOn = passesOn
  }

  /** Whether what was added is needed no more: else it is what will be hashed. */
  get hasCopied(): boolean {
    return this.#isLong
  }

  /** Undefined where nothing has to be waited for. Throws what hashing or writing threw. */
  add(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#isLong) {
      if (this.#goesAsItIs(chunk)) return this.#extend(chunk)
      if (chunk.byteLength >= this.#room()) return this.#copy(chunk)
      this.#fill(chunk)
      this.#letGo(chunk)
      return undefined
    }
    this.#gathered.push(chunk)
    this.#gatheredBytes += chunk.byteLength
    if (this.#gatheredBytes < slabBytes) return undefined
    return this.#takeGathered()
  }

  /** Resolves when all is hashed and written. */
  async end(): Promise<void> {
    if (this.#hash.inThread && !this.#isLong) await this.#takeGathered()
    await this.#dispatch()
    if (this.#gatheredBytes > 0) {
      for (const bytes of this.#gathered) this.#hash.update(bytes)
      await this.#write(this.#gathered, 0)
      if (!this.#passesOn) for (const chunk of this.#gathered) release(chunk)
    }
    await Promise.all(this.#underWay)
    await this.#flushing
  }

  /** Waits until nothing is under way any more, whatever came of it; never throws. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    await Promise.allSettled([this.#flushing])
    this.#gathered = []
    this.#gatheredBytes = 0
    if (this.#piece !== undefined) giveBack(this.#piece)
    this.#piece = undefined
  }

  async #takeGathered(): Promise<void> {
    const gathered = this.#gathered
    this.#gathered = []
    this.#gatheredBytes = 0
    this.#isLong = true
    this.#hash.expectMany()
    for (const chunk of gathered) await (this.#goesAsItIs(chunk) ? this.#extend(chunk) : this.#copy(chunk))
  }

  #goesAsItIs(chunk: Uint8Array): chunk is Uint8Array<SharedArrayBuffer> {
    if (this.#passesOn || !(chunk.buffer instanceof SharedArrayBuffer)) return false
    return chunk.byteLength >= leastLentBytes || follows(this.#piece, chunk)
  }

  async #extend(chunk: Uint8Array<SharedArrayBuffer>): Promise<void> {
    if (!follows(this.#piece, chunk)) await this.#dispatch()
    this.#piece ??= { memory: chunk.buffer, from: chunk.byteOffset, to: chunk.byteOffset, isLent: true }
    this.#piece.to += chunk.byteLength
    if (this.#piece.to - this.#piece.from >= lentBytes) await this.#dispatch()
  }

  async #copy(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength;) {
      if (this.#piece?.isLent === true) await this.#dispatch()
      const part = chunk.subarray(at, at + this.#room())
      this.#fill(part)
      at += part.byteLength
      if (this.#room() === 0) await this.#dispatch()
    }
    this.#letGo(chunk)
  }

  #letGo(chunk: Uint8Array): void {
    if (!this.#passesOn && !release(chunk)) discarded(chunk.byteLength)
  }

  /** How much can be copied before a piece is full. */
  #room(): number {
    if (this.#piece === undefined) return slabBytes
    return this.#piece.isLent ? 0 : slabBytes - this.#piece.to
  }

  #fill(bytes: Uint8Array): void {
    this.#piece ??= { memory: spare.pop() ?? new SharedArrayBuffer(slabBytes), from: 0, to: 0, isLent: false }
    new Uint8Array(this.#piece.memory).set(bytes, this.#piece.to)
    this.#piece.to += bytes.byteLength
  }

  async #dispatch(): Promise<void> {
    const [piece, offset] = [this.#piece, this.#offset]
    if (piece === undefined) return
    this.#piece = undefined
    const bytes = bytesOf(piece)
    this.#offset += bytes.byteLength
    const hashed = this.#hash.updateShared(bytes)
    this.#writing = this.#writing.then(() => this.#put(bytes, offset))
    const done = bothDone(hashed, this.#writing).finally(() => giveBack(piece))
    // Whoever waits for it hears of a failure; until then nobody else does.
    done.catch(() => undefined)
    this.#underWay.push(done)
    const most = piece.isLent ? mostLentUnderWay : mostUnderWay
    while (this.#underWay.length >= most) await this.#underWay.shift()
  }

  async #put(bytes: Uint8Array, offset: number): Promise<void> {
    await this.#write([bytes], offset)
    this.#unflushed += bytes.byteLength
    if (this.#unflushed < flushBytes) return
    this.#unflushed = 0
    // One at a time, and its failure counts: a disk says so only once, and who syncs at the end would not hear of it.
    await this.#flushing
    this.#flushing = this.#flush()
    this.#flushing.catch(() => undefined)
  }
}

const nothing = () => Promise.resolve()

/** Unlike `Promise.all`, not before both are: the memory is in use until then. */
async function bothDone(hashed: Promise<void>, written: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([written, hashed])
  for (const result of results) if (result.status === 'rejected') throw result.reason
}

function bytesOf({ memory, from, to }: Piece): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(memory, from, to - from)
}

function follows(piece: Piece | undefined, chunk: Uint8Array): boolean {
  return piece?.isLent === true && piece.memory === chunk.buffer && piece.to === chunk.byteOffset
}

function giveBack(piece: Piece): void {
  if (piece.isLent) release(bytesOf(piece))
  else if (spare.length < mostSpare) spare.push(piece.memory)
}

/** The digest of all that comes, in hex. */
export async function hashOf(source: AsyncIterable<Uint8Array>, hash: GrowingHash): Promise<string> {
  const pour = new Pour({ hash })
  try {
    for await (const chunk of source) await pour.add(chunk)
    await pour.end()
    return await hash.digest()
  } finally {
    await pour.settle()
    hash.end()
  }
}
