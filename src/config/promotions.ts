import type { StoreConfig } from '../stores/types.ts'
import type { PlacedProblem } from './issues.ts'
import { suggest } from '../lib/nearest.ts'
import type { CheckedConfig } from './schema.ts'

type Bundle = CheckedConfig['bundles'][string]
type Promoting = Extract<StoreConfig, { type: 'bundle' }>
type Written = Record<string, { store?: unknown; follow?: unknown; deploy?: unknown } | null> | undefined

interface Promotion {
  name: string
  bundle: Bundle
  store: Promoting
  /** Where the store stands. */
  at: PlacedProblem['path']
}

/** What a bundle takes from another one has to be there to be taken. `written`: names count whether or not what stands under them is right. */
export function checkPromotions(config: CheckedConfig, written: Written): PlacedProblem[] {
  const promotions = promotionsOf(config)
  const seen = new Set<string>()
  return promotions.flatMap((promotion) => {
    const { name, store, at } = promotion
    const follow = followsSomething(promotion, written)
    // A store that several bundles share is wrong once.
    const key = `${at.join('.')}\n${at[0] === 'stores' ? '' : name}`
    if (seen.has(key)) return follow
    seen.add(key)
    const path = [...at, 'from']
    if (written === undefined || !Object.hasOwn(written, store.from)) {
      const message = `there is no bundle \`${store.from}\`: ${suggest(store.from, Object.keys(written ?? {}))}`
      return [...follow, { path, message }]
    }
    const circle = circleOf(name, promotions)
    if (circle !== undefined) return [...follow, { path, message: `the bundles would wait for each other: ${circle}` }]
    return [...follow, ...checkSource(promotion, config.bundles[store.from])]
  })
}

function promotionsOf({ bundles, stores }: CheckedConfig): Promotion[] {
  return Object.entries(bundles).flatMap(([name, bundle]) => {
    const shared = typeof bundle.store === 'string' ? bundle.store : undefined
    const store = shared === undefined ? bundle.store : Object.hasOwn(stores, shared) ? stores[shared] : undefined
    if (typeof store !== 'object' || store.type !== 'bundle') return []
    return [{ name, bundle, store, at: shared === undefined ? ['bundles', name, 'store'] : ['stores', shared] }]
  })
}

function followsSomething({ name }: Promotion, written: Written): PlacedProblem[] {
  const follow = written?.[name]?.follow
  if (follow === undefined || follow === 'latest') return []
  const message = 'a bundle that takes what was promoted follows nothing else'
  return [{ path: ['bundles', name, 'follow'], message, hint: 'Leave it out; to have one version, pin it.' }]
}

/** Undefined where the other one is wrong itself. */
function checkSource({ name, bundle, store, at }: Promotion, source: Bundle | undefined): PlacedProblem[] {
  if (source === undefined) return []
  const { from, place } = store
  const problems: PlacedProblem[] = []
  const places = source.deploy.map(({ to }) => to)
  if (place !== null && !places.includes(place)) {
    const known =
      places.length === 0
        ? `\`${from}\` goes to no place`
        : `\`${from}\` does not go to \`${place}\`: ${suggest(place, places)}`
    problems.push({ path: [...at, 'place'], message: known })
  }
  if (source.kind !== bundle.kind) {
    problems.push({ path: ['bundles', name, 'kind'], message: `is ${bundle.kind}, and \`${from}\` is ${source.kind}` })
  }
  if (source.pull !== bundle.pull) {
    const [watched, pulled] = source.pull ? [name, from] : [from, name]
    const message = `\`${watched}\` has \`pull: false\`, and \`${pulled}\` is pulled: what is promoted stays what it is`
    problems.push({ path: [...at, 'from'], message, hint: 'Say `pull: false` for both, or for neither.' })
  }
  return problems
}

/** `a from b from a`; undefined where there is none. */
function circleOf(name: string, promotions: readonly Promotion[]): string | undefined {
  const from = new Map(promotions.map((promotion) => [promotion.name, promotion.store.from]))
  const way = [name]
  for (let next = from.get(name); next !== undefined; next = from.get(next)) {
    if (way.includes(next)) return next === name ? [...way, next].map((one) => `\`${one}\``).join(' from ') : undefined
    way.push(next)
  }
  return undefined
}
