import fc from '../../support/fast-check.ts'
import { expect, it } from 'vitest'
import { parseJsonText } from '../../../src/lib/json.ts'

/** An object that V8 remembers, and takes others for. */
function poison(): void {
  JSON.parse('{"k":1,"a\\\\":2}')
  JSON.parse('{"k":1,"\\\\":2,"b\\\\\\\\":3}')
}

it.each([
  ['{"k":1,"a\\n":2}', ['k', 'a\n']],
  ['{"k":1,"\\u0061":2}', ['k', 'a']],
  ['{"k":1,"a\\\\":2}', ['k', 'a\\']],
  ['{"k" : 1 , "a\\"" \n: 2}', ['k', 'a"']],
  ['{"k":1,"a\\t":"a\\\\"}', ['k', 'a\t']],
  ['{"\\u005f_proto__":1,"a":2}', ['__proto__', 'a']],
  ['{"x\\n":1,"\uE0000":2}', ['x\n', '\uE0000']],
])('reads the keys that stand there: %s', (text, keys) => {
  poison()
  const value = parseJsonText(text) as object
  expect(Object.keys(value)).toEqual(keys)
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
})

it('takes the last of several that are the same, in the place of the first', () => {
  expect(Object.entries(parseJsonText('{"a\\n":1,"b":2,"\\u0061\\n":3}') as object)).toEqual([
    ['a\n', 3],
    ['b', 2],
  ])
})

it('reads what was written, whatever was read before', () => {
  const keys = fc.stringMatching(/^[k\\"ab\n\uE0000]{0,3}$/)
  const values = fc.object({ key: keys, maxDepth: 3, values: [fc.integer(), keys] })
  fc.assert(
    fc.property(fc.array(values, { minLength: 1, maxLength: 4 }), (list) => {
      for (const value of list) expect(parseJsonText(JSON.stringify(value))).toEqual(value)
    }),
    { numRuns: 500 },
  )
})

it.each(['{"a\\n":', '{"a\\x":1}', '{"a\\n":1}}', '"a\\', '{"a\\n" "b":1}'])(
  'says of %s what JSON.parse says',
  (text) => {
    const message = (parse: (text: string) => unknown) => {
      try {
        parse(text)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    }
    expect(message(parseJsonText)).toBe(message(JSON.parse))
  },
)

it('takes deep nesting, and many quotes without an end, in their stride', () => {
  const deep = `${'{"a\\n":'.repeat(9_000)}1${'}'.repeat(9_000)}`
  expect(Object.keys(parseJsonText(deep) as object)).toEqual(['a\n'])
  expect(() => parseJsonText(`"${'\\"'.repeat(500_000)}`)).toThrow(SyntaxError)
})
