import { isAbsolute, relative, resolve } from 'node:path'
import { deployerTypes, type DeployerConfig } from '../deployers/types.ts'
import { createAddresses } from './addresses.ts'
import { storeOf } from './check.ts'
import type { PlacedProblem } from './issues.ts'
import type { CheckedConfig } from './schema.ts'

type Bundle = CheckedConfig['bundles'][string]

/** One `deploy` entry and where it leads. */
interface Entry {
  bundle: string
  at: PlacedProblem['path']
  entry: Bundle['deploy'][number]
  deployer: DeployerConfig
}

/** What a `deploy` entry says must fit the place; in folders, nobody may be in another's way. `folder`: what paths are relative to. */
export function checkPlaces(config: CheckedConfig, folder: string): PlacedProblem[] {
  const entries = entriesOf(config)
  return [
    ...entries.flatMap((entry) => [...checkForm(entry), ...checkPath(entry), ...checkOwn(entry, config, folder)]),
    ...checkSwapped(entries),
  ]
}

function entriesOf({ bundles, deployers }: CheckedConfig): Entry[] {
  return Object.entries(bundles).flatMap(([bundle, { deploy }]) =>
    deploy.flatMap((entry, index) => {
      const deployer = Object.hasOwn(deployers, entry.to) ? deployers[entry.to] : undefined
      return deployer === undefined ? [] : [{ bundle, at: ['bundles', bundle, 'deploy', index], entry, deployer }]
    }),
  )
}

function checkForm({ at, entry, deployer }: Entry): PlacedProblem[] {
  const forms: string[] = deployerTypes[deployer.type].forms
  if (entry.form === undefined || forms.includes(entry.form)) return []
  const message = `\`${entry.to}\` is of type ${deployer.type}: expected ${listed(forms)}`
  return [{ path: [...at, 'form'], message }]
}

function checkPath({ at, entry, deployer }: Entry): PlacedProblem[] {
  if (entry.path === undefined) return []
  const path = [...at, 'path']
  if (deployer.type !== 'directory') {
    return [{ path, message: `\`${entry.to}\` is of type ${deployer.type}, which has no folders` }]
  }
  if (isAbsolute(entry.path) || isInside(resolve(deployer.root, entry.path), deployer.root)) return []
  const message = `leads out of ${deployer.root}, the root of \`${entry.to}\``
  return [{ path, message, hint: 'To go there, write it as an absolute path.' }]
}

function listed(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

/** Not where this server keeps what it has, nor where a store reads that is a folder. */
function checkOwn({ bundle, at, entry, deployer }: Entry, config: CheckedConfig, folder: string): PlacedProblem[] {
  if (deployer.type !== 'directory') return []
  const target = resolve(deployer.root, entry.path ?? '.')
  const path = [...at, entry.path === undefined ? 'to' : 'path']
  const content = resolve(folder, config.content.path)
  if (overlap(target, content)) {
    return [{ path, message: `\`${entry.to}\` would write to ${target}, and ${content} is this server's own folder` }]
  }
  const store = storeOf(config, config.bundles[bundle]!)
  const source = store && createAddresses(config.server).addressOf(store)
  if (source === undefined || !isAbsolute(source) || !overlap(target, source)) return []
  return [{ path, message: `\`${entry.to}\` would write to ${target}, where the bundle's store reads (${source})` }]
}

/** What is one link has one owner. */
function checkSwapped(entries: readonly Entry[]): PlacedProblem[] {
  const places = entries.flatMap(({ bundle, at, entry, deployer }) => {
    if (deployer.type !== 'directory') return []
    return [{ bundle, at, to: entry.to, path: resolve(deployer.root, entry.path ?? '.'), mode: deployer.mode }]
  })
  return places.flatMap(({ at, to, path, mode }, index) => {
    const other = places
      .slice(0, index)
      .find(
        (before) =>
          (mode === 'swap' && isInside(before.path, path)) || (before.mode === 'swap' && isInside(path, before.path)),
      )
    if (other === undefined) return []
    const message = `\`${to}\` would write to ${path}, and bundle \`${other.bundle}\` to ${other.path}: with mode: swap a folder belongs to one`
    return [{ path: [...at, 'to'], message, hint: 'Give each a `path` of its own, or use mode: files.' }]
  })
}

function overlap(one: string, other: string): boolean {
  return isInside(one, other) || isInside(other, one)
}

function isInside(path: string, folder: string): boolean {
  const from = relative(folder, path)
  return from !== '..' && !from.startsWith('../')
}
