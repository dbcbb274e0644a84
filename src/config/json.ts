import { isUtf8 } from 'node:buffer'
import { parseJsonText } from '../lib/json.ts'

/** What nests deeper is for the parser of YAML to refuse. */
const maxDepth = 64

/**
 * JSON is YAML, and read as JSON in a fraction of the time. Undefined for whatever is none, and where a key is given twice: JSON's
 * own parser says nothing of that.
 */
export function parsePlainJson(bytes: Uint8Array): unknown {
  if (!isUtf8(bytes)) return undefined
  const text = Buffer.from(bytes).toString('utf8')
  try {
    const value = parseJsonText(text)
    return countKeys(value, 0) === countWrittenKeys(text) ? value : undefined
  } catch {
    return undefined
  }
}

/** NaN for what nests too deeply. */
function countKeys(value: unknown, depth: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (depth > maxDepth) return NaN
  const within = Object.values(value).reduce((sum: number, item) => sum + countKeys(item, depth + 1), 0)
  return Array.isArray(value) ? within : Object.keys(value).length + within
}

/** Of valid JSON: strings that a colon follows. */
function countWrittenKeys(text: string): number {
  let count = 0
  for (const [, colon] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g)) if (colon !== undefined) count++
  return count
}
