import { setFlagsFromString } from 'node:v8'

/**
 * Keeps the young generation of the heap as small as it is, until it is let go. What a start makes survives, which V8 takes for a
 * sign that more room pays: tens of MiB, which it does not give back while anything goes on. Afterwards it grows with load, and
 * shrinks again.
 */
export function holdYoungGeneration(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
}

/** V8's own, in place of what a start holds: the young generation, and, since `bin/longshore.js`, what optimizes code. */
export function endStart(): void {
  for (const flag of usual) setFlagsFromString(flag)
}

const usual = [
  '--semi-space-growth-factor=2',
  '--invocation-count-for-maglev=400',
  '--invocation-count-for-turbofan=3000',
]
