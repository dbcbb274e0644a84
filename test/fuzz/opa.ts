import fc from 'fast-check'
import { IntegrityError } from '../../src/lib/errors.ts'
import { BundleReader } from '../../src/opa/bundle.ts'
import { mergeDocuments, parseData, parseYaml } from '../../src/opa/data.ts'
import { dataPathOf, roleOf } from '../../src/opa/files.ts'
import { isObject, parseExactJson, parseJson, stringifyExact } from '../../src/opa/json.ts'
import { completeManifest, parseOpaManifest, withoutLeadingSlashes } from '../../src/opa/manifest.ts'
import { packageOf, showDataPath, showPackage } from '../../src/opa/rego.ts'
import { hasRootBelow, isUnderRoots, normalizeRoots, rootsOverlap } from '../../src/opa/roots.ts'
import { parseSignatures } from '../../src/opa/signatures.ts'
import { hostileBytes, hostileJson, hostileText, pumped } from './mutate.ts'
import { ok, outcome, property, same, type Group } from './property.ts'

const bad = ['bad_bundle']
const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,4}$/)
const rootTexts = fc.oneof(
  fc.constantFrom('', 'a', 'a/b', '/a/b/', 'ab', 'a//b', '/'),
  fc.array(name, { maxLength: 3 }).map((parts) => parts.join('/')),
)
const rootLists = fc.uniqueArray(rootTexts, { maxLength: 4 })
const paths = fc.array(fc.constantFrom('a', 'b', 'ab', ''), { maxLength: 4 })

const manifests = fc.record(
  {
    revision: fc.string({ maxLength: 6 }),
    roots: rootLists,
    wasm: fc.array(
      fc.record(
        { entrypoint: rootTexts, module: fc.constantFrom('/policy.wasm', 'policy.wasm', 'a/policy.wasm') },
        { requiredKeys: [] },
      ),
      { maxLength: 2 },
    ),
    rego_version: fc.constantFrom(0, 1, 2),
    file_rego_versions: fc.dictionary(fc.constantFrom('/a/*.rego', 'b.rego', '__proto__'), fc.constantFrom(0, 1, 2)),
    metadata: fc.dictionary(name, fc.jsonValue({ maxDepth: 2 })),
  },
  { requiredKeys: [] },
)
const manifestKeys = [
  'revision',
  'roots',
  'wasm',
  'rego_version',
  'file_rego_versions',
  'metadata',
  'entrypoint',
  'module',
  'Roots',
  'REVISION',
]

