/** What a part of a blob says of itself; `size` is null where it is not known. */
export interface ContentRange {
  first: number
  last: number
  size: number | null
}

/** `Content-Range: bytes 10-19/20`: https://www.rfc-editor.org/rfc/rfc9110#section-14.4. Undefined when it is none, or its numbers are too large. */
export function readContentRange(header: string): ContentRange | undefined {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(header)
  if (match === null) return undefined
  return { first: Number(match[1]), last: Number(match[2]), size: match[3] === '*' ? null : Number(match[3]) }
}

/**
 * How many bytes a registry has of an upload: `Range: 0-1023` is 1024. `0-0` is one byte to the letter of the specification, and
 * none to most registries: `expected` decides. Undefined when it is no such range; Infinity
 * for more than a number can hold, which is more than anybody sent.
 */
export function readOffset(header: string, expected: number): number | undefined {
  const match = /^(?:bytes=)?0-(\d+)$/.exec(header)
  if (match === null) return undefined
  const last = Number(match[1])
  return last === 0 && expected !== 1 ? 0 : last + 1
}
