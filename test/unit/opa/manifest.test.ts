import { describe, expect, it } from 'vitest'
import { completeManifest, parseOpaManifest, withoutLeadingSlashes } from '../../../src/opa/manifest.ts'
import { refusalOf } from './support.ts'

const parse = (content: unknown) =>
  parseOpaManifest(Buffer.from(typeof content === 'string' ? content : JSON.stringify(content)), '.manifest')

describe('a manifest', () => {
  it('has defaults for all', () => {
    expect(parse({})).toEqual({
      revision: null,
      roots: [''],
      wasm: [],
      regoVersion: null,
      fileRegoVersions: {},
      metadata: null,
    })
  })

  it('takes null for missing, and an empty revision for none', () => {
    expect(parse({ revision: '', roots: null, wasm: null, metadata: null })).toEqual(parse({}))
  })

  it('is read in full', () => {
    const content = {
      revision: 'r1',
      roots: ['/a/b/', 'c'],
      wasm: [{ entrypoint: 'a/b/x', module: '/policy.wasm', annotations: [] }],
      rego_version: 1,
      file_rego_versions: { 'a/*.rego': 0, 'b.rego': 2 },
      metadata: { any: 'thing' },
      unknown: true,
    }
    expect(parse(content)).toEqual({
      revision: 'r1',
      roots: ['a/b', 'c'],
      wasm: [{ entrypoint: 'a/b/x', module: '/policy.wasm' }],
      regoVersion: 1,
      fileRegoVersions: { 'a/*.rego': 0, 'b.rego': 2 },
      metadata: { any: 'thing' },
    })
  })

  it.each([
    ['no JSON', '{'],
    ['nothing', ''],
    ['a list', []],
    ['something behind it', '{} {}'],
    ['a byte order mark', '\ufeff{}'],
    ['a revision that is a number', { revision: 1 }],
    ['roots that are a string', { roots: 'a' }],
    ['roots of numbers', { roots: [1] }],
    ['roots that overlap', { roots: ['a', 'a/b'] }],
    ['roots that overlap once slashes are gone', { roots: ['a/', '/a'] }],
    ['the root of all beside another', { roots: ['', 'a'] }],
    ['wasm that is no list', { wasm: {} }],
    ['a wasm entry that is a string', { wasm: ['policy.wasm'] }],
    ['a wasm module that is a number', { wasm: [{ module: 1 }] }],
    ['an unknown Rego version', { rego_version: 3 }],
    ['a Rego version in words', { rego_version: 'v1' }],
    ['an unknown Rego version of files', { file_rego_versions: { a: 9 } }],
    ['versions of files that are a list', { file_rego_versions: [] }],
    ['metadata that are a string', { metadata: 'x' }],
  ])('is refused with %s', (_what, content) => {
    expect(refusalOf(() => parse(content))).toMatchObject({ code: 'bad_bundle', file: '.manifest' })
  })

  it('names the roots that overlap', () => {
    expect(refusalOf(() => parse({ roots: ['x', 'a/b', 'a'] })).message).toContain('"a/b" and "a"')
  })
})

describe('a manifest that is completed', () => {
  it('keeps everything, numbers to their last digit', () => {
    const bytes = Buffer.from('{"revision":"","metadata":{"n":12345678901234567890,"e":1e400,"f":1.0},"x":[1]}')
    expect(completeManifest(bytes, '.manifest', { revision: 'r' }).toString()).toBe(
      '{"revision":"r","metadata":{"n":12345678901234567890,"e":1e400,"f":1.0},"x":[1]}\n',
    )
  })

  it('may be new', () => {
    expect(completeManifest(undefined, '.manifest', { revision: 'r' }).toString()).toBe('{"revision":"r"}\n')
  })
})

describe('leading slashes', () => {
  const without = (content: object) => withoutLeadingSlashes(Buffer.from(JSON.stringify(content)), '.manifest')

  it('come off the names of modules and policies', () => {
    const content = {
      revision: 'r',
      wasm: [
        { entrypoint: 'a', module: '/x/policy.wasm', annotations: [1] },
        { entrypoint: 'b', module: 'policy.wasm' },
      ],
      file_rego_versions: { '/a.rego': 0, '*/b.rego': 1 },
    }
    expect(without(content)).toEqual({
      wasm: [
        { entrypoint: 'a', module: 'x/policy.wasm', annotations: [1] },
        { entrypoint: 'b', module: 'policy.wasm' },
      ],
      file_rego_versions: { 'a.rego': 0, '*/b.rego': 1 },
    })
  })

  it('that are not there change nothing', () => {
    expect(without({ wasm: [{ module: 'policy.wasm' }], file_rego_versions: { 'a.rego': 0 } })).toEqual({})
    expect(without({})).toEqual({})
  })
})
