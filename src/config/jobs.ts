import { wordsIn } from '../lib/template.ts'
import type { DeployerConfig } from '../deployers/types.ts'
import type { StoreConfig } from '../stores/types.ts'
import { storeOf } from './check.ts'
import type { PlacedProblem } from './issues.ts'
import type { CheckedConfig } from './schema.ts'

type NomadConfig = Extract<DeployerConfig, { type: 'nomad' }>

/** One `deploy` entry that goes to a job. */
interface Entry {
  bundle: string
  at: PlacedProblem['path']
  to: string
  deployer: NomadConfig
}

/** Nomad fetches from the registry by itself, so there has to be one; and two bundles at one place would overwrite each other for ever. */
export function checkJobs(config: CheckedConfig): PlacedProblem[] {
  const entries = entriesOf(config)
  return [...entries.flatMap((entry) => checkRepository(entry, config)), ...checkShared(entries)]
}

function entriesOf({ bundles, deployers }: CheckedConfig): Entry[] {
  return Object.entries(bundles).flatMap(([bundle, { deploy }]) =>
    deploy.flatMap(({ to }, index) => {
      const deployer = Object.hasOwn(deployers, to) ? deployers[to] : undefined
      if (deployer?.type !== 'nomad') return []
      return [{ bundle, at: ['bundles', bundle, 'deploy', index, 'to'], to, deployer }]
    }),
  )
}

function checkRepository({ bundle, at, to, deployer }: Entry, config: CheckedConfig): PlacedProblem[] {
  const store = originOf(config, config.bundles[bundle]!)
  const asks = Object.entries(deployer.set).find(([, template]) => wordsIn(template).includes('repository'))
  if (store === undefined || store.type === 'oci' || asks === undefined) return []
  const message = `\`${to}\` sets ${asks[0]} to a {repository}, and the store of \`${bundle}\` is of type ${store.type}, which has none that Nomad could ask`
  return [
    {
      path: at,
      message,
      hint: 'Write the repository as it is in `set`, or let the bundle come from a store of type oci.',
    },
  ]
}

/** Through what it was promoted from, if that is not pulled. Undefined where a name leads nowhere, or in a circle. */
function originOf(config: CheckedConfig, bundle: CheckedConfig['bundles'][string]): StoreConfig | undefined {
  const seen = new Set<unknown>()
  let [from, store] = [bundle, storeOf(config, bundle)]
  while (store?.type === 'bundle' && !from.pull) {
    const next = Object.hasOwn(config.bundles, store.from) ? config.bundles[store.from]! : undefined
    if (next === undefined || seen.has(next)) return undefined
    seen.add(next)
    ;[from, store] = [next, storeOf(config, next)]
  }
  return store
}

function checkShared(entries: readonly Entry[]): PlacedProblem[] {
  const owners = new Map<string, string>()
  return entries.flatMap(({ bundle, at, to, deployer }) => {
    const { address, region, namespace, job, group, task } = deployer
    const places = Object.keys(deployer.set).map((path) => {
      return JSON.stringify([new URL(address).href, region, namespace, job, group, task, path.toLowerCase()])
    })
    const owner = places.map((place) => owners.get(place)).find((other) => other !== undefined && other !== bundle)
    for (const place of places) owners.set(place, owners.get(place) ?? bundle)
    if (owner === undefined) return []
    return [{ path: at, message: `\`${to}\` would overwrite what bundle \`${owner}\` sets in the same task` }]
  })
}
