import { describe, expect, it } from 'vitest'
import { checkDataRoots, mergeDocuments, parseData, type DataDocument } from '../../../src/opa/data.ts'
import { dataPathOf, roleOf } from '../../../src/opa/files.ts'
import { stringifyExact } from '../../../src/opa/json.ts'
import { refusalOf } from './support.ts'

const parse = (text: string | Buffer, file = 'data.json') => parseData(Buffer.from(text), file)
const document = (file: string, value: unknown): DataDocument => ({ file, path: dataPathOf(file), value })

describe('what OPA makes of a file', () => {
  it.each([
    ['a/b.rego', 'rego'],
    ['.rego', 'rego'],
    ['data.json', 'json'],
    ['a/data.yaml', 'yaml'],
    ['a/data.yml', 'yaml'],
    ['a/policy.wasm', 'wasm'],
    ['plan.json', 'plan'],
    ['patch.json', 'patch'],
    ['.manifest', 'manifest'],
    ['a/other.manifest', 'manifest'],
    ['.manifest.pb', 'protobuf-manifest'],
    ['a/.signatures.json', 'signatures'],
    ['other.json', undefined],
    ['mydata.json', undefined],
    ['other.wasm', undefined],
    ['signatures.json', undefined],
    ['manifest', undefined],
  ])('%s: %s', (path, role) => {
    expect(roleOf(path)).toBe(role)
  })

  it.each([
    ['data.json', []],
    ['a/b/data.json', ['a', 'b']],
    ['.hidden/a/data.json', ['hidden', 'a']],
    ['a/.b/data.json', ['a', '.b']],
  ])('%s belongs at %j', (path, at) => {
    expect(dataPathOf(path)).toEqual(at)
  })
})

describe('data', () => {
  it.each([
    ['JSON', '{"a":[1,"b",null]}', 'data.json', { a: [1, 'b', null] }],
    ['JSON with equal keys: the last', '{"a":1,"a":2}', 'data.json', { a: 2 }],
    ['YAML', 'a: [x, y]\nb:\n  c: true\n', 'data.yaml', { a: ['x', 'y'], b: { c: true } }],
    ['YAML with equal keys: the last', 'a: x\na: y\n', 'data.yml', { a: 'y' }],
    ['YAML with several documents: the first', 'a: x\n---\nb: y\n', 'data.yaml', { a: 'x' }],
    ['YAML with a merge', 'x: &x {a: b}\ny:\n  <<: *x\n', 'data.yaml', { x: { a: 'b' }, y: { a: 'b' } }],
    ['YAML with a number for a key', '1: x\n', 'data.yaml', { 1: 'x' }],
    ['YAML with words that once were booleans', 'a: yes\n', 'data.yaml', { a: 'yes' }],
    ['YAML with a date', 'a: 2001-01-01\n', 'data.yaml', { a: '2001-01-01' }],
  ])('%s', (_what, text, file, value) => {
    expect(parse(text, file)).toEqual(value)
  })

  it.each([
    ['no JSON', '{"a":', 'data.json'],
    ['empty JSON', '', 'data.json'],
    ['two values', '{} {}', 'data.json'],
    ['a byte order mark', '\ufeff{}', 'data.json'],
    ['no YAML', 'a: [', 'data.yaml'],
    ['YAML with a tab', '\ta: 1', 'data.yaml'],
    ['YAML with a list for a key', '? [1, 2]\n: 3\n', 'data.yaml'],
    ['YAML with an unknown alias', 'a: *b', 'data.yaml'],
  ])('refuses %s', (_what, text, file) => {
    expect(refusalOf(() => parse(text, file))).toMatchObject({ code: 'bad_bundle', file })
  })

  it('refuses YAML whose aliases multiply', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for (let at = 1; at < 9; at++) {
      const aliases = Array.from({ length: 10 }, () => `*a${at - 1}`).join(', ')
      lines.push(`a${at}: &a${at} [${aliases}]`)
    }
    expect(refusalOf(() => parse(lines.join('\n'), 'data.yaml'))).toMatchObject({ code: 'bad_bundle' })
  })

  it('takes an alias a thousand times', () => {
    const text = `x: &x {a: b}\ny: [${Array.from({ length: 1000 }, () => '*x').join(', ')}]`
    expect((parse(text, 'data.yaml') as { y: unknown[] }).y).toHaveLength(1000)
  })

  it('that nests deep is read or refused, and never breaks', () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
    for (const file of ['data.json', 'data.yaml']) {
      try {
        parse(deep, file)
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_bundle', file })
      }
    }
  })

  it('keeps numbers to their last digit where it is written again', () => {
    const json = parseData(Buffer.from('{"a":12345678901234567890,"b":1.10,"c":-0}'), 'x.json', { exact: true })
    expect(stringifyExact(json)).toBe('{"a":12345678901234567890,"b":1.10,"c":-0}')
    const yaml = parseData(Buffer.from('a: 12345678901234567890\nb: 7\n'), 'x.yaml', { exact: true })
    expect(stringifyExact(yaml)).toBe('{"a":12345678901234567890,"b":7}')
  })
})

