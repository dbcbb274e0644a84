import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { parseConfigDocument } from '../../../src/config/document.ts'
import { parsePlainJson } from '../../../src/config/json.ts'
import { problems } from './load-text.ts'

const parse = (text: string) => parsePlainJson(Buffer.from(text))

describe('a config in JSON', () => {
  it('says what it says as YAML', () => {
    // As a config has them: the parser of YAML takes longer keys for text that runs on.
    const key = fc.oneof(
      fc.string({ maxLength: 20 }),
      fc.constantFrom('__proto__', '<<', 'a:', '"', '\\', '${A}', '{}'),
    )
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null)),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(key, tie('value'), { maxKeys: 4 }),
      ),
    }))
    fc.assert(
      fc.property(value, fc.constantFrom(undefined, 2), (given, indent) => {
        const text = JSON.stringify(given, undefined, indent)
        const json = parse(text)
        if (json !== undefined) expect(json).toEqual(parseConfigDocument(text).value)
        fc.pre(json !== undefined)
      }),
    )
  })

  it.each([
    ['a key twice', '{"a": 1, "b": {"c": 1, "c": 2}}'],
    ['one key written in two ways', String.raw`{"a": 1, "\u0061": 2}`],
    ['YAML', 'a: 1'],
    ['JSON and more', '{"a": 1} # one'],
    ['a byte order mark', '\ufeff{"a": 1}'],
    ['nothing', ''],
    ['what nests deeply', '['.repeat(100) + ']'.repeat(100)],
  ])('is left to the parser of YAML: %s', (_what, text) => {
    expect(parse(text)).toBeUndefined()
  })

  it('is left to it where it is not UTF-8', () => {
    expect(parsePlainJson(Buffer.from('{"a": "\xff"}', 'latin1'))).toBeUndefined()
  })

  it('has the keys that it says, whatever V8 parsed before', () => {
    JSON.parse('{"k":"v","a\\\\":"w"}')
    expect(parse(String.raw`{"k": 1, "a\n": 2, "\"": {"\u0062": 3}}`)).toEqual({ k: 1, 'a\n': 2, '"': { b: 3 } })
  })

  it('takes a string for a key only before a colon', () => {
    const text = String.raw`{"a": "b\": ", "c": ["\\", "d\"", "d"], "e" : {}}`
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  it('has its problems at their lines too', async () => {
    const text = JSON.stringify({ bundles: { a: { store: { type: 'local', repository: 'A' } } } }, undefined, 2)
    expect(await problems(text)).toEqual([
      expect.objectContaining({ key: 'bundles.a.store.repository', line: 6 }) as unknown,
    ])
  })
})
