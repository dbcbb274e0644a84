import { describe, expect, it } from 'vitest'
import { BundleReader, isRead } from '../../../src/opa/bundle.ts'
import { contentRevision } from '../../../src/opa/revision.ts'
import { parseSignatures } from '../../../src/opa/signatures.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { refusalOf } from './support.ts'

function read(files: Record<string, string | Buffer>) {
  const reader = new BundleReader()
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content)
    reader.add({ path: name.replace(/^\//, ''), name, size: bytes.length, ...(isRead(name) && { bytes }) })
  }
  return reader.finish()
}

const refused = (files: Record<string, string | Buffer>) => refusalOf(() => read(files))

describe('a bundle', () => {
  it('is told with files, packages, manifest and what OPA ignores', () => {
    const facts = read({
      'b.rego': 'package b.c',
      '.manifest': '{"revision":"r","roots":["b","d"]}',
      'd/data.json': '{"x":1}',
      'd/plan.json': 'not looked into',
      'README.md': 'hello',
      'c.rego': 'package b.c',
    })
    expect(facts).toMatchObject({
      ignored: ['README.md'],
      packages: ['b.c'],
      manifest: { revision: 'r', roots: ['b', 'd'] },
      manifestFile: '.manifest',
      signed: false,
    })
    expect(facts.files).toHaveLength(6)
  })

  it('without a manifest owns everything', () => {
    expect(read({ 'a.rego': 'package a' })).toMatchObject({
      manifest: { revision: null, roots: [''] },
      manifestFile: null,
    })
  })

  it('may have a manifest in a folder, as OPA takes it', () => {
    expect(read({ 'p/.manifest': '{"revision":"r"}' })).toMatchObject({
      manifestFile: 'p/.manifest',
      manifest: { revision: 'r' },
    })
  })

  it.each([
    ['two manifests', { '.manifest': '{}', 'x.manifest': '{}' }, 'x.manifest'],
    ['two manifests of different form', { '.manifest': '{}', '.manifest.pb': '' }, '.manifest.pb'],
    ['a policy without a package', { 'a.rego': 'allow := true' }, 'a.rego'],
    ['an empty policy', { 'a.rego': '' }, 'a.rego'],
    ['a policy that is not UTF-8', { 'a.rego': Buffer.from('package a\nx := "\xff"', 'latin1') }, 'a.rego'],
    ['a package outside of the roots', { '.manifest': '{"roots":["b"]}', 'a.rego': 'package a' }, 'a.rego'],
    ['a package above its root', { '.manifest': '{"roots":["a/b"]}', 'a.rego': 'package a' }, 'a.rego'],
    ['data outside of the roots', { '.manifest': '{"roots":["b"]}', 'a/data.json': '{"x":1}' }, 'a/data.json'],
    ['data that contradict each other', { 'a/data.json': '{"x":1}', 'a/data.yaml': 'x: 2' }, 'a/data.yaml'],
    [
      'a wasm module that is not there',
      { '.manifest': '{"wasm":[{"entrypoint":"a","module":"/policy.wasm"}]}' },
      '.manifest',
    ],
    [
      'a wasm module that is named otherwise',
      { 'policy.wasm': '', '.manifest': '{"wasm":[{"entrypoint":"a","module":"/policy.wasm"}]}' },
      '.manifest',
    ],
    [
      'a wasm entrypoint outside of the roots',
      { '/policy.wasm': '', '.manifest': '{"roots":["b"],"wasm":[{"entrypoint":"a","module":"/policy.wasm"}]}' },
      '.manifest',
    ],
    [
      'one entrypoint in two modules',
      {
        '/policy.wasm': '',
        '/b/policy.wasm': '',
        '.manifest':
          '{"wasm":[{"entrypoint":"a","module":"/policy.wasm"},{"entrypoint":"a","module":"/b/policy.wasm"}]}',
      },
      '.manifest',
    ],
    ['a delta', { 'patch.json': '{"data":[{"op":"remove","path":"/a"}]}' }, 'patch.json'],
    ['signatures that are none', { '.signatures.json': '{}' }, '.signatures.json'],
  ])('is refused with %s', (_what, files: Record<string, string | Buffer>, file) => {
    expect(refused(files)).toMatchObject({ code: 'bad_bundle', file })
  })

  it('finds wasm modules under the name that the archive gives them', () => {
    const manifest = '{"wasm":[{"entrypoint":"a/x","module":"/policy.wasm"}]}'
    expect(read({ '/policy.wasm': 'w', '/.manifest': manifest }).manifest.wasm).toHaveLength(1)
  })

  it('says whether it is signed', () => {
    expect(read({ '.signatures.json': JSON.stringify({ signatures: [token({ files: [] })] }) }).signed).toBe(true)
  })
})

describe('signatures', () => {
  it.each([
    ['no JSON', '{'],
    ['none', '{"signatures":[]}'],
    ['two', JSON.stringify({ signatures: [token({ files: [] }), token({ files: [] })] })],
    ['a number', '{"signatures":[1]}'],
    ['no token', '{"signatures":["abc"]}'],
    ['a token that is no JSON', '{"signatures":["a.b.c"]}'],
    ['a token without files', JSON.stringify({ signatures: [token({})] })],
  ])('are refused: %s', (_what, content) => {
    const run = () => parseSignatures(Buffer.from(content), '.signatures.json')
    expect(refusalOf(run)).toMatchObject({ code: 'bad_bundle', file: '.signatures.json' })
  })
})

describe('a revision of the content', () => {
  const files = [
    { path: 'a', digest: digestOf('1') },
    { path: 'b', digest: digestOf('2') },
  ]

  it('is the same in any order', () => {
    expect(contentRevision(files.toReversed())).toBe(contentRevision(files))
  })

  it('is another for another content or name', () => {
    const others = [
      [files[0]!],
      [files[0]!, { path: 'b', digest: digestOf('3') }],
      [files[0]!, { path: 'c', digest: digestOf('2') }],
      [
        { path: 'b', digest: digestOf('1') },
        { path: 'a', digest: digestOf('2') },
      ],
    ].map(contentRevision)
    expect(new Set([...others, contentRevision(files)]).size).toBe(5)
  })
})

function token(payload: object): string {
  return `e30.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`
}
