import type { BundleConfig, Config } from '../config/config.ts'
import { recipeOf } from '../config/changes.ts'
import { originOf } from '../config/origins.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import type { Deployer, DeployerContext } from '../deployers/deployer.ts'
import { deployerTypes, type DeployerConfig } from '../deployers/types.ts'
import { compileGlob } from '../lib/glob.ts'
import { everyBundle } from '../model/decision.ts'
import type { Publisher, PublisherContext } from '../publishers/publisher.ts'
import { publisherTypes, type PublisherConfig } from '../publishers/types.ts'
import type { PublisherSpec } from '../reconcile/sender.ts'
import { createPromoter } from '../reconcile/promoter.ts'
import type { BundleSpec } from '../reconcile/types.ts'
import type { Registry } from '../registry/types.ts'
import type { State } from '../state/state.ts'
import type { Store, StoreContext } from '../stores/store.ts'
import { storeTypes, type StoreConfig } from '../stores/types.ts'
import type { RegistryClients } from './registries.ts'

export interface SpecContext {
  registries: RegistryClients
  registry: Registry
  logger: Logger
  redactor: Redactor
  state: State
  clock: Clock
  /** Of what builds bundles: another one may give other bytes. */
  builderVersion: string
}

/** The config's bundles as the reconciler takes them. A bundle for which `keep` gives a spec did not change. */
export async function createSpecs(
  config: Config,
  context: SpecContext,
  keep: (name: string) => BundleSpec | undefined = () => undefined,
): Promise<BundleSpec[]> {
  const fresh = config.bundles.filter(({ name }) => keep(name) === undefined)
  const deployers = await createDeployers(fresh, config, context)
  return Promise.all(
    config.bundles.map(async (bundle) => keep(bundle.name) ?? (await createSpec(bundle, config, deployers, context))),
  )
}

async function createSpec(
  bundle: BundleConfig,
  config: Config,
  deployers: ReadonlyMap<string, Deployer>,
  context: SpecContext,
): Promise<BundleSpec> {
  const { name, kind, follow, allowDowngrade, platform, pull, schedule, keep, limits, deploy } = bundle
  const given: StoreContext = {
    registries: context.registries,
    local: (repository) => context.registry.repository(repository),
    promotion: (terms) => createPromoter({ bundle: name, terms, state: context.state, clock: context.clock }),
    logger: context.logger.child({ bundle: name }),
  }
  const origin = originOf(bundle, config.bundles)
  const isElsewhere = origin !== bundle.store
  return {
    ...{ name, kind, follow, allowDowngrade, platform, pull, schedule, keep, limits },
    store: await createStore(
      bundle.store,
      isElsewhere ? { ...given, origin: await createStore(origin, given) } : given,
    ),
    recipe: recipeOf(bundle, config.opa, context.builderVersion),
    places: deploy.map(({ to, form, path, autoDeploy, drift, retry }) => ({
      ...{ name: to, form, path, limits, autoDeploy: bundle.autoDeploy && autoDeploy, drift, retry },
      deployer: deployers.get(to)!,
    })),
  }
}

/** `import` asks the module loader each time: for thousands of bundles that takes longer than all else that is made of them. */
const loadedStores = new Map<string, ReturnType<(typeof storeTypes)[StoreConfig['type']]['load']>>()

/** The map gives the plugin that goes with the type, which the compiler cannot see. */
async function createStore(config: StoreConfig, context: StoreContext): Promise<Store> {
  const { type } = config
  const loaded = loadedStores.get(type) ?? storeTypes[type].load()
  loadedStores.set(type, loaded)
  const plugin = await loaded
  return plugin.createStore(config as never, context)
}

async function createDeployers(
  bundles: readonly BundleConfig[],
  config: Config,
  context: SpecContext,
): Promise<Map<string, Deployer>> {
  const used = new Set(bundles.flatMap(({ deploy }) => deploy.map(({ to }) => to)))
  const made = [...used].map(
    async (place) => [place, await createDeployer(place, config.deployers[place]!, context)] as const,
  )
  return new Map(await Promise.all(made))
}

/** Those that take away what left the config, by the names of the places. */
export async function createPruners(config: Config, context: SpecContext): Promise<Map<string, Deployer>> {
  const pruning = Object.entries(config.deployers).filter(([, deployer]) => 'prune' in deployer && deployer.prune)
  const made = pruning.map(
    async ([place, deployer]) => [place, await createDeployer(place, deployer, context)] as const,
  )
  return new Map(await Promise.all(made))
}

/** As with stores. */
async function createDeployer(place: string, config: DeployerConfig, context: SpecContext): Promise<Deployer> {
  const plugin = await deployerTypes[config.type].load()
  const { registries, redactor, clock } = context
  const given: DeployerContext = { registries, redactor, clock, logger: context.logger.child({ place }) }
  return plugin.createDeployer(config as never, given)
}

/** The config's publishers as the outbox takes them. */
export function createPublisherSpecs(config: Config, context: PublisherContext): Promise<PublisherSpec[]> {
  const made = Object.entries(config.publishers).map(async ([name, publisher]): Promise<PublisherSpec> => {
    const patterns = publisher.events.map(compileGlob)
    const linked = config.bundles.filter(({ publish }) => publish.includes(name))
    // What is about all bundles is about each.
    const bundles = new Set([everyBundle, ...linked.map((bundle) => bundle.name)])
    return {
      name,
      publisher: await createPublisher(publisher, context),
      wants: ({ type, bundle }) => bundles.has(bundle) && patterns.some((pattern) => pattern.test(type)),
      parkAfterMs: publisher.parkAfterMs,
    }
  })
  return Promise.all(made)
}

/** As with stores. */
async function createPublisher(config: PublisherConfig, context: PublisherContext): Promise<Publisher> {
  const plugin = await publisherTypes[config.type].load()
  return plugin.createPublisher(config as never, context)
}
