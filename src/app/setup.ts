import { changedSections, diffBundles } from '../config/changes.ts'
import type { Config } from '../config/config.ts'
import type { Logger } from '../lib/logger.ts'
import type { BundleSpec, Reconciler } from '../reconcile/types.ts'
import type { Registry } from '../registry/types.ts'
import type { BundleTable } from '../server/bundles/table.ts'
import type { Guard } from '../server/guard/guard.ts'
import type { State } from '../state/state.ts'
import { createRegistryClients, readCertificates, type RegistriesOptions, type RegistryClients } from './registries.ts'
import type { Serving } from './serving.ts'
import { createSpecs } from './specs.ts'

export interface SetupOptions {
  reconciler: Reconciler
  registry: Registry
  state: State
  table: BundleTable
  serving: Serving
  guard: Guard
  logger: Logger
  /** For clients of registries. */
  remote: RegistriesOptions
}

/** What of the config is in force, and how another one is put in its place without touching what did not change. */
export interface Setup {
  readonly config: Config
  /** Throws ConfigError before anything is changed. */
  apply(config: Config): Promise<{ added: string[]; changed: string[]; removed: string[] }>
  close(): Promise<void>
}

/** What only another start takes up. */
const fixed = new Set<keyof Config>(['content', 'state', 'log', 'reconcile'])

/** Nothing is looked at before the first `apply`. */
export async function createSetup(first: Config, options: SetupOptions): Promise<Setup> {
  const { reconciler, registry, state, table, serving, guard, logger, remote } = options
  let config = first
  let clients: RegistryClients = await createRegistryClients(first, remote)
  let specs = new Map<string, BundleSpec>()
  let applying: Promise<unknown> = Promise.resolve()

  async function replace(next: Config) {
    const sections = changedSections(config, next)
    const unchanged = new Set(diffBundles(config, next).unchanged)
    const old = clients
    const isSame = !sections.includes('registries') && (await readCertificates(next)) === old.certificates
    const registries = isSame ? old : await createRegistryClients(next, remote)
    const context = { registries, registry, logger, builderVersion: remote.version }
    const made = await createSpecs(next, context, (name) =>
      isSame && unchanged.has(name) ? specs.get(name) : undefined,
    )
    const limited = sections.filter(
      (section) => fixed.has(section) || (section === 'server' && needsRestart(config, next)),
    )
    if (limited.length > 0) logger.warn({ sections: limited }, `the change of ${limited.join(', ')} needs a restart`)
    config = next
    clients = registries
    specs = new Map(made.map((spec) => [spec.name, spec]))
    guard.setAccess(next.server.access)
    table.configure(next.bundles)
    await serveLastGood()
    const changes = await reconciler.configure(made)
    if (old !== clients) await old.close()
    return changes
  }

  /** What is new here may have been here before. */
  async function serveLastGood(): Promise<void> {
    const current = await state.bundles.current()
    await serving.restore(current.filter(({ bundle }) => table.get(bundle)?.release === undefined))
  }

  return {
    get config() {
      return config
    },
    apply(next) {
      const applied = applying.then(() => replace(next))
      applying = applied.catch(() => undefined)
      return applied
    },
    close: () => clients.close(),
  }
}

function needsRestart({ server: before }: Config, { server: after }: Config): boolean {
  const bearing = ({ listen, tls, limits, publicUrl }: Config['server']) =>
    JSON.stringify({ listen, tls, limits, publicUrl })
  return bearing(before) !== bearing(after)
}