describe('merging', () => {
  it('puts each document at its folder, objects into each other', () => {
    const tree = mergeDocuments([
      document('data.json', { a: { b: 1 } }),
      document('a/data.yaml', { c: 2 }),
      document('a/d/data.json', [3]),
    ])
    expect(tree).toEqual({ a: { b: 1, c: 2, d: [3] } })
  })

  it('takes __proto__ for a name like any other', () => {
    const tree = mergeDocuments([
      document('data.json', JSON.parse('{"__proto__":{"a":1}}')),
      document('__proto__/data.json', { b: 2 }),
    ])
    expect(JSON.stringify(tree)).toBe('{"__proto__":{"a":1,"b":2}}')
    expect(({} as { a?: number }).a).toBeUndefined()
  })

  it.each([
    ['two values', [document('data.json', { a: 1 }), document('data.yaml', { a: 1 })], 'data.yaml'],
    ['a value and an object', [document('data.json', { a: 1 }), document('a/data.json', {})], 'a/data.json'],
    ['two lists', [document('data.json', { a: [1] }), document('data.yml', { a: [2] })], 'data.yml'],
    ['a top that is a list', [document('data.json', [])], 'data.json'],
    ['a top that is empty', [document('data.yaml', null)], 'data.yaml'],
  ])('refuses %s', (_what, documents, file) => {
    expect(refusalOf(() => mergeDocuments(documents))).toMatchObject({ code: 'bad_bundle', file })
  })
})

describe('data and roots', () => {
  const check = (roots: string[], ...documents: DataDocument[]) => {
    checkDataRoots(mergeDocuments(structuredClone(documents)), roots, documents)
  }

  it.each([
    ['all', [''], { a: 1 }],
    ['what is below', ['a'], { a: { b: 1 } }],
    ['folders on the way to a root', ['a/b', 'a/c'], { a: { b: 1, c: 2 } }],
    ['nothing', ['a'], {}],
  ])('roots cover %s', (_what, roots, value) => {
    check(roots, document('data.json', value))
  })

  it.each([
    ['another name', ['a'], { b: 1 }],
    ['a neighbour of a root', ['a/b'], { a: { c: 1 } }],
    ['a value on the way to a root', ['a/b'], { a: 1 }],
    ['a list on the way to a root', ['a/b'], { a: [] }],
    ['anything, where there are no roots', [], { a: 1 }],
  ])('roots do not cover %s', (_what, roots, value) => {
    expect(refusalOf(() => check(roots, document('data.json', value)))).toMatchObject({
      code: 'bad_bundle',
      file: 'data.json',
    })
  })

  it('the file at fault is named', () => {
    const documents = [document('a/data.json', { x: 1 }), document('b/data.json', { y: 1 })]
    const refused = refusalOf(() => check(['a'], ...documents))
    expect(refused).toMatchObject({ file: 'b/data.json' })
    expect(refused.message).toContain('data.b')
  })
})
