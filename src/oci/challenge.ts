/** One way to authenticate that a server offers. https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1 */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  scheme: string
  /** Names in lower case; where one comes twice, the first counts. */
  parameters: Record<string, string>
}

/** A server that sends more is not one to talk to. */
const maxHeaderLength = 16 * 1024
const tokenCharacter = /[!#$%&'*+\-.^_`|~0-9A-Za-z]/
const token68Character = /[A-Za-z0-9\-._~+/]/

/**
 * Reads `WWW-Authenticate`: several headers, several challenges in one, commas and escapes inside of quotes. Reads as far as
 * it understands, and never throws: what comes after nonsense is left out.
 */
export function parseChallenges(headers: string | readonly string[] | undefined): Challenge[] {
  const list = headers === undefined ? [] : typeof headers === 'string' ? [headers] : headers
  return list.filter((header) => header.length <= maxHeaderLength).flatMap(parseHeader)
}

function parseHeader(text: string): Challenge[] {
  const cursor: Cursor = { text, at: 0 }
  const challenges: Challenge[] = []
  for (;;) {
    skip(cursor, /[\s,]/)
    const scheme = take(cursor, tokenCharacter).toLowerCase()
    if (scheme === '') return challenges
    const parameters = Object.create(null) as Record<string, string>
    challenges.push({ scheme, parameters })
    if (!isSpace(cursor)) continue
    skip(cursor, /\s/)
    if (!skipToken68(cursor)) readParameters(cursor, parameters)
  }
}

interface Cursor {
  text: string
  at: number
}

/** Stops before a word that is not followed by `=`: the next scheme. */
function readParameters(cursor: Cursor, parameters: Record<string, string>): void {
  for (;;) {
    skip(cursor, /[\s,]/)
    const start = cursor.at
    const name = take(cursor, tokenCharacter).toLowerCase()
    skip(cursor, /\s/)
    if (name === '' || cursor.text[cursor.at] !== '=') {
      cursor.at = start
      return
    }
    cursor.at++
    skip(cursor, /\s/)
    const value = cursor.text[cursor.at] === '"' ? takeQuoted(cursor) : take(cursor, /[^\s,"]/)
    parameters[name] ??= value
  }
}

/** `Negotiate YII…==`: a credential instead of parameters; of no use here. */
function skipToken68(cursor: Cursor): boolean {
  const start = cursor.at
  if (take(cursor, token68Character) !== '') {
    skip(cursor, /=/)
    const end = cursor.at
    skip(cursor, /[ \t]/)
    // `realm="x"` has something after its equals sign, a token68 has not.
    const isLast = cursor.at === cursor.text.length || cursor.text[cursor.at] === ','
    if (isLast && cursor.text.slice(start, end).length > 0) return true
  }
  cursor.at = start
  return false
}

function takeQuoted(cursor: Cursor): string {
  let value = ''
  for (cursor.at++; cursor.at < cursor.text.length; cursor.at++) {
    const character = cursor.text[cursor.at]!
    if (character === '"') {
      cursor.at++
      return value
    }
    if (character === '\\') cursor.at++
    value += cursor.text[cursor.at] ?? ''
  }
  return value
}

function take(cursor: Cursor, allowed: RegExp): string {
  const start = cursor.at
  skip(cursor, allowed)
  return cursor.text.slice(start, cursor.at)
}

function skip(cursor: Cursor, allowed: RegExp): void {
  while (cursor.at < cursor.text.length && allowed.test(cursor.text[cursor.at]!)) cursor.at++
}

function isSpace(cursor: Cursor): boolean {
  return /\s/.test(cursor.text[cursor.at] ?? '')
}
