import type { ByteRange } from '../../content/content.ts'

/**
 * RFC 9110, section 14: one range of bytes. Undefined when the header is to be ignored (absent, another unit, malformed,
 * several ranges), and then the whole is sent. A range that ends before it begins counts as unsatisfiable: the
 * distribution specification's conformance suite asks for 416.
 */
export function readRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = header === undefined ? null : /^bytes=\s*(\d{0,15})-(\d{0,15})\s*$/i.exec(header)
  if (match === null) return undefined
  const [, from, to] = match as unknown as [string, string, string]
  if (from === '' && to === '') return undefined
  if (from === '') {
    const length = Math.min(Number(to), size)
    return length === 0 ? 'unsatisfiable' : { first: size - length, last: size - 1 }
  }
  const first = Number(from)
  const last = to === '' ? size - 1 : Math.min(Number(to), size - 1)
  return first > last ? 'unsatisfiable' : { first, last }
}

/** A chunk's `Content-Range` is not HTTP's: `first-last`, both inclusive, nothing else. Undefined when it is not that. */
export function readChunkRange(header: string): ByteRange | undefined {
  const match = /^(\d{1,15})-(\d{1,15})$/.exec(header)
  if (match === null) return undefined
  const range = { first: Number(match[1]), last: Number(match[2]) }
  return range.first > range.last ? undefined : range
}
