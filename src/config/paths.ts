import { resolve } from 'node:path'
import { deployerTypes } from '../deployers/types.ts'
import { publisherTypes } from '../publishers/types.ts'
import { storeTypes } from '../stores/types.ts'

type Mapping = Record<string, unknown>

/** Makes the paths that the file names absolute, seen from `folder`. Changes `value`, which is the loader's own copy. */
export function anchorPaths(value: unknown, folder: string): void {
  const file = mapping(value)
  const server = mapping(file.server)
  anchor(mapping(server.tls), ['cert', 'key', 'client_ca'], folder)
  anchor(mapping(mapping(file.state).tls), ['ca', 'cert', 'key'], folder)
  for (const registry of Object.values(mapping(file.registries)))
    anchor(mapping(registry), ['ca', 'cert', 'key'], folder)
  for (const store of Object.values(mapping(file.stores))) anchor(mapping(store), pathsOf(storeTypes, store), folder)
  for (const bundle of Object.values(mapping(file.bundles))) {
    const { store } = mapping(bundle)
    anchor(mapping(store), pathsOf(storeTypes, store), folder)
  }
  for (const deployer of Object.values(mapping(file.deployers)))
    anchor(mapping(deployer), pathsOf(deployerTypes, deployer), folder)
  for (const publisher of Object.values(mapping(file.publishers)))
    anchor(mapping(publisher), pathsOf(publisherTypes, publisher), folder)
  // A bare name is a program on the PATH.
  const opa = mapping(file.opa)
  if (typeof opa.path === 'string' && opa.path.includes('/')) anchor(opa, ['path'], folder)
  anchorSecrets(value, folder)
}

/** `{ file: path }`, with no other key, is a secret wherever it stands. */
function anchorSecrets(value: unknown, folder: string): void {
  if (Array.isArray(value)) for (const item of value) anchorSecrets(item, folder)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return
  const keys = Object.keys(value)
  if (keys.length === 1 && keys[0] === 'file') anchor(value as Mapping, keys, folder)
  else for (const item of Object.values(value)) anchorSecrets(item, folder)
}

function anchor(part: Mapping, keys: readonly string[], folder: string): void {
  for (const key of keys) {
    const path = part[key]
    if (typeof path === 'string' && path !== '') part[key] = resolve(folder, path)
  }
}

function pathsOf(types: Record<string, { paths: string[] }>, part: unknown): string[] {
  const { type } = mapping(part)
  return typeof type === 'string' && Object.hasOwn(types, type) ? types[type]!.paths : []
}

function mapping(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {}
}
