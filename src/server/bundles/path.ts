import { isDigest, type Digest } from '../../oci/digest.ts'

export interface BundlePath {
  /** As written, so that a bundle whose name ends so is found first. */
  name: string
  /** Without `.tar.gz`. */
  stem: string
  /** Of `…@sha256:…`. */
  digest: Digest | undefined
}

const prefixes = ['/bundles/', '/v1/bundles/']
const suffix = '.tar.gz'

/** Undefined when nothing of this form can be a bundle's. `path` is as it stood in the request, without query. */
export function readBundlePath(path: string): BundlePath | undefined {
  const prefix = prefixes.find((known) => path.startsWith(known))
  if (prefix === undefined) return undefined
  const name = decode(path.slice(prefix.length))
  if (name === undefined || name === '') return undefined
  const stem = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
  const at = stem.indexOf('@')
  if (at === -1) return { name, stem, digest: undefined }
  const digest = stem.slice(at + 1)
  return isDigest(digest) ? { name, stem: stem.slice(0, at), digest } : undefined
}

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
