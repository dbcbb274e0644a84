import type { OnReadOpts, Socket } from 'node:net'
import { lend, release } from '../lib/lent.ts'

/** Node takes 64 KiB from a socket at a time: on a fast line a turn of the loop each, far more often than needed. */
export const largeReadBytes = 1024 * 1024
/** What is no more than this is copied, so that a short answer does not hold all of a buffer. */
const smallBytes = 16 * 1024
/** With less left of a buffer the next one is begun. */
const leastReadBytes = 64 * 1024
const mostSpare = 4
/** V8 does not count shared memory, so that what nobody gives back would stay until it collects for another reason. */
export const mostShared = 16
/** Of the others. */
const unsharedBytes = 256 * 1024

/**
 * For `net.connect`: has sockets read into large buffers, one read behind the other. What they read comes as from any other,
 * since it is handed on to the socket itself. The buffers are shared memory, so that threads can hash and write what came where
 * it is. https://nodejs.org/api/net.html#socketconnectoptions-connectlistener
 */
export function createLargeReads(): OnReadOpts {
  const spare: ArrayBufferLike[] = []
  let shared = 0
  const collected = new FinalizationRegistry(() => (shared -= 1))
  const make = () => {
    if (shared >= mostShared) return Buffer.allocUnsafeSlow(unsharedBytes).buffer
    shared += 1
    const buffer = new SharedArrayBuffer(largeReadBytes)
    collected.register(buffer, undefined)
    return buffer
  }
  const begin = () => {
    const buffer = spare.pop() ?? make()
    const bytes = new Uint8Array(buffer)
    lend(bytes, bytes.length, () => {
      if (spare.length < mostSpare) spare.push(buffer)
    })
    return bytes
  }
  // Of the socket that read last: it is the one that asks next, or is at its end.
  let rest: Uint8Array | undefined
  const full = new WeakMap<Socket, Uint8Array[]>()
  return {
    // Asked for when a socket begins, and after each of its reads.
    buffer() {
      const next = rest ?? begin()
      rest = undefined
      return next
    },
    callback(this: Socket, bytes, buffer) {
      const isAllRead = this.readableLength === 0
      // All of a body in them is borrowed by now, and nobody looks at heads and framing any more.
      if (isAllRead) for (const one of full.get(this)?.splice(0) ?? []) release(one)
      const isPart = bytes > smallBytes && isAllRead
      const goesOn = this.push(isPart ? Buffer.from(buffer.buffer, buffer.byteOffset, bytes) : copyOf(buffer, bytes))
      rest = isPart ? buffer.subarray(bytes) : buffer
      if (rest.byteLength < leastReadBytes) {
        full.set(this, [...(full.get(this) ?? []), new Uint8Array(buffer.buffer)])
        rest = undefined
      }
      return goesOn
    },
  }
}

function copyOf(buffer: Uint8Array, bytes: number): Buffer {
  const copy = Buffer.allocUnsafe(bytes)
  copy.set(buffer.subarray(0, bytes))
  return copy
}
