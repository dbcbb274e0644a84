import { setFlagsFromString } from 'node:v8'

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

/** The young generation goes as V8 likes again, and what the start left behind is given back. */
export function endStart(): void {
  // V8's own.
  setFlagsFromString('--semi-space-growth-factor=2')
  collectAll()
}