const manifestProperties = [
  property(
    '.manifest',
    hostileJson(manifests, ['a/b', '/', '', '1e400', '12345678901234567890'], manifestKeys),
    (text) => {
      const bytes = Buffer.from(text)
      const manifest = outcome(() => parseOpaManifest(bytes, '.manifest'), IntegrityError, bad)
      if (manifest === undefined) return
      ok(manifest.revision !== '' && manifest.roots.every((root) => !root.startsWith('/') && !root.endsWith('/')))
      for (const [at, root] of manifest.roots.entries())
        ok(manifest.roots.slice(at + 1).every((other) => !rootsOverlap(root, other)))
      // What is written again says the same, but for what was set.
      const changed = withoutLeadingSlashes(bytes, '.manifest')
      const again = parseOpaManifest(completeManifest(bytes, '.manifest', { ...changed, revision: 'new' }), '.manifest')
      same(
        { ...again, revision: null, wasm: [], fileRegoVersions: {} },
        { ...manifest, revision: null, wasm: [], fileRegoVersions: {} },
      )
      same(again.revision, 'new')
      same(
        again.wasm.map(({ module }) => module),
        manifest.wasm.map(({ module }) => module.replace(/^\/+/, '')),
      )
      same(withoutLeadingSlashes(completeManifest(bytes, '.manifest', changed), '.manifest'), {})
    },
  ),
  property(
    'long .manifest',
    pumped(['{', '[', '{"a":', '"', '\\', '1,', '"roots":[', '"/",']),
    (text) => {
      outcome(() => parseOpaManifest(Buffer.from(text), '.manifest'), IntegrityError, bad)
      outcome(() => completeManifest(Buffer.from(text), '.manifest', { revision: 'x' }), IntegrityError, bad)
      outcome(() => withoutLeadingSlashes(Buffer.from(text), '.manifest'), IntegrityError, bad)
      outcome(() => parseSignatures(Buffer.from(text), '.signatures.json'), IntegrityError, bad)
    },
    { share: 0.1 },
  ),
  property('roots', fc.tuple(rootLists, paths), ([roots, path]) => {
    const found = outcome(() => normalizeRoots(roots, '.manifest'), IntegrityError, bad)
    const bare = roots.map((root) => root.split('/').join(' ').trim().split(' ').join('/'))
    const overlap = bare.some((root, at) =>
      bare
        .slice(at + 1)
        .some(
          (other) =>
            `${root}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${root}/`) || root === '' || other === '',
        ),
    )
    same(found, overlap ? undefined : bare)
    const text = path.join('/')
    if (path.length > 0)
      same(
        isUnderRoots(bare, path),
        bare.some((root) => root === '' || `${text}/`.startsWith(`${root}/`)),
      )
    if (path.length > 0)
      same(
        hasRootBelow(bare, path),
        bare.some((root) => `${root}/`.startsWith(`${text}/`) || text === ''),
      )
  }),
  property(
    'long roots',
    fc.oneof(
      pumped(['/', 'a/', '/a', 'a'], 30_000).map((text) => [text, `${text}x`]),
      fc
        .tuple(fc.constantFrom('a', 'a/', '/'), fc.constantFrom(10, 20_000))
        .map(([front, count]) => Array.from({ length: count }, (_, at) => `${front}${at}`)),
    ),
    (roots) => {
      outcome(() => normalizeRoots(roots, '.manifest'), IntegrityError, bad)
    },
    { share: 0.05 },
  ),
  property(
    '.signatures.json',
    hostileJson(
      fc.record({
        signatures: fc.array(
          fc
            .record({ files: fc.array(fc.record({ name: fc.string(), hash: fc.string() })) })
            .map(
              (payload) => `eyJhbGciOiJIUzI1NiJ9.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.c2ln`,
            ),
          { maxLength: 2 },
        ),
      }),
      ['.', 'e30', 'bnVsbA'],
      ['signatures', 'files'],
    ),
    (text) => {
      const signature = outcome(() => parseSignatures(Buffer.from(text), '.signatures.json'), IntegrityError, bad)
      if (signature !== undefined) same(signature.split('.').length, 3)
    },
  ),
]

const packages = fc
  .tuple(name, fc.array(fc.string({ unit: 'grapheme', maxLength: 5 }), { maxLength: 3 }))
  .map(([first, rest]) => [first, ...rest])
const gaps = fc
  .array(fc.constantFrom(' ', '\t', '\n', '\r\n', '# package no\n', '#\n'), { maxLength: 4 })
  .map((parts) => parts.join(''))
const regoTokens = [
  'package',
  'package a',
  '\n',
  '#',
  '["',
  '"]',
  '[`',
  '`]',
  '.',
  '\\',
  '\\u',
  ' ',
  '\ufeff',
  'import data.a',
]

const regoProperties = [
  property(
    'a package that was written',
    fc.tuple(
      gaps,
      packages,
      fc.constantFrom(' ', '\t', '\n', '\n\n \n', ' \n'),
      fc.constantFrom('', '\n', '\nallow := true\n', ' # yes'),
    ),
    ([before, path, gap, after]) => {
      // Rego's strings are JSON's, without lone surrogates.
      same(packageOf(`${before}package${gap}${showPackage(path)}${after}`), path)
    },
  ),
  property(
    'packages',
    hostileText(
      fc.tuple(gaps, packages).map(([before, path]) => `${before}package ${showPackage(path)}\n\nallow := true\n`),
      regoTokens,
    ),
    (source) => {
      const path = packageOf(source)
      if (path === undefined) return
      ok(path.length > 0 && path.every((part) => typeof part === 'string') && source.includes('package'))
      same(packageOf(`package ${showPackage(path)}`), path)
    },
  ),
  property(
    'long packages',
    pumped([...regoTokens, '#a', ' \n', '\n ', 'a.', '["a"]', '[   ']),
    (text) => {
      packageOf(text)
      packageOf(`package${text}`)
      packageOf(`package a${text}`)
    },
    { share: 0.1 },
  ),
]

