import { Composer, type CST, type Document, LineCounter, Parser, type ScalarTag } from 'yaml'
import { IntegrityError } from '../lib/errors.ts'
import { isObject, parseExactJson, parseJson, type JsonObject } from './json.ts'
import { showDataPath } from './rego.ts'
import { hasRootBelow, isUnderRoots, showRoots } from './roots.ts'

/** Aliases that one YAML file may use; nested ones multiply, which is how a small file becomes a huge document. */
const maxAliases = 10_000
/** Characters of what the parser says, which may quote the file. */
const maxShown = 300

/** One data document and the place in the tree where its folder puts it. */
export interface DataDocument {
  file: string
  path: string[]
  value: unknown
}

/** `exact`: for what is written again, numbers keep their text. */
export function parseData(bytes: Uint8Array, file: string, { exact = false } = {}): unknown {
  if (/\.ya?ml$/.test(file)) return parseYaml(bytes, file)
  return exact ? parseExactJson(bytes, file) : parseJson(bytes, file)
}

/** Base64 of text, to OPA: its data has no bytes. */
const binary: ScalarTag = {
  tag: 'tag:yaml.org,2002:binary',
  resolve: (text) => Buffer.from(text, 'base64').toString('utf8'),
}

/** The first document; of equal keys the last, as in OPA. Integers are bigint. Throws IntegrityError `bad_bundle`. */
export function parseYaml(bytes: Uint8Array, file: string): unknown {
  try {
    const lines = new LineCounter()
    const document = firstDocument(new TextDecoder('utf-8').decode(bytes), lines)
    const [error] = document.errors
    if (error !== undefined) {
      const { line, col } = lines.linePos(error.pos[0])
      throw new SyntaxError(`${error.message} at line ${line}, column ${col}`, { cause: error })
    }
    return document.toJS({ maxAliasCount: maxAliases }) as unknown
  } catch (error) {
    const why =
      error instanceof RangeError ? 'it nests too deep' : (error as Error).message.split('\n')[0]!.slice(0, maxShown)
    throw new IntegrityError('bad_bundle', `${file} is not valid YAML: ${why}`, { file, cause: error })
  }
}

/**
 * As `parseDocument` does it, but no further than the first error of the syntax, of which a text can have as many as characters, and
 * without a copy of its line for each.
 */
function firstDocument(text: string, lines: LineCounter): Document {
  const composer = new Composer({
    version: '1.2',
    merge: true,
    uniqueKeys: false,
    stringKeys: true,
    // With them, a set, an ordered map or a date would come as no plain data; OPA takes each for what it is made of.
    resolveKnownTags: false,
    customTags: [binary],
    intAsBigInt: true,
    logLevel: 'silent',
  })
  const tokens = untilError(new Parser(lines.addNewLine).parse(text))
  // There is one, be it empty.
  return composer.compose(tokens, true, text.length).next().value!
}

function* untilError(tokens: Iterable<CST.Token>): Generator<CST.Token> {
  for (const token of tokens) {
    yield token
    if (token.type === 'error') return
  }
}

/**
 * Puts the documents into one tree as OPA does. Throws IntegrityError `bad_bundle` where two files say different
 * things of one place, or a file at the top is no object. Changes the documents' values.
 */
export function mergeDocuments(documents: readonly DataDocument[]): JsonObject {
  const tree: JsonObject = {}
  for (const { file, path, value } of documents) {
    if (path.length === 0 && !isObject(value)) {
      throw new IntegrityError('bad_bundle', `${file} must hold an object: it is the top of the tree`, { file })
    }
    mergeInto(tree, wrap(path, value) as JsonObject, file)
  }
  return tree
}

/** Throws IntegrityError `bad_bundle` for the first place in the tree that no root covers. */
export function checkDataRoots(tree: JsonObject, roots: readonly string[], documents: readonly DataDocument[]): void {
  const outside = findOutside(tree, roots)
  if (outside === undefined) return
  const file = documents.find(({ path }) =>
    path.every((part, at) => outside[at] === part || at >= outside.length),
  )?.file
  throw new IntegrityError(
    'bad_bundle',
    `${file ?? 'a data file'} holds ${showDataPath(outside)}, which the roots ${showRoots(roots)} do not cover`,
    {
      ...(file !== undefined && { file }),
      hint: 'Add the path to `roots` in `.manifest`, or move the file.',
    },
  )
}

/** The first place in the order of the documents. */
function findOutside(tree: JsonObject, roots: readonly string[]): string[] | undefined {
  const left: { node: unknown; path: string[] }[] = [{ node: tree, path: [] }]
  for (let place = left.pop(); place !== undefined; place = left.pop()) {
    const { node, path } = place
    if (isUnderRoots(roots, path)) continue
    if (!isObject(node) || !hasRootBelow(roots, path)) return path
    for (const key of Object.keys(node).reverse()) left.push({ node: node[key], path: [...path, key] })
  }
  return undefined
}

/** With a list of what is left, as data may nest deeper than functions can call each other. */
function mergeInto(tree: JsonObject, document: JsonObject, file: string): void {
  const left: { target: JsonObject; source: JsonObject; path: string[] }[] = []
  left.push({ target: tree, source: document, path: [] })
  for (let pair = left.pop(); pair !== undefined; pair = left.pop()) {
    const { target, source, path } = pair
    for (const key of Object.keys(source)) {
      const [here, there] = [Object.hasOwn(target, key) ? target[key] : undefined, source[key]]
      if (here === undefined) define(target, key, there)
      else if (isObject(here) && isObject(there)) left.push({ target: here, source: there, path: [...path, key] })
      else {
        throw new IntegrityError(
          'bad_bundle',
          `${file} sets ${showDataPath([...path, key])}, which another data file has set already`,
          { file },
        )
      }
    }
  }
}

function wrap(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => define({}, key, inner), value)
}

/** An assignment to `__proto__` would be none. */
function define(target: JsonObject, key: string, value: unknown): JsonObject {
  return Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true })
}
