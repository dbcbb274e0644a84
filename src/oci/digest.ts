import { hash, type Hash } from 'node:crypto'
import { IntegrityError } from '../lib/errors.ts'

/**
 * `algorithm:hex`, algorithm sha256 or sha512, validated.
 * https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
 */
export type Digest = `sha256:${string}` | `sha512:${string}`
export type Algorithm = 'sha256' | 'sha512'

const grammar = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/

export function isDigest(text: string): text is Digest {
  return grammar.test(text)
}

/** Throws IntegrityError `bad_manifest`: no digest may reach a URL or a path before it passed here. */
export function parseDigest(text: unknown): Digest {
  if (typeof text === 'string' && isDigest(text)) return text
  throw new IntegrityError('bad_manifest', `not a sha256 or sha512 digest: ${JSON.stringify(text)?.slice(0, 100)}`)
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.slice(0, 6) as Algorithm
}

export function digestOf(bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${hash(algorithm, bytes, 'hex')}`
}

export function finish(hash: Hash, algorithm: Algorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}`
}
