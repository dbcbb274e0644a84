import { IntegrityError } from '../lib/errors.ts'
import { isObject, parseJson } from './json.ts'

/**
 * Whether `.signatures.json` has the form that OPA reads: exactly one JWT. Says nothing of whom it was signed by.
 * Throws IntegrityError `bad_bundle`. https://www.openpolicyagent.org/docs/management-bundles#signing
 */
export function parseSignatures(bytes: Uint8Array, file: string): string {
  const json = parseJson(bytes, file)
  const signatures: unknown = isObject(json) ? json.signatures : undefined
  if (!Array.isArray(signatures) || signatures.length !== 1) {
    throw bad(file, 'must hold exactly one signature')
  }
  const [token] = signatures as unknown[]
  if (typeof token !== 'string') throw bad(file, 'holds a signature that is no string')
  const parts = token.split('.')
  if (parts.length !== 3 || parts.some((part) => !/^[A-Za-z0-9_-]+$/.test(part))) {
    throw bad(file, 'holds a signature that is no JSON Web Token')
  }
  if (!hasFiles(parts[1]!)) throw bad(file, 'holds a token that lists no files')
  return token
}

function hasFiles(payload: string): boolean {
  try {
    const json = JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown
    return isObject(json) && Array.isArray(json.files)
  } catch {
    return false
  }
}

function bad(file: string, why: string): IntegrityError {
  return new IntegrityError('bad_bundle', `${file} ${why}`, { file })
}
