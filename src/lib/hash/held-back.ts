import { keep } from '../lent.ts'
import type { GrowingHash } from './growing.ts'
import { Pour } from './pour.ts'

/**
 * Passes on what comes, but the last piece only once `check` was given the digest of all, in hex, and did not throw: whoever
 * got all bytes got the right ones.
 */
export async function* heldBack(
  source: AsyncIterable<Uint8Array>,
  hash: GrowingHash,
  check: (hex: string) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pour = new Pour({ hash, passesOn: true })
  let held: Uint8Array | undefined
  try {
    for await (const chunk of source) {
      await pour.add(chunk)
      if (!pour.hasCopied) keep(chunk)
      if (held !== undefined) yield held
      held = chunk
    }
    await pour.end()
    check(await hash.digest())
    if (held !== undefined) yield held
  } finally {
    await pour.settle()
    hash.end()
  }
}
