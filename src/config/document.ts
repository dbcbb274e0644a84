import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type Pair } from 'yaml'
import type { Problem } from '../lib/errors.ts'
import { meaningFaults, faultOf, notYaml } from './syntax.ts'

export type Path = readonly (string | number)[]

/** A config file as a value, and where each key of it stands. */
export interface ConfigDocument {
  value: unknown
  problems: Problem[]
  /** The line of the key at `path`, or of the nearest thing around it. */
  lineOf: (path: Path) => number | undefined
  /** A plain value exactly as it is written, such as `1.10`; undefined where there is none. */
  textAt: (path: Path) => string | undefined
}

/** A file may not grow by aliases: https://en.wikipedia.org/wiki/Billion_laughs_attack */
const maxAliases = 100

/** A file as it is on the disk: UTF-8, with or without a byte order mark. */
export function readConfigDocument(bytes: Uint8Array): ConfigDocument {
  const text = utf8(bytes)
  if (text !== undefined) return parseConfigDocument(text)
  const lines = Buffer.from(bytes).toString('latin1').split('\n')
  const line = lines.findIndex((one) => utf8(Buffer.from(one, 'latin1')) === undefined) + 1
  return { ...documentOf(undefined), problems: [{ line, message: 'not UTF-8', hint: 'Save the file as UTF-8.' }] }
}

/** A text with NULs in it is UTF-16. */
function utf8(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** YAML 1.2 with merge keys, and JSON, which is a part of it. A duplicate key is a problem, but the rest can still be looked at. */
export function parseConfigDocument(text: string): ConfigDocument {
  const lines = new LineCounter()
  const braces = standInsFor(text)
  try {
    // The parser looks for a key among all before it, which is most of the time that many bundles take: see `duplicateKeys`.
    const strict = { version: '1.2', uniqueKeys: false, merge: true, resolveKnownTags: false } as const
    const options = { ...strict, lineCounter: lines, prettyErrors: false, logLevel: 'error' } as const
    const document = parseDocument(hideReferences(text, braces), options)
    const faults = [...document.errors, ...document.warnings]
    // One broken line makes many errors of those after it.
    const syntax = faults.slice(0, 1)
    const broken = syntax.length > 0 ? syntax.map((fault) => faultOf(fault, lines)) : meaningFaults(document, lines)
    return {
      value: broken.length > 0 ? undefined : showReferences(document.toJS({ maxAliasCount: maxAliases }), braces),
      problems: [
        ...duplicateKeys(document.contents).map((offset) => ({
          line: lines.linePos(offset).line,
          message: `duplicate key${wordAt(text, offset)}`,
        })),
        ...broken,
      ],
      lineOf: (path) => lineOf(document, lines, path),
      textAt(path) {
        const node = nodeAt(document, path)
        return isScalar(node) && node.source !== undefined ? showBraces(node.source, braces) : undefined
      },
    }
  } catch (error) {
    const message = error instanceof RangeError ? 'it nests too deeply' : (error as Error).message
    return { ...documentOf(undefined), problems: [{ message: notYaml(message) }] }
  }
}

/** A value that comes from no file. */
export function documentOf(value: unknown): ConfigDocument {
  return { value, problems: [], lineOf: () => undefined, textAt: () => undefined }
}

/** Where keys stand that their mapping had before. */
function duplicateKeys(node: unknown): number[] {
  if (isSeq(node)) return node.items.flatMap(duplicateKeys)
  if (!isMap(node)) return []
  const known = new Set<unknown>()
  return (node.items as Pair<Node, Node | null>[]).flatMap(({ key, value }) => {
    const within = duplicateKeys(value)
    if (!isScalar(key) || known.size < known.add(key.value).size) return within
    return [key.range?.[0] ?? 0, ...within]
  })
}

function lineOf(document: Document, lines: LineCounter, path: Path): number | undefined {
  let line: number | undefined
  let node: unknown = document.contents
  for (const part of path) {
    const step = stepInto(resolve(document, node), part)
    if (step === undefined) break
    const start = (step.key ?? step.value)?.range?.[0]
    if (start !== undefined) line = lines.linePos(start).line
    node = step.value
  }
  return line
}

function nodeAt(document: Document, path: Path): Node | undefined {
  let node: unknown = document.contents
  for (const part of path) node = stepInto(resolve(document, node), part)?.value
  return resolve(document, node)
}

function stepInto(node: unknown, part: string | number): { key?: Node; value?: Node } | undefined {
  if (isSeq(node)) {
    const value = node.items[Number(part)] as Node | undefined
    return value === undefined ? undefined : { value }
  }
  if (!isMap(node)) return undefined
  const pair = (node.items as Pair<Node, Node | null>[]).find(
    ({ key }) => isScalar(key) && String(key.value) === String(part),
  )
  return pair && { key: pair.key, ...(pair.value === null ? {} : { value: pair.value }) }
}

function resolve(document: Document, node: unknown): Node | undefined {
  return isAlias(node) ? node.resolve(document) : (node as Node | undefined)
}

function wordAt(text: string, offset: number): string {
  const word = /^["']?([\w./-]+)/.exec(text.slice(offset, offset + 100))?.[1]
  return word === undefined ? '' : ` \`${word}\``
}

/** What stands for the braces of references while the parser looks: two characters that the text has nowhere else. */
type StandIns = readonly [opening: string, closing: string]

/** Noncharacters, which hardly any text holds: https://www.unicode.org/faq/private_use.html#noncharacters */
const usual: StandIns = ['\uFDD0', '\uFDD1']
/** Where others are looked for. */
const privateUse = { first: 0xe000, last: 0xf8ff }

/** As they are, and as escapes. Undefined where all that may stand for something else is taken. */
function standInsFor(text: string): StandIns | undefined {
  if (!/[\uFDD0\uFDD1]|\\u(?:0000)?fdd[01]/i.test(text)) return usual
  const used = new Set(Array.from(text.matchAll(/[\uE000-\uF8FF]/g), ([character]) => character.charCodeAt(0)))
  for (const [, hex = ''] of text.matchAll(/\\u(?:0000)?([0-9a-f]{4})/gi)) used.add(parseInt(hex, 16))
  const free: string[] = []
  for (let code = privateUse.first; code <= privateUse.last && free.length < 2; code++) {
    if (!used.has(code)) free.push(String.fromCharCode(code))
  }
  const [opening, closing] = free
  return opening === undefined || closing === undefined ? undefined : [opening, closing]
}

/**
 * Unquoted, `{ password: ${TOKEN} }` would be a mapping within a mapping: the parser sees other braces, of the same length. A `$${` may
 * stand alone in quotes: the brace behind them is not its own.
 */
function hideReferences(text: string, braces: StandIns | undefined): string {
  if (braces === undefined) return text
  const [opening, closing] = braces
  return text.replace(
    /(?<=\$)\$\{([^{}"'\n]*)\}|(?<!\$)\$\{([^{}\n]*)\}/g,
    (whole) => `$${opening}${whole.slice(2, -1)}${closing}`,
  )
}

function showReferences(value: unknown, braces: StandIns | undefined): unknown {
  if (typeof value === 'string') return showBraces(value, braces)
  if (Array.isArray(value)) return value.map((item) => showReferences(item, braces))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [showBraces(key, braces), showReferences(item, braces)]),
  )
}

function showBraces(text: string, braces: StandIns | undefined): string {
  return braces === undefined ? text : text.replaceAll(braces[0], '{').replaceAll(braces[1], '}')
}
