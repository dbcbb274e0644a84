/** What a conditional request comes to: the full answer, or 304 with our ETag, or 304 without one. */
export type Freshness = 'changed' | 'same' | 'same-untold'

/**
 * Compares `If-None-Match` with the ETag of what is served (quoted). A list may name bundles that the client had before the
 * first one: when one of those is what we serve, we either lag behind a server that the client asked before (then it keeps
 * what it has, and its own ETag), or somebody rolled back to it, which shows in our history knowing the first.
 * https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
 */
export function compareEtag(header: string | undefined, etag: string, isKnown: (etag: string) => boolean): Freshness {
  if (header === undefined) return 'changed'
  if (header === etag) return 'same'
  if (header.trim() === '*') return 'same'
  const tags = readTags(header)
  const place = tags.indexOf(etag)
  if (place === 0) return 'same'
  if (place === -1 || isKnown(tags[0]!)) return 'changed'
  return 'same-untold'
}

/** Weak or not, the tags with their quotes; what is no tag is left out. */
function readTags(header: string): string[] {
  return header.match(/"[^"]*"/g) ?? []
}
