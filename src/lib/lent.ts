interface Loan {
  /** Bytes that nobody has given back yet. */
  left: number
  giveBack: () => void
}

const loans = new WeakMap<ArrayBufferLike, Loan>()

/**
 * Lends `bytes` of a buffer to whoever gets parts of it: collecting the garbage of a gigabyte that passes by costs more
 * than the rest. `giveBack` is called when all of those bytes were released; where some never are, the buffer is garbage.
 */
export function lend(buffer: Uint8Array, bytes: number, giveBack: () => void): void {
  loans.set(buffer.buffer, { left: bytes, giveBack })
}

/** A part that goes on to somebody who releases it, too: for a lender who lends all of a buffer to himself until he is done with it. */
export function borrow(chunk: Uint8Array): void {
  const loan = loans.get(chunk.buffer)
  if (loan !== undefined) loan.left += chunk.byteLength
}

/** For whom a chunk ends its way: it is copied, and nobody else reads it. Each chunk once. False where it was not lent. */
export function release(chunk: Uint8Array): boolean {
  const loan = loans.get(chunk.buffer)
  if (loan === undefined) return false
  loan.left -= chunk.byteLength
  if (loan.left > 0) return true
  loans.delete(chunk.buffer)
  loan.giveBack()
  return true
}

/** For whoever passes a chunk on and still reads it afterwards: its buffer is not used again. */
export function keep(chunk: Uint8Array): void {
  loans.delete(chunk.buffer)
}
