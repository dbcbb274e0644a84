import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { mergeDocuments, parseData, parseYaml } from '../../../src/opa/data.ts'
import { dataPathOf } from '../../../src/opa/files.ts'
import { isObject, parseExactJson, parseJson, stringifyExact } from '../../../src/opa/json.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { bad, name } from './manifest.ts'

const numbers = fc.constantFrom(0, 1, -1, 1.5, 1e21, 2 ** 53 - 1, '12345678901234567890', '0.1000000000000000055')
export const jsonTexts = fc.jsonValue({ maxDepth: 4 }).map((json) => JSON.stringify(json))
const yamlTexts = fc.oneof(
  jsonTexts,
  fc
    .array(
      fc.tuple(
        name,
        fc.constantFrom(
          '1',
          'x',
          '"x"',
          '[1, 2]',
          '{a: b}',
          '|\n  text',
          '&a 1',
          '*a',
          '0x1f',
          '1e400',
          '.inf',
          '~',
          '!!str 1',
          '2001-01-01',
          '99999999999999999999',
          '\n  b: 1\n  c:\n  - 1',
        ),
      ),
    )
    .map((list) => list.map(([key, text]) => `${key}: ${text}\n`).join('')),
)
const yamlTokens = [
  '- ',
  ': ',
  '? ',
  '&a ',
  '*a',
  '<<: *a',
  '!!binary ',
  '!!set',
  '!x ',
  '|',
  '>',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '%TAG ! x\n',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '\n',
  '  ',
  '\t',
  '#',
  '__proto__: ',
  '0o7',
  '.nan',
]

/** Nothing but what JSON can say, and whole numbers of any size. */
function isPlain(value: unknown): boolean {
  if (value === null || ['string', 'boolean', 'number', 'bigint'].includes(typeof value)) return true
  if (Array.isArray(value)) return value.every(isPlain)
  return isObject(value) && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain)
}

export const dataProperties = [
  property(
    'JSON data',
    hostileBytes(
      fc
        .oneof(
          jsonTexts,
          fc.array(numbers, { maxLength: 3 }).map((list) => `{"a":[${list.join(',')}]}`),
        )
        .map((text) => Buffer.from(text)),
      ['{', '[', '"', '1e400', '-0', '\\ud800', '\ufeff', '"__proto__":'].map((text) => Buffer.from(text)),
    ),
    (bytes) => {
      const value = outcome(() => parseJson(bytes, 'data.json'), IntegrityError, bad)
      const exact = outcome(() => parseExactJson(bytes, 'data.json'), IntegrityError, bad)
      same(value === undefined, exact === undefined)
      if (value === undefined) return
      same(JSON.parse(stringifyExact(exact)), value)
      same(stringifyExact(parseExactJson(Buffer.from(stringifyExact(exact)), 'data.json')), stringifyExact(exact))
    },
  ),
  property('YAML data', hostileText(yamlTexts, yamlTokens), (text) => {
    const value = outcome(() => parseYaml(Buffer.from(text), 'data.yaml'), IntegrityError, bad)
    if (value === undefined) return
    ok(isPlain(value))
    const written = stringifyExact(finite(value))
    same(stringifyExact(parseYaml(Buffer.from(written), 'data.yaml')), written)
  }),
  property(
    'long data',
    pumped(yamlTexts, ['{', '[', '{"a":', '"', '[]', '1,', ...yamlTokens], { oneIn: 200 }),
    (text) => {
      for (const file of ['data.json', 'data.yaml'])
        outcome(() => parseData(Buffer.from(text), file), IntegrityError, bad)
      outcome(() => parseData(Buffer.from(text), 'data.json', { exact: true }), IntegrityError, bad)
    },
  ),
  property(
    'data files together',
    fc.array(
      fc.tuple(
        fc.constantFrom('data.json', 'a/data.json', 'a/b/data.yaml', '__proto__/data.json', './data.yml'),
        fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 }),
      ),
      { maxLength: 3 },
    ),
    (files) => {
      const documents = files.map(([file, json]) => ({
        file,
        path: dataPathOf(file),
        value: parseData(Buffer.from(JSON.stringify(json)), file),
      }))
      const tree = outcome(() => mergeDocuments(documents), IntegrityError, bad)
      if (tree === undefined) return
      ok(isPlain(tree) && ({} as { a?: unknown }).a === undefined)
      for (const [file, json] of files) {
        const there: unknown = dataPathOf(file).reduce<unknown>(
          (node, part) => (isObject(node) && Object.hasOwn(node, part) ? node[part] : undefined),
          tree,
        )
        for (const key of Object.keys(json)) ok(isObject(there) && Object.hasOwn(there, key))
      }
    },
  ),
]

/** JSON cannot say infinity, and not whether a zero is negative. */
function finite(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) && value !== 0 ? value : 0n
  if (Array.isArray(value)) return value.map(finite)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, finite(inner)]))
}
