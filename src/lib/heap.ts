import { setFlagsFromString } from 'node:v8'

/**
 * Keeps the young generation of the heap as small as it is, until the returned function is called. What a start makes survives,
 * which V8 takes for a sign that more room pays: tens of MiB, which it does not give back while anything goes on. Afterwards it
 * grows with load, and shrinks again.
 */
export function holdYoungGeneration(): () => void {
  setFlagsFromString('--semi-space-growth-factor=1')
  // V8's own.
  return () => setFlagsFromString('--semi-space-growth-factor=2')
}
