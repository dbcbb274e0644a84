import fc from 'fast-check'
import { dataPathOf, type FileRole, roleOf } from '../../../src/opa/files.ts'
import { showDataPath } from '../../../src/opa/rego.ts'
import { hostileText } from '../mutate/text.ts'
import { ok, property, same } from '../property.ts'

export const fileNames = hostileText(
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

/** https://github.com/open-policy-agent/opa/blob/v1.22.0/v1/bundle/bundle.go */
const roles: [name: string, role: FileRole | undefined][] = [
  ['a.rego', 'rego'],
  ['.rego', 'rego'],
  ['data.json', 'json'],
  ['data.yaml', 'yaml'],
  ['data.yml', 'yaml'],
  ['policy.wasm', 'wasm'],
  ['plan.json', 'plan'],
  ['plan.pb', 'plan'],
  ['patch.json', 'patch'],
  ['.signatures.json', 'signatures'],
  ['.manifest', 'manifest'],
  ['x.manifest', 'manifest'],
  ['.manifest.pb', 'protobuf-manifest'],
  ['xdata.json', undefined],
  ['data.json5', undefined],
  ['a.regos', undefined],
  ['manifest', undefined],
  ['signatures.json', undefined],
  ['constructor', undefined],
]

export const nameProperties = [
  property(
    'names of files that were written',
    fc.tuple(fc.constantFrom('', 'a/', 'a/b/', '/a/', './a/', '../a/b/'), fc.constantFrom(...roles)),
    ([folder, [file, role]]) => {
      same(roleOf(`${folder}${file}`), role)
      same(
        dataPathOf(`${folder}${file}`),
        folder.split('/').filter((part) => !['', '.', '..'].includes(part)),
      )
    },
  ),
  property('names of files', fileNames, (path) => {
    roleOf(path)
    const place = dataPathOf(path)
    ok(typeof showDataPath(place) === 'string')
  }),
]
