import { formatDuration } from '../lib/units.ts'

const shownHexDigits = 12
const ellipsis = '…'

/** `sha256:0123456789ab`: enough for a person to tell one from another. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(':')
  return digest.slice(0, colon + 1 + shownHexDigits)
}

/** One line of at most `width` characters; control characters, which others may have put there, become spaces. */
export function oneLine(text: string, width = Infinity): string {
  // eslint-disable-next-line no-control-regex
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ').trim()
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}${ellipsis}`
}

/** `3m`, `2h`, `5d`: the largest unit alone, for columns. */
export function formatAge(ms: number): string {
  return formatDuration(Math.max(0, ms < 1000 ? 0 : ms))
    .split(' ')[0]!
    .replace(/^0ms$/, '0s')
}

/** `NAME: value` lines with the values under each other. */
export function fields(entries: readonly (readonly [name: string, value: string | undefined])[]): string[] {
  const present = entries.filter((entry): entry is readonly [string, string] => entry[1] !== undefined)
  const width = Math.max(0, ...present.map(([name]) => name.length))
  return present.map(([name, value]) => `${`${name}:`.padEnd(width + 1)}  ${value}`)
}

/** Each column as wide as its widest cell, two spaces between them. */
export function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
