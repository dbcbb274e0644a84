const durations: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizes: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 }

/** A hundred years: whatever is added to a date stays one. */
const longestMs = 36_500 * 86_400_000

/** `500ms`, `30s`, `5m`, `1h`, `1d` in milliseconds; undefined when it is none, or longer than 36500d. */
export function parseDuration(text: string): number | undefined {
  return parse(text, /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/, durations, longestMs)
}

/** `64KiB`, `10MiB`, `1GiB`, `512B` in bytes; undefined when it is none, or more than a number can hold. */
export function parseSize(text: string): number | undefined {
  return parse(text, /^(\d+(?:\.\d+)?)(B|KiB|MiB|GiB|TiB)$/, sizes, Number.MAX_SAFE_INTEGER)
}

function parse(text: string, grammar: RegExp, units: Record<string, number>, most: number): number | undefined {
  const match = grammar.exec(text)
  if (match === null) return undefined
  const value = Math.round(Number(match[1]) * units[match[2]!]!)
  return value <= most ? value : undefined
}

/** `1.5 MiB`, `312 B`: for people. */
export function formatSize(bytes: number): string {
  const unit = Object.entries(sizes)
    .reverse()
    .find(([, factor]) => bytes >= factor) ?? ['B', 1]
  const value = bytes / unit[1]
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${unit[0]}`
}

/** `120ms`, `42s`, `3m 5s`, `2h 10m`, `5d 2h`: for people. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds}s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`
  return `${Math.floor(seconds / 86_400)}d ${Math.floor((seconds % 86_400) / 3600)}h`
}

/** `1 file`, `2 files`: for people. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}
