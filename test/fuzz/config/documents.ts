// From bytes to a value.
import fc from 'fast-check'
import { stringify } from 'yaml'
import { parseConfigDocument, readConfigDocument } from '../../../src/config/document.ts'
import { parsePlainJson } from '../../../src/config/json.ts'
import { hostileBytes } from '../mutate/bytes.ts'
import { pooled } from '../mutate/pool.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileJson } from '../mutate/tree.ts'
import { ok, property, same } from '../property.ts'
import { configs, keys, texts, words, yamlTokens } from './written.ts'

const lines = fc.constantFrom('a: 1\n', 'b: wörd\n', '# ☃\n', '😀: [x]\n', '- ${A}\n')

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
      else same([document.value, document.problems[0]?.message], [undefined, 'not UTF-8'])
    },
  ),
  property(
    'config documents that were written',
    pooled(configs),
    (written) => {
      const document = parseConfigDocument(stringify(written))
      same([document.value, document.problems], [JSON.parse(JSON.stringify(written)), []])
    },
    { share: 0.01 },
  ),
  property('config documents', texts, (text) => {
    const document = parseConfigDocument(text)
    ok(document.problems.every(({ message }) => typeof message === 'string' && !message.includes('\ufdd0')))
    ok(!JSON.stringify(document.value ?? null).includes('\ufdd0'))
    document.lineOf(['bundles', 'authz', 'store', 0])
    document.textAt(['bundles', 'authz', 'follow'])
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
      // To the parser of YAML it is the same; but where a reference is not closed within its quotes, which is refused later.
      if (/(?<!\$)\$\{[^{}\n]*["']/.test(text)) return
      same([parseConfigDocument(text).problems, parseConfigDocument(text).value], [[], value])
    },
  ),
  property('long config documents', pumped(yamlTokens, 20_000), (text) => void parseConfigDocument(text), {
    share: 0.01,
  }),
]
