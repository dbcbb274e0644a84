import { IntegrityError } from '../lib/errors.ts'
import { parseJsonText } from '../lib/json.ts'
import { depthOf, foldName } from '../oci/json.ts'

export type JsonObject = Record<string, unknown>

/** Go's decoder, and so OPA, refuses more. */
const maxDepth = 10_000

/** Not in TypeScript's library yet. https://github.com/tc39/proposal-json-parse-with-source */
interface ExactJson {
  rawJSON(text: string): object
  isRawJSON(value: unknown): boolean
}

/** JSON as OPA reads it: UTF-8 without a byte order mark, one value. Throws IntegrityError `bad_bundle` naming the file. */
export function parseJson(bytes: Uint8Array, file: string): unknown {
  return attempt(bytes, file, () => parseJsonText(textOf(bytes)))
}

/** For what is written again: numbers that JavaScript cannot hold keep their text, and JSON.stringify puts it back. */
export function parseExactJson(bytes: Uint8Array, file: string): unknown {
  const exact = JSON as unknown as ExactJson
  return attempt(bytes, file, () =>
    parseJsonText(textOf(bytes), (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined && String(value) !== source ? exact.rawJSON(source) : value,
    ),
  )
}

/** One line, with numbers that `parseExactJson` kept, and bigints, as they were written. */
export function stringifyExact(value: unknown): string {
  const exact = JSON as unknown as ExactJson
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? exact.rawJSON(String(inner)) : inner,
  )
}

export function isObject(value: unknown): value is JsonObject {
  const exact = JSON as unknown as ExactJson
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !exact.isRawJSON(value)
}

/** The object as Go, and so OPA, reads it: a name counts in any case, and of several that are the same the last. */
export function asGoReads(json: JsonObject, names: readonly string[]): JsonObject {
  const known = new Map(names.map((name) => [foldName(name), name]))
  const entries = Object.entries(json).map(([key, value]) => [known.get(foldName(key)) ?? key, value] as const)
  return Object.fromEntries(entries)
}

function attempt(bytes: Uint8Array, file: string, parse: () => unknown): unknown {
  if (depthOf(bytes) > maxDepth) {
    throw new IntegrityError('bad_bundle', `${file} nests deeper than ${maxDepth} levels`, { file })
  }
  try {
    return parse()
  } catch (error) {
    const why = error instanceof RangeError ? 'it is larger or nests deeper than can be read' : (error as Error).message
    throw new IntegrityError('bad_bundle', `${file} is not valid JSON: ${why}`, { file, cause: error })
  }
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}
