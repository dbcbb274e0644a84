import { IntegrityError, RemoteError } from '../lib/errors.ts'
import type { Answer } from './answer.ts'
import { nextHop } from './redirect.ts'
import type { Descriptor } from './target.ts'

/** Where the registry wants the bytes. https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs */
export interface Session {
  url: URL
  minChunkBytes: number
}

/** The session that an answer opened; `what` is for messages. Throws RemoteError `protocol` for one that does not say where. */
export function sessionOf(answer: Answer, { host, origin }: { host: string; origin: string }, what: string): Session {
  if ((answer.header('location') ?? '') === '') {
    const message = `cannot ${what}: ${host} opened an upload, but did not say where: its answer has no Location`
    throw new RemoteError('protocol', message, { host, status: answer.status })
  }
  const minimum = Number(answer.header('oci-chunk-min-length') ?? 0)
  const location = behindProxy(answer.header('location'), origin)
  return {
    url: nextHop(answer.url, location, { host, what }),
    minChunkBytes: Number.isSafeInteger(minimum) ? minimum : 0,
  }
}

/** Appended as text: writing the query anew breaks signatures in it. */
export function withDigest(url: URL, { digest }: Descriptor): string {
  return `${url.href}${url.search === '' ? '?' : '&'}digest=${digest}`
}

/** A registry behind a proxy that ends TLS and does not say so names itself with http: it is still the same one. */
export function behindProxy(location: string | undefined, origin: string): string | undefined {
  const own = new URL(origin)
  if (location === undefined || own.protocol !== 'https:' || !location.startsWith(`http://${own.hostname}`))
    return location
  const named = URL.parse(location)
  const isOwn = named?.hostname === own.hostname && (named.port === '' || named.port === own.port)
  return isOwn ? `${origin}${named.pathname}${named.search}` : location
}

export function checkStored(answer: Answer, descriptor: Descriptor): void {
  const stored = storedInstead(answer, descriptor)
  if (stored === undefined) return
  throw new IntegrityError(
    'digest_mismatch',
    `${answer.url.host} stored ${stored} when it was sent ${descriptor.digest}`,
  )
}

/** The digest that the registry says it has now, where it is another of the same algorithm. */
export function storedInstead(answer: Answer, { digest }: Descriptor): string | undefined {
  const stored = answer.header('docker-content-digest')
  const isOther = stored !== undefined && stored !== digest && stored.startsWith(digest.slice(0, 7))
  return isOther ? stored.slice(0, 100) : undefined
}
