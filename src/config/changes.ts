import { createHash } from 'node:crypto'
import { Secret } from '../lib/secret.ts'
import { canonicalHost, parseReference } from '../oci/reference.ts'
import type { BundleConfig, Config } from './config.ts'
import { originOf } from './origins.ts'

export interface BundleChanges {
  added: string[]
  changed: string[]
  removed: string[]
  unchanged: string[]
}

/** Which bundles have to be set up anew: their own words but for who is told of them and who tells, their store's, their places', or how registries are spoken to. */
export function diffBundles(before: Config, after: Config): BundleChanges {
  const old = new Map(before.bundles.map((bundle) => [bundle.name, hashOf(partsOf(bundle, before))]))
  const names = new Set(after.bundles.map(({ name }) => name))
  const changes: BundleChanges = { added: [], changed: [], removed: [], unchanged: [] }
  for (const bundle of after.bundles) {
    const hash = old.get(bundle.name)
    if (hash === undefined) changes.added.push(bundle.name)
    else changes[hash === hashOf(partsOf(bundle, after)) ? 'unchanged' : 'changed'].push(bundle.name)
  }
  changes.removed = [...old.keys()].filter((name) => !names.has(name))
  return changes
}

/** The sections of the file that differ, such as `server`; for saying what only a restart brings. */
export function changedSections(before: Config, after: Config): (keyof Config)[] {
  const sections = Object.keys(after) as (keyof Config)[]
  return sections.filter((section) => section !== 'file' && hashOf(before[section]) !== hashOf(after[section]))
}

/**
 * Changes when the same fingerprint could give other bytes, or another verdict: what the bundle is, what of it counts, what
 * it may hold, who checks it, and who builds it. Not where it comes from, nor what is followed there.
 */
export function recipeOf(bundle: BundleConfig, opa: Config['opa'], builderVersion: string): string {
  const { kind, platform, limits, pull } = bundle
  return hashOf(pull ? { kind, platform, limits, opa, builderVersion } : { pull })
}

function partsOf(
  { publish: _, webhooks: _hooks, ...bundle }: BundleConfig,
  { bundles, deployers, registries, opa }: Config,
): unknown {
  const origin = originOf(bundle, bundles)
  const places = bundle.deploy.map(({ to }) => deployers[to])
  const hosts = new Set([origin, ...places].map(hostOf).filter((host) => host !== undefined))
  const bears = (match: string) => (match === '*' ? hosts.size > 0 : hosts.has(canonicalHost(match.split('/', 1)[0]!)))
  const bearing = registries.filter(({ match }) => bears(match))
  return { bundle, origin, places, registries: bearing, opa }
}

/** The registry of a store or a place that is in one. What is said of a part of a host bears on all of it: its ceilings are shared. */
function hostOf(config: object | undefined): string | undefined {
  const { type, repository } = (config ?? {}) as { type?: string; repository?: string }
  return type === 'oci' && repository !== undefined ? parseReference(repository).host : undefined
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex')
}

/** The same text for the same meaning, whatever the order of keys. */
function canonical(value: unknown): string {
  if (value instanceof Secret) return `secret:${value.fingerprint()}`
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${sorted.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`
}
