/** What OPA makes of a file in a bundle, by its name; anything else it ignores. */
export type FileRole =
  'rego' | 'json' | 'yaml' | 'wasm' | 'plan' | 'patch' | 'manifest' | 'protobuf-manifest' | 'signatures'

const byName = new Map<string, FileRole>([
  ['policy.wasm', 'wasm'],
  ['plan.json', 'plan'],
  ['plan.pb', 'plan'],
  ['data.json', 'json'],
  ['data.yaml', 'yaml'],
  ['data.yml', 'yaml'],
  ['patch.json', 'patch'],
  ['.signatures.json', 'signatures'],
])

/**
 * In the order in which OPA asks: an ending is enough for policies and manifests, in whatever folder.
 * https://github.com/open-policy-agent/opa/blob/v1.22.0/v1/bundle/bundle.go#L651
 */
export function roleOf(path: string): FileRole | undefined {
  if (path.endsWith('.rego')) return 'rego'
  const role = byName.get(path.slice(path.lastIndexOf('/') + 1))
  if (role !== undefined) return role
  // Since OPA 1.22; before, such a file was ignored.
  if (path.endsWith('.manifest.pb')) return 'protobuf-manifest'
  return path.endsWith('.manifest') ? 'manifest' : undefined
}

/** Where a data file's content goes: its folder, of whose front OPA takes dots away as it does slashes. */
export function dataPathOf(path: string): string[] {
  const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : ''
  const bare = folder.replace(/^[/.]+/, '')
  return bare === '' ? [] : bare.split('/')
}
