import fc from 'fast-check'
import { substitute } from '../../../src/config/substitute.ts'
import { pumped } from '../mutate/pumped.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

const written = fc.constantFrom('${A}', 'x${A:-y}z', '${meta.a.b}', '$${A}', '${A}${B}', '${meta.loop}')

export const substitutionProperties = [
  property(
    'substitution',
    fc.tuple(
      hostileText(written, ['${', '}', '$', 'A', 'B', ':-', 'meta.', 'a', '.', '__proto__']),
      fc.dictionary(fc.constantFrom('A', 'B'), fc.string({ maxLength: 5 })),
    ),
    ([text, variables]) => {
      const meta = { a: { b: 'deep ${A:-no}', c: [1] }, loop: '${meta.loop}', one: 1 }
      const lookups = {
        environment: (name: string) => (Object.hasOwn(variables, name) ? variables[name] : undefined),
        meta,
      }
      const { value, problems, used } = substitute({ key: text, list: [text], other: 7 }, lookups)
      const { key, list, other } = value as { key: string; list: string[]; other: number }
      same([list, other], [[key], 7])
      ok(problems.length % 2 === 0 && problems.every(({ path }) => ['key', 'list'].includes(String(path[0]))))
      ok([...used].every(([name, was]) => variables[name] === was))
      if (!text.includes('${')) same(key, text)
      if (text.includes('${') && !text.includes('$${') && problems.length === 0)
        ok(!key.includes('${') || Object.values(variables).some((one) => one.includes('$')) || text.includes(':-'))
    },
  ),
  property(
    'values that were written',
    fc.tuple(
      fc.oneof<fc.Arbitrary<unknown>[]>(
        fc.stringMatching(/^[a-z]{0,5}$/),
        fc.integer(),
        fc.boolean(),
        fc.constantFrom(null, undefined, [1], { b: 1 }),
      ),
      fc.constantFrom(undefined, '', 'set'),
      fc.constantFrom(undefined, '', 'else'),
    ),
    ([value, variable, fallback]) => {
      const lookups = {
        environment: (name: string) => (name === 'A' ? variable : undefined),
        meta: { a: { b: value } },
      }
      const meta = substitute('<${meta.a.b}>', lookups)
      const isPlain = ['string', 'number', 'boolean'].includes(typeof value)
      same([meta.value, meta.problems.length], isPlain ? [`<${String(value)}>`, 0] : ['<>', 1])
      const found = substitute(`<\${A${fallback === undefined ? '' : `:-${fallback}`}}>$\${A}`, lookups)
      const expected = variable === undefined || (variable === '' && fallback !== undefined) ? fallback : variable
      same([found.value, found.problems.length], [`<${expected ?? ''}>\${A}`, expected === undefined ? 1 : 0])
      same([...found.used], variable === undefined ? [] : [['A', variable]])
      ok(found.problems.every(({ hint }) => hint?.includes('${A:-default}')))
    },
  ),
  property(
    'values that name each other',
    fc.tuple(
      fc.oneof(
        { weight: 499, arbitrary: fc.integer({ min: 1, max: 120 }) },
        { weight: 1, arbitrary: fc.constant(9000) },
      ),
      fc.oneof({ weight: 99, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(2) }),
    ),
    ([count, times]) => {
      const meta = Object.fromEntries(
        Array.from({ length: count }, (_, at) => [`a${at}`, `\${meta.a${at + 1}}`.repeat(times)]),
      )
      const { value, problems } = substitute('${meta.a0}', {
        environment: () => undefined,
        meta: { ...meta, [`a${count}`]: 'x' },
      })
      ok(typeof value === 'string' && value.length <= 64 * 1024)
      if (times === 1) same([value, problems.length], count < 100 ? ['x', 0] : ['', 1])
    },
  ),
  property('long substitution', pumped(written, ['${', '}', '$', '${A}', '$${', '${A:-', '${meta.']), (text) => {
    substitute(text, { environment: () => 'x', meta: {} })
  }),
]
