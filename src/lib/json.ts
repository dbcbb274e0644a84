type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown

/** Of a key that was put aside. It is for private use: hardly any text has it, and a key that has it is put aside as well. */
const mark = '\uE000'

/**
 * JSON.parse, right also where keys have escapes: V8 takes such a key for one of an object that it parsed earlier, where that one holds a
 * backslash. After `{"k":1,"a\\":2}`, `{"k":1,"a\n":2}` comes with the key `a\` (Node 26.10). Throws SyntaxError.
 */
export function parseJsonText(text: string, reviver?: Reviver): unknown {
  const parse = (json: string) => parseWith(reviver, json)
  if (!text.includes('\\')) return parse(text)
  const keys: string[] = []
  const plain = withoutEscapedKeys(text, keys)
  if (keys.length === 0) return parse(text)
  let value: unknown
  try {
    value = parse(plain)
  } catch (error) {
    // Its own words speak of the text as it came.
    parse(text)
    throw error
  }
  restoreKeys(value, keys)
  return value
}

/**
 * V8 overwrites its own memory where a text that it reads for a reviver ends within a thousand lists: `JSON.parse('[1,'.repeat(1000) + '{}',
 * (key, value) => value)`, done a few times, ends the process (Node 26.10). What is not JSON is found without one.
 */
function parseWith(reviver: Reviver | undefined, json: string): unknown {
  const value = JSON.parse(json) as unknown
  return reviver === undefined ? value : JSON.parse(json, reviver as (key: string, value: unknown) => unknown)
}

/** With the mark and a number instead of each key that has an escape. What is not JSON stays so. */
function withoutEscapedKeys(text: string, keys: string[]): string {
  const parts: string[] = []
  let copied = 0
  for (let start = text.indexOf('"'); start !== -1;) {
    const end = endOfString(text, start)
    if (end === undefined) break
    const literal = text.slice(start, end)
    if ((literal.includes('\\') || literal.includes(mark)) && isKey(text, end)) {
      const key = keyOf(literal)
      if (key === undefined) break
      parts.push(text.slice(copied, start), `"${mark}${keys.push(key) - 1}"`)
      copied = end
    }
    start = text.indexOf('"', end)
  }
  return parts.join('') + text.slice(copied)
}

function endOfString(text: string, start: number): number | undefined {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let backslashes = 0
    while (text[quote - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return quote + 1
  }
  return undefined
}

function isKey(text: string, end: number): boolean {
  let at = end
  while (' \t\n\r'.includes(text[at] ?? 'x')) at++
  return text[at] === ':'
}

/** Undefined where the escapes are none. */
function keyOf(literal: string): string | undefined {
  try {
    return JSON.parse(literal) as string
  } catch {
    return undefined
  }
}

/** In place, in the same order. No recursion: what is parsed may nest deeper than the stack goes. */
function restoreKeys(root: unknown, keys: readonly string[]): void {
  const left = [root]
  while (left.length > 0) {
    const value = left.pop()
    if (typeof value !== 'object' || value === null) continue
    const entries = Object.entries(value)
    left.push(...entries.map(([, inner]) => inner as unknown))
    if (!entries.some(([key]) => key.startsWith(mark))) continue
    for (const [key] of entries) Reflect.deleteProperty(value, key)
    for (const [key, inner] of entries) {
      const name = key.startsWith(mark) ? keys[Number(key.slice(mark.length))]! : key
      // An assignment to `__proto__` would be something else.
      Object.defineProperty(value, name, {
        value: inner as unknown,
        writable: true,
        enumerable: true,
        configurable: true,
      })
    }
  }
}
