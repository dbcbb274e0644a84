// From bytes to a value.
import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { parseConfigDocument, readConfigDocument } from '../../../src/config/document.ts'
import { parsePlainJson } from '../../../src/config/json.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pooled } from '../mutate/pool.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileJson } from '../mutate/tree.ts'
import { ok, property, same } from '../property.ts'
import { configs, keys, partTexts, words, yamlTokens } from './written.ts'

const lines = fc.constantFrom('a: 1\n', 'b: wörd\n', '# ☃\n', '😀: [x]\n', '- ${A}\n')

/** What may stand for braces while YAML is parsed. */
const standIns = '\ufdd0\ufdd1'
const privateUse = Array.from({ length: 0x1900 }, (_, at) => String.fromCharCode(0xe000 + at)).join('')
const odd = fc.oneof(
  {
    weight: 49,
    arbitrary: fc.string({
      unit: fc.constantFrom('x', '{', '}', ...standIns, ...privateUse.slice(0, 3)),
      maxLength: 6,
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(privateUse, `${standIns}${privateUse}`) },
)
const escaped = (text: string) =>
  JSON.stringify(text).replace(/[^\0-\x7f]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`)

export const documentProperties = [
  property(
    'config files as bytes',
    hostileBytes(
      fc.array(lines, { maxLength: 4 }).map((list) => Buffer.from(list.join(''))),
      ['\xff', '\xfe', '\0', '\xef\xbb\xbf', '\r\n', '\xc3'].map((text) => Buffer.from(text, 'latin1')),
    ),
    (bytes) => {
      const document = readConfigDocument(bytes)
      const isText = bytes.equals(Buffer.from(bytes.toString())) && !bytes.includes(0)
      if (isText) same(document.problems, parseConfigDocument(bytes.toString()).problems)
      else {
        const lines = bytes.toString('latin1').split('\n')
        const line = lines.findIndex((one) => one.includes('\0') || !isUtf8(Buffer.from(one, 'latin1'))) + 1
        same(
          [document.value, document.problems[0]?.message, document.problems[0]?.line],
          [undefined, 'not UTF-8', line],
        )
      }
    },
  ),
  property('config documents that were written', pooled(configs), (written) => {
    const text = stringify(written)
    const document = parseConfigDocument(text)
    same([document.value, document.problems], [JSON.parse(JSON.stringify(written)), []])
    same(parsePlainJson(Buffer.from(JSON.stringify(written))), JSON.parse(JSON.stringify(written)))
    for (const [key, value] of Object.entries(written)) {
      const line = text.split('\n').findIndex((one) => one.startsWith(`${key}:`)) + 1
      same(document.lineOf([key]), line)
      same(document.lineOf([key, 'nothing']), line)
      const [inner] = Object.keys(value as object)
      if (inner !== undefined) same(document.lineOf([key, inner]), line + 1)
    }
  }),
  property(
    'config documents with what stands for braces',
    fc.tuple(odd, fc.boolean(), fc.constantFrom('$', '$$')),
    ([text, isEscaped, dollars]) => {
      const reference = `${dollars}{B}`
      // Where every character is taken, braces can only stand in quotes.
      const inner = text.length > privateUse.length ? JSON.stringify(reference) : reference
      const written = `a: ${isEscaped ? escaped(text) : JSON.stringify(text)}\nb: { c: ${inner}, d: 1 }\ne: x${reference}${reference}\n`
      const document = parseConfigDocument(written)
      same(
        [document.value, document.problems],
        [{ a: text, b: { c: reference, d: 1 }, e: `x${reference}${reference}` }, []],
      )
      same(
        [document.textAt(['e']), document.textAt(['b', 'd']), document.textAt(['b'])],
        [`x${reference}${reference}`, '1', undefined],
      )
    },
  ),
  property('config documents', partTexts, (text) => {
    const document = parseConfigDocument(text)
    // What stands for braces while it is parsed is seen by nobody; what was written is.
    const standIns = /[\ue000-\uf8ff\ufdd0\ufdd1]/
    ok(document.problems.every(({ message }) => typeof message === 'string' && !standIns.test(message)))
    if (!/\\u/i.test(text)) {
      ok(JSON.stringify(document.value ?? null).includes('\ufdd0') <= text.includes('\ufdd0'))
      ok(!/[\ue000-\uf8ff]/.test(JSON.stringify(document.value ?? null)) || /[\ue000-\uf8ff]/.test(text))
    }
    document.lineOf(['access', 'tokens', 'ci', 'allow', 0])
    document.textAt(['follow', 'semver'])
  }),
  property(
    'config documents in JSON',
    hostileBytes(
      hostileJson(configs, words, keys).map((text) => Buffer.from(text)),
      ['"meta":', '"\\u0061":1,', '\\', '"', '{', '\xff', '\xc3'].map((text) => Buffer.from(text, 'latin1')),
    ),
    (bytes) => {
      const value = parsePlainJson(bytes)
      if (value === undefined) return
      const text = bytes.toString()
      ok(bytes.equals(Buffer.from(text)))
      same(value, JSON.parse(text))
      // Of keys that come twice JSON's own parser says nothing, that of YAML does, where it can read it: a reference that is not closed
      // may take a bracket with it.
      const document = parseConfigDocument(text)
      if (document.value !== undefined) same(document.problems, [])
    },
  ),
  property(
    'long config documents',
    pumped(
      configs.map((value) => stringify(value)),
      yamlTokens,
      { maxLength: 20_000, oneIn: 50 },
    ),
    (text) => void parseConfigDocument(text),
  ),
]
