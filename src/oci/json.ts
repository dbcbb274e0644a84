import { IntegrityError } from '../lib/errors.ts'
import { parseJsonText } from '../lib/json.ts'

/** What tools write nests four or five deep; a hostile document must not cost a parser its stack. */
export const maxJsonDepth = 64

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export type JsonObject = Record<string, unknown>

/** Parses strict UTF-8 JSON that is one object. Throws IntegrityError `bad_manifest`; `what` names it in the message. */
export function parseJsonObject(bytes: Uint8Array, what: string): JsonObject {
  if (depthOf(bytes) > maxJsonDepth) {
    throw new IntegrityError('bad_manifest', `${what} nests deeper than ${maxJsonDepth} levels`)
  }
  let value: unknown
  try {
    value = parseJsonText(strictUtf8.decode(bytes))
  } catch (error) {
    throw new IntegrityError('bad_manifest', `${what} is not JSON`, { cause: error })
  }
  if (!isObject(value)) throw new IntegrityError('bad_manifest', `${what} is JSON, but not an object`)
  return value
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Names that Go's JSON takes for one another: it compares them without case. */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase()
}

/** How deep JSON nests. Counts brackets outside of strings, on the bytes: nothing is parsed before this has passed. */
export function depthOf(bytes: Uint8Array): number {
  const [quote, backslash, openBracket, closeBracket, openBrace, closeBrace] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]
  let depth = 0
  let deepest = 0
  let inString = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (inString) {
      if (byte === backslash) at++
      else if (byte === quote) inString = false
    } else if (byte === quote) inString = true
    else if (byte === openBracket || byte === openBrace) deepest = Math.max(deepest, ++depth)
    else if (byte === closeBracket || byte === closeBrace) depth--
  }
  return deepest
}