const numbers = fc.constantFrom(0, 1, -1, 1.5, 1e21, 2 ** 53 - 1, '12345678901234567890', '0.1000000000000000055')
const jsonTexts = fc.jsonValue({ maxDepth: 4 }).map((json) => JSON.stringify(json))
const yamlTexts = fc.oneof(
  jsonTexts,
  fc
    .array(
      fc.tuple(
        name,
        fc.constantFrom(
          '1',
          'x',
          '"x"',
          '[1, 2]',
          '{a: b}',
          '|\n  text',
          '&a 1',
          '*a',
          '0x1f',
          '1e400',
          '.inf',
          '~',
          '!!str 1',
          '2001-01-01',
          '99999999999999999999',
          '\n  b: 1\n  c:\n  - 1',
        ),
      ),
    )
    .map((list) => list.map(([key, text]) => `${key}: ${text}\n`).join('')),
)
const yamlTokens = [
  '- ',
  ': ',
  '? ',
  '&a ',
  '*a',
  '<<: *a',
  '!!binary ',
  '!!set',
  '!x ',
  '|',
  '>',
  '---\n',
  '...\n',
  '%YAML 1.1\n',
  '%TAG ! x\n',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '\n',
  '  ',
  '\t',
  '#',
  '__proto__: ',
  '0o7',
  '.nan',
]

/** Nothing but what JSON can say, and whole numbers of any size. */
function isPlain(value: unknown): boolean {
  if (value === null || ['string', 'boolean', 'number', 'bigint'].includes(typeof value)) return true
  if (Array.isArray(value)) return value.every(isPlain)
  return isObject(value) && Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain)
}

const dataProperties = [
  property(
    'JSON data',
    hostileBytes(
      fc
        .oneof(
          jsonTexts,
          fc.array(numbers, { maxLength: 3 }).map((list) => `{"a":[${list.join(',')}]}`),
        )
        .map((text) => Buffer.from(text)),
      ['{', '[', '"', '1e400', '-0', '\\ud800', '\ufeff', '"__proto__":'].map((text) => Buffer.from(text)),
    ),
    (bytes) => {
      const value = outcome(() => parseJson(bytes, 'data.json'), IntegrityError, bad)
      const exact = outcome(() => parseExactJson(bytes, 'data.json'), IntegrityError, bad)
      same(value === undefined, exact === undefined)
      if (value === undefined) return
      same(JSON.parse(stringifyExact(exact)), value)
      same(stringifyExact(parseExactJson(Buffer.from(stringifyExact(exact)), 'data.json')), stringifyExact(exact))
    },
  ),
  property('YAML data', hostileText(yamlTexts, yamlTokens), (text) => {
    const value = outcome(() => parseYaml(Buffer.from(text), 'data.yaml'), IntegrityError, bad)
    if (value === undefined) return
    ok(isPlain(value))
    const written = stringifyExact(finite(value))
    same(stringifyExact(parseYaml(Buffer.from(written), 'data.yaml')), written)
  }),
  property(
    'long data',
    pumped(['{', '[', '{"a":', '"', '[]', '1,', ...yamlTokens], 20_000),
    (text) => {
      for (const file of ['data.json', 'data.yaml'])
        outcome(() => parseData(Buffer.from(text), file), IntegrityError, bad)
      outcome(() => parseData(Buffer.from(text), 'data.json', { exact: true }), IntegrityError, bad)
    },
    { share: 0.05 },
  ),
  property(
    'data files together',
    fc.array(
      fc.tuple(
        fc.constantFrom('data.json', 'a/data.json', 'a/b/data.yaml', '__proto__/data.json', './data.yml'),
        fc.dictionary(fc.constantFrom('a', 'b', '__proto__'), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 2 }),
      ),
      { maxLength: 3 },
    ),
    (files) => {
      const documents = files.map(([file, json]) => ({
        file,
        path: dataPathOf(file),
        value: parseData(Buffer.from(JSON.stringify(json)), file),
      }))
      const tree = outcome(() => mergeDocuments(documents), IntegrityError, bad)
      if (tree === undefined) return
      ok(isPlain(tree) && ({} as { a?: unknown }).a === undefined)
      for (const [file, json] of files) {
        const there: unknown = dataPathOf(file).reduce<unknown>(
          (node, part) => (isObject(node) && Object.hasOwn(node, part) ? node[part] : undefined),
          tree,
        )
        for (const key of Object.keys(json)) ok(isObject(there) && Object.hasOwn(there, key))
      }
    },
  ),
]

