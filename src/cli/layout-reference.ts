import { ConfigError } from '../lib/errors.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { isTag } from '../oci/reference.ts'

export const layoutScheme = 'oci-layout:'

export interface LayoutReference {
  folder: string
  tag?: string
  digest?: Digest
}

/** `oci-layout:DIR[:tag|@digest]`: what follows the last slash may hold the tag, so a folder's name with a colon needs one. Throws ConfigError. */
export function parseLayoutReference(text: string): LayoutReference {
  const rest = text.slice(layoutScheme.length)
  const at = /^(.*)@((?:sha256|sha512):.*)$/s.exec(rest)
  if (at !== null) {
    const [, folder = '', digest = ''] = at
    if (!isDigest(digest)) throw bad(text, `what follows the @ is no digest`)
    return { folder: named(text, folder), digest }
  }
  const colon = rest.includes(':', rest.lastIndexOf('/') + 1) ? rest.lastIndexOf(':') : -1
  if (colon === -1) return { folder: named(text, rest) }
  const tag = rest.slice(colon + 1)
  if (!isTag(tag)) throw bad(text, `${JSON.stringify(tag.slice(0, 200))} is no tag`)
  return { folder: named(text, rest.slice(0, colon)), tag }
}

function named(text: string, folder: string): string {
  if (folder !== '') return folder
  throw bad(text, 'it names no folder')
}

function bad(text: string, why: string): ConfigError {
  return new ConfigError(`not a reference: ${JSON.stringify(text.slice(0, 300))}: ${why}`, {
    code: 'bad_reference',
    hint: 'Write it as oci-layout:DIR, oci-layout:DIR:tag or oci-layout:DIR@sha256:….',
  })
}
