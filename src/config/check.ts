import { shortestGapMs } from '../lib/schedule.ts'
import { isLoopbackHost } from '../oci/reference.ts'
import type { StoreConfig } from '../stores/types.ts'
import { createAddresses } from './addresses.ts'
import { checkAliases } from './aliases.ts'
import type { PlacedProblem } from './issues.ts'
import { checkJobs } from './jobs.ts'
import { suggest } from '../lib/nearest.ts'
import { checkPlaces } from './places.ts'
import type { CheckedConfig } from './schema.ts'
import { checkPromotions } from './promotions.ts'
import { checkUnpulled } from './unpulled.ts'

/** The file as it is written: its names count whether or not what stands under them is right. */
export interface Written {
  server?: { access?: unknown }
  stores?: object
  deployers?: object
  publishers?: object
  webhooks?: object
  registries?: object
  bundles?: Record<string, WrittenBundle | null>
}

interface WrittenBundle {
  store?: unknown
  follow?: unknown
  deploy?: unknown
  schedule?: unknown
  publish?: unknown
  webhooks?: unknown
}

type Bundle = CheckedConfig['bundles'][string]

const shortestRemoteMs = 5_000

/** What one key alone cannot show. `config` holds the parts of the file that are right by themselves, `folder` is where it stands. */
export function checkTogether(config: CheckedConfig, written: Written, nowMs: number, folder: string): PlacedProblem[] {
  const bundles = Object.entries(config.bundles)
  return [
    ...checkPublicUrl(config, written),
    ...checkNames(written),
    ...checkReserved(written),
    ...checkCeilings(config),
    ...bundles.flatMap(([name, bundle]) => [
      ...checkSchedule(name, storeOf(config, bundle), gapOf(bundle, written.bundles?.[name]?.schedule, nowMs)),
      ...checkLoops(name, bundle, config),
    ]),
    ...checkShared(config),
    ...checkPlaces(config, folder),
    ...checkAliases(config.bundles),
    ...checkUnpulled(config, written.bundles),
    ...checkPromotions(config, written.bundles),
    ...checkJobs(config),
  ]
}

/** The store that a bundle reads; undefined where its name leads nowhere. */
export function storeOf(config: CheckedConfig, bundle: Bundle): StoreConfig | undefined {
  return typeof bundle.store === 'string' ? ownOf(config.stores, bundle.store) : bundle.store
}

/** Every object knows a `constructor`. */
function ownOf<T>(named: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(named, name) ? named[name] : undefined
}

/** The one name that objects take for something else, and would drop without a word. */
function checkReserved(written: Written): PlacedProblem[] {
  const sections = ['registries', 'stores', 'bundles', 'deployers', 'publishers', 'webhooks'] as const
  const held = sections.filter((section) => Object.hasOwn(written[section] ?? {}, '__proto__'))
  return held.map((section) => ({ path: [section, '__proto__'], message: 'unknown key `__proto__`' }))
}

function checkCeilings({ registries }: CheckedConfig): PlacedProblem[] {
  const parts = Object.entries(registries).filter(([match]) => match.includes('/'))
  return parts.flatMap(([match, registry]) =>
    (['concurrency', 'requests_per_second'] as const)
      .filter((key) => registry[key] !== undefined)
      .map((key) => ({
        path: ['registries', match, key],
        message: 'counts for a host as a whole',
        hint: `Put it under ${match.split('/')[0]}.`,
      })),
  )
}

function checkPublicUrl({ server }: CheckedConfig, written: Written): PlacedProblem[] {
  if (server.public_url === undefined || written.server?.access !== undefined) return []
  if (isLoopbackHost(new URL(server.public_url).host)) return []
  const message =
    'a public_url beyond this machine needs server.access: behind a proxy everybody would look like this machine'
  return [
    { path: ['server', 'public_url'], message, hint: 'Say who may do what, for example access: { anonymous: read }' },
  ]
}

function checkNames(written: Written): PlacedProblem[] {
  const [stores, deployers] = [Object.keys(written.stores ?? {}), Object.keys(written.deployers ?? {})]
  return Object.entries(written.bundles ?? {}).flatMap(([name, bundle]) => {
    const store = bundle?.store
    const places = Array.isArray(bundle?.deploy) ? (bundle.deploy as ({ to?: unknown } | null)[]) : []
    const names = places.map((place) => place?.to)
    return [
      ...(typeof store === 'string' ? checkName('store', store, stores, ['bundles', name, 'store']) : []),
      ...names.flatMap((to, index) => {
        const path = ['bundles', name, 'deploy', index, 'to']
        if (typeof to !== 'string') return []
        if (names.indexOf(to) < index) return [{ path, message: `\`${to}\` is named twice` }]
        return checkName('deployer', to, deployers, path)
      }),
      ...checkList('webhook', bundle?.webhooks, written.webhooks, ['bundles', name, 'webhooks']),
      ...checkList('publisher', bundle?.publish, written.publishers, ['bundles', name, 'publish']),
    ]
  })
}

