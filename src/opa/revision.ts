import { createHash } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'

/** Digits of the hash that make a revision: short enough for a status page, unique among a bundle's releases. */
const digits = 16

/** A revision that is the same for the same files and differs for others. `.manifest` is one of them, without its revision. */
export function contentRevision(files: readonly { path: string; digest: Digest }[]): string {
  const lines = files.map(({ path, digest }) => `${digest} ${JSON.stringify(path)}\n`).sort()
  return `sha256-${createHash('sha256').update(lines.join('')).digest('hex').slice(0, digits)}`
}
