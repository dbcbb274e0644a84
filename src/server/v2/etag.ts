/** `If-None-Match`: RFC 9110, section 13.1.2; a digest is compared whether or not it is quoted, since clients do both. */
export function isNotModified(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(',').some((entry) => {
    const tag = entry.trim()
    const bare = tag.replace(/^W\//, '')
    return tag === '*' || bare === etag || `"${bare}"` === etag
  })
}