function checkList(
  what: string,
  names: unknown,
  known: object | undefined,
  path: PlacedProblem['path'],
): PlacedProblem[] {
  if (!Array.isArray(names)) return []
  return names.flatMap((name: unknown, index) => {
    if (typeof name !== 'string') return []
    if (names.indexOf(name) < index) return [{ path: [...path, index], message: `\`${name}\` is named twice` }]
    return checkName(what, name, Object.keys(known ?? {}), [...path, index])
  })
}

function checkName(what: string, name: string, known: string[], path: PlacedProblem['path']): PlacedProblem[] {
  // An empty one is a problem of its own.
  if (name === '' || known.includes(name)) return []
  return [{ path, message: `there is no ${what} \`${name}\`: ${suggest(name, known)}` }]
}

function checkSchedule(name: string, store: StoreConfig | undefined, gapMs: number | undefined): PlacedProblem[] {
  if (store?.type !== 'oci' || isLoopbackHost(store.repository.split('/')[0]!)) return []
  if (gapMs === undefined || gapMs >= shortestRemoteMs) return []
  const message = 'looks at a remote registry more often than every 5s'
  return [{ path: ['bundles', name, 'schedule'], message, hint: 'Registries limit requests; 60s is usual.' }]
}

/** `5s` is 5 s, though jitter makes it a little less at times. */
function gapOf({ schedule }: Bundle, written: unknown, nowMs: number): number | undefined {
  const isJittered = typeof written === 'string' && schedule.kind === 'interval'
  return isJittered ? (schedule.minMs + schedule.maxMs) / 2 : shortestGapMs(schedule, nowMs)
}

/** What a bundle puts somewhere must not come back as its next candidate. */
function checkLoops(name: string, bundle: Bundle, config: CheckedConfig): PlacedProblem[] {
  const addresses = createAddresses(config.server)
  const store = storeOf(config, bundle)
  const source = store && addresses.addressOf(store)
  const served = `bundles/${name}`
  if (source !== undefined && store?.type !== 'bundle' && addresses.isOwn(source, served)) {
    return [
      { path: ['bundles', name, 'store'], message: `the bundle would follow itself: ${served} is where it is served` },
    ]
  }
  return bundle.deploy.flatMap(({ to }, index) => {
    const path = ['bundles', name, 'deploy', index, 'to']
    const deployer = ownOf(config.deployers, to)
    const target = deployer?.type === 'oci' ? addresses.addressOf(deployer) : undefined
    if (target === undefined) return []
    if (target === source) {
      return [{ path, message: `\`${to}\` would write to ${target}, where the bundle's store reads` }]
    }
    return addresses.isOwn(target, 'bundles/')
      ? [{ path, message: `\`${to}\` would write to ${target}, which is read only` }]
      : []
  })
}

/** Two bundles at one place would overwrite each other for ever, and so would two forms of one. */
function checkShared(config: CheckedConfig): PlacedProblem[] {
  const addresses = createAddresses(config.server)
  const owners = new Map<string, { name: string; form: string }>()
  return Object.entries(config.bundles).flatMap(([name, { deploy }]) =>
    deploy.flatMap(({ to, form = 'served' }, index) => {
      const deployer = ownOf(config.deployers, to)
      if (deployer?.type !== 'oci') return []
      const tags = deployer.tags.map((tag) => `${addresses.addressOf(deployer)}:${tag}`)
      const isOther = (other: { name: string; form: string }) => other.name !== name || other.form !== form
      const owner = tags.map((tag) => owners.get(tag)).find((other) => other !== undefined && isOther(other))
      for (const tag of tags) owners.set(tag, owners.get(tag) ?? { name, form })
      if (owner === undefined) return []
      const what = owner.name === name ? `the same bundle with \`form: ${owner.form}\`` : `bundle \`${owner.name}\``
      const message = `\`${to}\` would overwrite what ${what} puts at the same repository and tag`
      return [{ path: ['bundles', name, 'deploy', index, 'to'], message }]
    }),
  )
}
