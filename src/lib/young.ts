import { findCollect } from './heap.ts'

/**
 * So much garbage comes together before it is collected. What is collected is still being freed when the next is, and V8 counts all
 * of it against a bound that is as low as 16 MiB where its heap is small: with 32 MiB at a time it marked 60 times for a gigabyte.
 */
const enoughBytes = 4 * 1024 * 1024

let garbageBytes = 0
let collect: ReturnType<typeof findCollect> | undefined

/**
 * Told of memory outside of V8's heap that nobody uses any more, such as what Node allots for each read of a socket: has it
 * collected once in a while, which takes a millisecond. Left alone, V8 marks the whole heap again and again while much comes in,
 * which costs more than hashing what came and holds up everybody else.
 */
export function discarded(bytes: number): void {
  garbageBytes += bytes
  if (garbageBytes < enoughBytes) return
  garbageBytes = 0
  collect ??= findCollect()
  collect({ type: 'minor' })
}
