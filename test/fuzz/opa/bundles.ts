import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { BundleReader } from '../../../src/opa/bundle.ts'
import { roleOf } from '../../../src/opa/files.ts'
import { showPackage } from '../../../src/opa/rego.ts'
import { ok, outcome, property, same } from '../property.ts'
import { jsonTexts } from './data.ts'
import { fileNames } from './files.ts'
import { bad, manifests } from './manifest.ts'
import { packages } from './rego.ts'

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

const soundBundles = fc.record({
  roots: fc.constantFrom(undefined, [''], ['a', 'b']),
  revision: fc.constantFrom(undefined, '', 'r1'),
  wasm: fc.subarray(['/policy.wasm', 'a/policy.wasm']),
  packages: fc.array(fc.constantFrom('a', 'a.b', 'b', 'b["c d"]'), { maxLength: 3 }),
  data: fc.constantFrom<[string, string] | undefined>(
    undefined,
    ['data.json', '{"a":1}'],
    ['a/data.yaml', '{"b": 2}'],
    ['b/x/data.yml', '[]'],
  ),
  others: fc.subarray<[string, string]>([
    ['.signatures.json', signed],
    ['patch.json', '{"data":[]}'],
    ['readme.txt', ''],
    ['b/plan.json', '!'],
  ]),
})

export const bundleProperties = [
  property('bundles that were written', soundBundles, ({ roots, revision, wasm, packages: names, data, others }) => {
    const manifest = { roots, revision, wasm: wasm.map((module, at) => ({ module, entrypoint: `a/${at}` })) }
    const files: [string, string][] = [
      ['.manifest', JSON.stringify(manifest)],
      ...wasm.map((path): [string, string] => [path, '\0asm']),
      ...names.map((path, at): [string, string] => [`${at}.rego`, `package ${path}\n`]),
      ...(data === undefined ? [] : [data]),
      ...others,
    ]
    const reader = new BundleReader()
    for (const [name, text] of files)
      reader.add({ path: name.replace(/^\//, ''), name, size: text.length, bytes: Buffer.from(text) })
    const facts = reader.finish()
    const { roots: found, revision: label } = facts.manifest
    same([found, label], [roots ?? [''], revision === '' ? null : (revision ?? null)])
    same(facts.packages, [...new Set(names)].toSorted())
    same(
      facts.signed,
      others.some(([path]) => path === '.signatures.json'),
    )
    same(
      [facts.manifestFile, facts.ignored],
      ['.manifest', others.flatMap(([path]) => (path === 'readme.txt' ? [path] : []))],
    )
    same(
      facts.files,
      files.map(([path, text]) => ({ path: path.replace(/^\//, ''), size: text.length })),
    )
  }),
  property(
    'bundles that OPA refuses',
    fc.tuple(
      soundBundles,
      fc.constantFrom<[string, string][]>(
        [
          ['x.manifest', '{}'],
          ['.manifest', '{}'],
        ],
        [
          ['.manifest.pb', ''],
          ['.manifest', '{}'],
        ],
        [
          ['.signatures.json', signed],
          ['x/.signatures.json', signed],
        ],
        [['patch.json', '{"data":[{}]}']],
        [['bad.rego', '\xff']],
        [['bad.rego', 'allow := true']],
        [['data.json', '1']],
        [
          ['data.json', '{"a":1}'],
          ['a/data.json', '{"b":1}'],
        ],
        [
          ['.manifest', '{"roots":["c"]}'],
          ['x.rego', 'package a'],
        ],
        [
          ['.manifest', '{"roots":["c"]}'],
          ['data.json', '{"a":1}'],
        ],
        [['.manifest', '{"roots":["a","a/b"]}']],
        [['.manifest', '{"wasm":[{"module":"x.wasm","entrypoint":"a"}]}']],
        [
          ['.manifest', '{"roots":["c"],"wasm":[{"module":"policy.wasm","entrypoint":"a"}]}'],
          ['policy.wasm', ''],
        ],
        [
          [
            '.manifest',
            '{"wasm":[{"module":"policy.wasm","entrypoint":"a"},{"module":"policy.wasm","entrypoint":"a"}]}',
          ],
          ['policy.wasm', ''],
        ],
      ),
    ),
    ([{ packages: names }, files]) => {
      const reader = new BundleReader()
      const all = [...files, ...names.map((path, at): [string, string] => [`${at}.rego`, `package ${path}\n`])]
      const refuse = () => {
        for (const [name, text] of all)
          reader.add({ path: name, name, size: text.length, bytes: Buffer.from(text, 'latin1') })
        return reader.finish()
      }
      same(outcome(refuse, IntegrityError, bad), undefined)
    },
  ),
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
