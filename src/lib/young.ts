/** So much garbage comes together before it is collected: less often costs memory, more often time. */
const enoughBytes = 32 * 1024 * 1024

let garbageBytes = 0
let collect: (() => void) | undefined

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
  collect()
}

/** https://nodejs.org/api/cli.html#--expose-gc, from now on and for us alone. Where V8 has none, it collects when it likes. */
function findCollect(): () => void {
  process.getBuiltinModule('node:v8').setFlagsFromString('--expose-gc')
  const gc: unknown = process.getBuiltinModule('node:vm').runInNewContext('globalThis.gc')
  return typeof gc === 'function' ? () => void (gc as (options: object) => void)({ type: 'minor' }) : () => undefined
}