const fileNames = hostileText(
  fc.constantFrom(
    'a.rego',
    'data.json',
    'a/data.yaml',
    '.manifest',
    'x.manifest',
    'policy.wasm',
    'plan.json',
    'patch.json',
    '.signatures.json',
    'a/b/x.txt',
    '.manifest.pb',
    '../data.json',
  ),
  ['.rego', 'data.json', '.', '..', 'constructor'],
)
const contents = fc.oneof(
  packages.map((path) => `package ${showPackage(path)}`),
  jsonTexts,
  manifests.map((json) => JSON.stringify(json)),
  fc.constantFrom('', '{"data":[]}', '{"data":[{"op":"remove"}]}', '\xff'),
)

const modules = fc.uniqueArray(fc.constantFrom('/policy.wasm', 'a/policy.wasm'), { maxLength: 2 })
const likelyManifests = fc.record(
  {
    roots: fc.constantFrom([''], ['a'], ['a', 'b'], ['a/b'], []),
    wasm: fc.array(
      fc.record({
        entrypoint: fc.constantFrom('a/x', 'b/x', ''),
        module: fc.constantFrom('/policy.wasm', 'a/policy.wasm'),
      }),
      { maxLength: 2 },
    ),
    revision: fc.constant('r'),
  },
  { requiredKeys: [] },
)
const signed = `{"signatures":["e30.${Buffer.from('{"files":[]}').toString('base64url')}.c2ln"]}`
/** Most of these are sound, so that what is looked at last is come to. */
const likelyBundles = fc
  .record({
    manifest: likelyManifests,
    modules,
    rego: fc.array(fc.constantFrom('package a', 'package a.b', 'package b'), { maxLength: 2 }),
    data: fc.array(
      fc.tuple(
        fc.constantFrom('data.json', 'a/data.json', 'a/b/data.yaml', 'b/data.yml'),
        fc.constantFrom('{"a":1}', '{"a":{"b":2}}', '{"x":{}}', '{}', '1', '[]'),
      ),
      { maxLength: 2 },
    ),
    others: fc.subarray<[string, string]>(
      [
        ['.signatures.json', signed],
        ['x/.signatures.json', signed],
        ['x.manifest', '{}'],
        ['x.manifest.pb', ''],
        ['patch.json', '{"data":[]}'],
        ['patch.json', '{"data":[{}]}'],
        ['readme.txt', ''],
        ['bad.rego', '\xff'],
      ],
      { maxLength: 1 },
    ),
  })
  .map(({ manifest, modules: names, rego, data, others }): [string, string][] => [
    ['.manifest', JSON.stringify(manifest)],
    ...names.map((path): [string, string] => [path, '\0asm']),
    ...rego.map((text, at): [string, string] => [`${at}.rego`, text]),
    ...data,
    ...others,
  ])

const bundleProperties = [
  property('names of files', fileNames, (path) => {
    roleOf(path)
    const place = dataPathOf(path)
    ok(typeof showDataPath(place) === 'string')
  }),
  property('bundles', fc.oneof(fc.array(fc.tuple(fileNames, contents), { maxLength: 5 }), likelyBundles), (files) => {
    const reader = new BundleReader()
    const facts = outcome(
      () => {
        for (const [path, text] of files)
          reader.add({
            path: path.replace(/^\/+/, ''),
            name: path,
            size: text.length,
            bytes: Buffer.from(text, 'latin1'),
          })
        return reader.finish()
      },
      IntegrityError,
      bad,
    )
    if (facts === undefined) return
    same(facts.files.length, files.length)
    ok(facts.ignored.every((path) => roleOf(path) === undefined))
  }),
]

export const opa: Group = {
  files: [
    'src/opa/bundle.ts',
    'src/opa/data.ts',
    'src/opa/files.ts',
    'src/opa/json.ts',
    'src/opa/manifest.ts',
    'src/opa/rego.ts',
    'src/opa/roots.ts',
    'src/opa/signatures.ts',
  ],
  properties: [...manifestProperties, ...regoProperties, ...dataProperties, ...bundleProperties],
}

/** JSON cannot say infinity, and not whether a zero is negative. */
function finite(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) && value !== 0 ? value : 0n
  if (Array.isArray(value)) return value.map(finite)
  if (!isObject(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, finite(inner)]))
}
