import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { BundleReader } from '../../../src/opa/bundle.ts'
import { dataPathOf, roleOf } from '../../../src/opa/files.ts'
import { showDataPath, showPackage } from '../../../src/opa/rego.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, outcome, property, same } from '../property.ts'
import { jsonTexts } from './data.ts'
import { bad, manifests } from './manifest.ts'
import { packages } from './rego.ts'

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

export const bundleProperties = [
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
