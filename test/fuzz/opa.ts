import { manifestProperties } from './opa/manifest.ts'
import { regoProperties } from './opa/rego.ts'
import { dataProperties } from './opa/data.ts'
import { bundleProperties } from './opa/bundles.ts'
import { nameProperties } from './opa/files.ts'
import type { Group } from './property.ts'

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
  properties: [...manifestProperties, ...regoProperties, ...dataProperties, ...nameProperties, ...bundleProperties],
}
