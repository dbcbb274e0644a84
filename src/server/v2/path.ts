import { isRepositoryName } from '../../oci/reference.ts'
import { refusal } from './refusal.ts'

export type EndpointKind = 'base' | 'catalog' | 'tags' | 'manifest' | 'blob' | 'uploads' | 'upload' | 'referrers'

export interface Endpoint {
  kind: EndpointKind
  /** Valid by the specification's grammar; empty for `base` and `catalog`. */
  repository: string
  /** A tag, a digest or an upload's id as it stands in the path, not yet looked at; empty where there is none. */
  reference: string
}

/**
 * Reads a path by hand, as it came: a URL parser would resolve `..` before anybody could refuse it. Undefined when it is
 * no endpoint at all; throws Refusal NAME_INVALID when it would be one but for its repository.
 */
export function parsePath(path: string): Endpoint | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'base', repository: '', reference: '' }
  if (path === '/v2/_catalog') return { kind: 'catalog', repository: '', reference: '' }
  if (!path.startsWith('/v2/')) return undefined
  const parts = path.slice('/v2/'.length).split('/').map(decode)
  const found = find(parts)
  if (found === undefined) return undefined
  const name = parts.slice(0, parts.length - found.taken)
  const repository = name.join('/')
  // A slash that was escaped (%2F) is part of no name, and joined it would look like one between two.
  if (name.some((part) => part.includes('/')) || !isRepositoryName(repository)) {
    throw refusal(400, 'NAME_INVALID', `not a repository's name: ${JSON.stringify(repository.slice(0, 300))}`)
  }
  return { kind: found.kind, repository, reference: found.reference }
}

/** From the end, since a repository may have any of these words in its name. `taken`: how many parts are not the name's. */
function find(parts: string[]): { kind: EndpointKind; taken: number; reference: string } | undefined {
  const last = parts.at(-1)!
  const before = parts.at(-2)
  if (before === 'tags' && last === 'list') return { kind: 'tags', taken: 2, reference: '' }
  if (before === 'manifests') return { kind: 'manifest', taken: 2, reference: last }
  if (before === 'referrers') return { kind: 'referrers', taken: 2, reference: last }
  if (before === 'blobs') {
    return last === 'uploads'
      ? { kind: 'uploads', taken: 2, reference: '' }
      : { kind: 'blob', taken: 2, reference: last }
  }
  if (before === 'uploads' && parts.at(-3) === 'blobs') {
    return { kind: last === '' ? 'uploads' : 'upload', taken: 3, reference: last }
  }
  return undefined
}

/** `sha256%3A…` is how some clients write a digest. What cannot be decoded stays, and then fits no grammar. */
function decode(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
