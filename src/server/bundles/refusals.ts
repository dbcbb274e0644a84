import type { Digest } from '../../oci/digest.ts'
import type { Refusal } from '../refusal.ts'

// What a person reads who asks for a bundle in vain.

export const onlyGet: Refusal = {
  status: 405,
  code: 'method_not_allowed',
  message: 'a bundle can be asked for with GET and HEAD only',
  headers: { Allow: 'GET, HEAD' },
}

export const crowded: Refusal = {
  status: 503,
  code: 'too_many_waiting',
  message: 'too many clients wait for a change here: try again later, or poll without waiting',
  headers: { 'Retry-After': '10' },
}

export const tooManyDownloads: Refusal = {
  status: 503,
  code: 'too_many_downloads',
  message: 'too many downloads are under way here: try again in a moment',
  headers: { 'Retry-After': '5' },
}

export const failedToRead: Refusal = {
  status: 500,
  code: 'storage',
  message: 'what is to be served cannot be read: the log of this server says why',
}

export function beforeFirstRelease(name: string): Refusal {
  return {
    status: 503,
    code: 'no_release',
    message: `bundle ${name} has no release that can be served: the status of this server says why`,
    headers: { 'Retry-After': '5' },
  }
}

export function unknownBundle(name: string): Refusal {
  return { status: 404, code: 'unknown_bundle', message: `no bundle is configured under the name ${name}` }
}

export function notPulled(name: string): Refusal {
  return {
    status: 404,
    code: 'not_pulled',
    message: `nothing is pulled for bundle ${name} (pull: false): it is only watched, and deployed from where it is`,
  }
}

/** Undefined for a bundle that is, or will be. */
export function whyNotServed(name: string, entry: { pull: boolean } | undefined): Refusal | undefined {
  if (entry === undefined) return unknownBundle(name)
  return entry.pull ? undefined : notPulled(name)
}

export function unknownRelease(name: string, digest: Digest): Refusal {
  return { status: 404, code: 'unknown_release', message: `bundle ${name} never had a release with digest ${digest}` }
}

export function gone(name: string, digest: Digest): Refusal {
  return {
    status: 410,
    code: 'gone',
    message: `bundle ${name} had a release with digest ${digest}, its bytes are not kept any more`,
  }
}
