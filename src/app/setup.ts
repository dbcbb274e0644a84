import { changedSections, diffBundles } from '../config/changes.ts'
import type { Config } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Release } from '../model/release.ts'
import type { Outbox } from '../reconcile/outbox.ts'
import type { BundleSpec, Reconciler } from '../reconcile/types.ts'
import type { Registry } from '../registry/types.ts'
import type { BundleTable } from '../server/bundles/table.ts'
import type { Guard } from '../server/guard/guard.ts'
import type { State } from '../state/state.ts'
import { createRegistryClients, readCertificates, type RegistriesOptions, type RegistryClients } from './registries.ts'
import type { Serving } from './serving.ts'
import { createPruners, createPublisherSpecs, createSpecs } from './specs.ts'
import { linkWebhooks, type LinkedWebhook } from './webhooks.ts'

export interface SetupOptions {
  reconciler: Reconciler
  outbox: Outbox
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
  readonly webhooks: ReadonlyMap<string, LinkedWebhook>
  /**
   * One after the other, `load` too: of two that come at once, the one that was read last stays. Throws ConfigError, before
   * anything is changed. `current`: each bundle's newest release, where somebody has asked the state for them already.
   */
  apply(
    load: () => Promise<Config>,
    current?: Promise<readonly Release[]>,
  ): Promise<{ added: string[]; changed: string[]; removed: string[] }>
  /** Takes up nothing more, and waits for what is being taken up. */
  stop(): Promise<void>
  close(): Promise<void>
}

/** What only another start takes up. */
const fixed = new Set<keyof Config>(['content', 'state', 'log', 'reconcile'])
/** A download that began before its registry was configured anew may take this long to end. */
const retireMs = 600_000

/** Nothing is looked at before the first `apply`. */
export async function createSetup(first: Config, options: SetupOptions): Promise<Setup> {
  const { reconciler, outbox, registry, state, table, guard, logger, remote } = options
  let config = first
  let clients: RegistryClients = await createRegistryClients(first, remote)
  const retirement = createRetirement(remote.clock)
  let specs = new Map<string, BundleSpec>()
  /** Of each spec the clients that it was made with, which stay for as long as it does. */
  let madeWith = new Map<BundleSpec, RegistryClients>()
  let webhooks = new Map<string, LinkedWebhook>()
  let applying: Promise<unknown> = Promise.resolve()
  let stopped = false

  async function replace(next: Config, current?: Promise<readonly Release[]>) {
    // What is in force already, as after a start, differs from itself in nothing.
    const sections = next === config ? [] : changedSections(config, next)
    const unchanged = new Set(next === config ? [] : diffBundles(config, next).unchanged)
    const old = clients
    const isSame = !sections.includes('registries') && (await readCertificates(next)) === old.certificates
    const registries = isSame ? old : await createRegistryClients(next, remote)
    const mayKeep = isSame || !isRenewed(old.certificates, registries.certificates)
    const [made, pruners] = await createAll(next, registries, (name) =>
      mayKeep && unchanged.has(name) ? specs.get(name) : undefined,
    )
    const [publishers, hooks] = await Promise.all([createPublisherSpecs(next, remote), linkWebhooks(next)])
    warnOfRestart(config, next, sections, logger)
    config = next
    clients = registries
    const before = new Set([old, ...madeWith.values()])
    madeWith = new Map(made.map((spec) => [spec, madeWith.get(spec) ?? registries]))
    for (const unused of before.difference(new Set([registries, ...madeWith.values()]))) retirement.add(unused)
    specs = new Map(made.map((spec) => [spec.name, spec]))
    guard.setAccess(next.server.access)
    table.configure(next.bundles)
    const lastGood = current ?? state.bundles.current()
    // They are to be told of whatever happens.
    await Promise.all([serveLastGood(await lastGood, options), outbox.configure(publishers)])
    const changes = await reconciler.configure(made, pruners)
    webhooks = hooks
    return changes
  }

  async function createAll(next: Config, registries: RegistryClients, keep: (name: string) => BundleSpec | undefined) {
    const parts = { ...remote, registries, registry, state, logger, builderVersion: remote.version }
    const all = Promise.all([createSpecs(next, parts, keep), createPruners(next, parts)])
    return all.catch(async (error: unknown) => {
      if (registries !== clients) await registries.close()
      throw error
    })
  }

  return {
    get config() {
      return config
    },
    get webhooks() {
      return webhooks
    },
    apply(load, current) {
      const applied = applying.then(async () => {
        const next = await load()
        if (stopped) throw new ConfigError('longshore is stopping and takes up no config', { code: 'stopping' })
        return replace(next, current)
      })
      applying = applied.catch(() => undefined)
      return applied
    },
    async stop() {
      stopped = true
      await applying
    },
    async close() {
      await Promise.all([...new Set([clients, retirement, ...madeWith.values()])].map((each) => each.close()))
    },
  }
}

/** What is new here may have been here before. */
async function serveLastGood(current: readonly Release[], { serving, table }: SetupOptions): Promise<void> {
  await serving.restore(current.filter(({ bundle }) => table.get(bundle)?.release === undefined))
}

/** What is under way goes on: a changed line in the config must not cut off a download. */
function createRetirement(clock: Clock) {
  const held = new Map<RegistryClients, () => void>()
  return {
    add(old: RegistryClients): void {
      const cancel = clock.after(retireMs, () => {
        held.delete(old)
        void old.close()
      })
      held.set(old, cancel)
    },
    async close(): Promise<void> {
      for (const cancel of held.values()) cancel()
      await Promise.all([...held.keys()].map((old) => old.close()))
    },
  }
}

function warnOfRestart(before: Config, after: Config, changed: readonly (keyof Config)[], logger: Logger): void {
  const sections = changed.filter((name) => fixed.has(name) || (name === 'server' && needsRestart(before, after)))
  if (sections.length > 0) logger.warn({ sections }, `the change of ${sections.join(', ')} needs a restart`)
}

/** Of the server, only who may do what is taken up at once. */
function needsRestart({ server: before }: Config, { server: after }: Config): boolean {
  const bearing = ({ access: _access, ...rest }: Config['server']) => JSON.stringify(rest)
  return bearing(before) !== bearing(after)
}

/** Whether a registry that was there before has other certificates now, though the config may say the same. */
function isRenewed(before: string, after: string): boolean {
  const [old, now] = [before, after].map((text) => JSON.parse(text) as [name: string, ...pem: unknown[]][])
  const known = new Map(old!.map((entry) => [entry[0], JSON.stringify(entry)]))
  return now!.some((entry) => known.has(entry[0]) && known.get(entry[0]) !== JSON.stringify(entry))
}
