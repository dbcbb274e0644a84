import type { OnReadOpts, Socket } from 'node:net'
import { lend } from '../lib/lent.ts'

/** Node takes 64 KiB from a socket at a time: on a fast line a turn of the loop each, four times as often as needed. */
const readBytes = 256 * 1024
/** What is no more than this is copied, so that a short answer does not hold all of a buffer. */
const smallBytes = 16 * 1024
const mostSpare = 4

/**
 * For `net.connect`: has sockets read into large buffers. What they read comes as from any other, since it is handed on to the
 * socket itself. https://nodejs.org/api/net.html#socketconnectoptions-connectlistener
 */
export function createLargeReads(): OnReadOpts {
  const spare: Uint8Array[] = []
  return {
    // Asked for after each read: what was handed on is not written to again.
    buffer: () => spare.pop() ?? Buffer.allocUnsafeSlow(readBytes),
    callback(this: Socket, bytes, buffer) {
      const giveBack = () => {
        if (spare.length < mostSpare) spare.push(buffer)
      }
      if (bytes > smallBytes) {
        lend(buffer, bytes, giveBack)
        return this.push(Buffer.from(buffer.buffer, buffer.byteOffset, bytes))
      }
      const copy = Buffer.allocUnsafe(bytes)
      copy.set(buffer.subarray(0, bytes))
      giveBack()
      return this.push(copy)
    },
  }
}
