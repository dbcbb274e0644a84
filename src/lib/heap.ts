import type * as Ffi from 'node:ffi'
import { setFlagsFromString } from 'node:v8'
import type { Clock } from './clock.ts'

type Collect = (options: { type: 'minor' | 'major'; flavor?: 'last-resort' }) => void

/**
 * Of this thread: all garbage, and what lives is moved together, so that a third of the heap's pages goes back to the system. It holds the
 * thread for about 20 ms, so it is for the end of a start, or of something as long.
 */
export function collectAll(): void {
  findCollect()({ type: 'major', flavor: 'last-resort' })
}

/** https://nodejs.org/api/cli.html#--expose-gc, for us alone. Where V8 has none, it collects when it likes. */
export function findCollect(): Collect {
  setFlagsFromString('--expose-gc')
  const gc: unknown = process.getBuiltinModule('node:vm').runInNewContext('globalThis.gc')
  // The compile cache takes what was compiled under another flag for something else.
  setFlagsFromString('--no-expose-gc')
  return typeof gc === 'function' ? (gc as Collect) : () => undefined
}

/**
 * Keeps the young generation of the heap as small as it is, until it is let go. What a start makes survives, which V8 takes for a
 * sign that more room pays: tens of MiB, which it does not give back while anything goes on. Afterwards it grows with load, and
 * shrinks again.
 */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** The young generation goes as V8 likes again, and what the start left behind goes back to the system. */
export function endStart(): void {
  // V8's own.
  setFlagsFromString('--semi-space-growth-factor=2')
  collectAll()
  trimAllocator()
}

const trimEveryMs = 60_000

/** From now on, so that what compiling the first looks took, or clients that have left, does not stay. */
export function keepTrimmed(clock: Pick<Clock, 'after'>, trim: () => unknown = trimAllocator): void {
  clock.after(trimEveryMs, () => {
    trim()
    keepTrimmed(clock, trim)
  })
}

/**
 * What C's allocator has free, in all threads, goes back to the system: glibc keeps it, in a place for each thread, and compilers and
 * collectors leave much there. False where Node cannot call it, or the C library has no such function. Takes 1 to 3 ms,
 * 7 where it gives back 55 MiB.
 * https://man7.org/linux/man-pages/man3/malloc_trim.3.html
 */
export function trimAllocator(): boolean {
  trim ??= findTrim()
  return trim(0n) === 1
}

let trim: ((pad: bigint) => number) | undefined

function findTrim(): (pad: bigint) => number {
  const emitWarning = process.emitWarning.bind(process)
  // Node says with the first use of this module that it may change. Whoever reads our log cannot do anything about it.
  process.emitWarning = () => undefined
  try {
    // Undefined in older ones.
    const ffi = process.getBuiltinModule('node:ffi') as typeof Ffi | undefined
    const library = ffi?.dlopen(null, { malloc_trim: { arguments: ['uint64'], return: 'int32' } })
    // A function must not outlive its library.
    return library === undefined ? () => 0 : (pad) => library.functions.malloc_trim(pad)
  } catch {
    return () => 0
  } finally {
    process.emitWarning = emitWarning
  }
}
