import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { substitute } from '../../../src/config/substitute.ts'

function replace(value: unknown, env: Record<string, string> = {}, meta: unknown = {}) {
  return substitute(value, { environment: (name) => (Object.hasOwn(env, name) ? env[name] : undefined), meta })
}

const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,10}$/)

describe('substitute', () => {
  it('leaves alone what holds no reference', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        fc.pre(!JSON.stringify(value).includes('${'))
        // JSON has no -0.
        const plain: unknown = JSON.parse(JSON.stringify(value))
        const { value: replaced, problems } = replace(plain)
        expect(problems).toEqual([])
        expect(JSON.stringify(replaced)).toBe(JSON.stringify(plain))
      }),
    )
  })

  it('puts any value in, once: what it holds is not looked at again', () => {
    fc.assert(
      fc.property(name, fc.string(), fc.string(), (variable, value, around) => {
        fc.pre(!around.includes('$'))
        const text = `${around}\${${variable}}${around}`
        expect(replace({ a: [text] }, { [variable]: value }).value).toEqual({ a: [`${around}${value}${around}`] })
      }),
    )
  })

  it('writes any text with $${ for ${', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', 'a') }), (text) => {
        fc.pre(!text.includes('$$'))
        expect(replace(text.replaceAll('${', () => '$${')).value).toBe(text)
      }),
    )
  })

  it.each([
    ['${A}', 'a'],
    ['${A}${B:-b}', 'ab'],
    ['${EMPTY}', ''],
    ['${EMPTY:-default}', 'default'],
    ['${NONE:-}', ''],
    ['${NONE:-http://x:1/y}', 'http://x:1/y'],
    ['$${A}', '${A}'],
    ['$A $$ {A}', '$A $$ {A}'],
    ['${meta.x.y}', 'deep'],
    ['${meta.port}', '80'],
    ['${meta.both}', 'a-deep'],
  ])('%s is %s', (text, expected) => {
    const meta = { x: { y: 'deep' }, port: 80, both: '${A}-${meta.x.y}' }
    expect(replace(text, { A: 'a', EMPTY: '' }, meta)).toMatchObject({ value: expected, problems: [] })
  })

  it.each([
    ['${NONE}', 'the environment has no NONE'],
    ['${A', '`${` is not closed by `}`'],
    ['${}', '`${…}` holds no name'],
    ['${A-b}', '`${…}` holds no name'],
    ['${meta.none}', 'there is no meta.none'],
    ['${meta.toString}', 'there is no meta.toString'],
    ['${meta.x}', 'meta.x is no plain value'],
    ['${meta.loop}', 'meta.loop refers to itself'],
  ])('refuses %s', (text, message) => {
    const meta = { x: {}, loop: 'a${meta.pool}', pool: '${meta.loop}' }
    expect(replace({ here: [text] }, {}, meta).problems).toEqual([
      expect.objectContaining({ path: ['here', 0], message }),
    ])
  })

  it('bounds what meta may grow to', () => {
    const meta = Object.fromEntries(
      Array.from({ length: 40 }, (_, at) => [`m${at}`, at === 0 ? 'x'.repeat(100) : `\${meta.m${at - 1}}`.repeat(4)]),
    )
    const { problems } = replace('${meta.m39}', {}, meta)
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.length).toBeLessThan(20_000)
  })

  it('tells which variables were used', () => {
    expect(replace('${A} ${B:-x}', { A: '1', C: '2' }).used).toEqual(new Map([['A', '1']]))
  })
})
