import { expect, it } from 'vitest'
import { parseExactJson, parseJson, stringifyExact } from '../../../src/opa/json.ts'

it('reads and writes keys as they stand there, whatever V8 parsed before', () => {
  JSON.parse('{"k":1,"a\\\\":2}')
  const text = '{"k":1,"a\\n":1.0,"b":1e400}'
  const bytes = Buffer.from(text)
  expect(parseJson(bytes, 'data.json')).toEqual({ k: 1, 'a\n': 1, b: Infinity })
  expect(stringifyExact(parseExactJson(bytes, 'data.json'))).toBe(text)
})
