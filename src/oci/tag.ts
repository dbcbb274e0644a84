import { isDigest } from './digest.ts'

const maxTagLength = 128
/** `sha256-<hex>` and cosign's `sha256-<hex>.sig` are names of referrers, not of versions. */
const shortHexLength = 12

/** A version as a tag: characters that a tag cannot hold become `-`. Never empty, never a name that referrers have. */
export function tagOf(version: string): string {
  const text = isDigest(version) ? shortened(version) : version
  const plain = text.replace(/[^A-Za-z0-9._-]/g, '-').slice(0, maxTagLength)
  return /^[A-Za-z0-9_]/.test(plain) ? plain : `_${plain}`.slice(0, maxTagLength)
}

function shortened(digest: string): string {
  return digest.slice(0, digest.indexOf(':') + 1 + shortHexLength)
}
