import type { Worker } from 'node:worker_threads'
import { createControl } from './app/control.ts'
import { watchFolder } from './app/folder-watch.ts'
import { openServer } from './app/listening.ts'
import { createMaintenance } from './app/maintenance.ts'
import type { RegistriesOptions } from './app/registries.ts'
import { readSecrets, secretsOf, shareSecrets, watchSecrets } from './app/secrets.ts'
import { createServing } from './app/serving.ts'
import { createSetup } from './app/setup.ts'
import { createStandby } from './app/standby.ts'
import { openStorage, type Storage } from './app/storage.ts'
import { createAssembler } from './artifact/assemble.ts'
import type { Config } from './config/config.ts'
import type { Environment } from './config/environment.ts'
import { contentId } from './content/files.ts'
import type { Clock } from './lib/clock.ts'
import { Lifecycle } from './lib/lifecycle.ts'
import type { Logger } from './lib/logger.ts'
import { createMetrics, type Metrics } from './lib/metrics.ts'
import type { Redactor } from './lib/redact.ts'
import { createOutbox, type Outbox } from './reconcile/outbox.ts'
import { createReconciler } from './reconcile/reconciler.ts'
import type { Reconciler } from './reconcile/types.ts'
import { createBundleTable } from './server/bundles/table.ts'
import { createGuard } from './server/guard/guard.ts'
import { ensureAdminToken } from './server/guard/token-file.ts'
import { feedOf, type EventFeed } from './state/feed.ts'
import type { Control } from './server/types.ts'
import { createCors, type Cors } from './server/watcher/cors.ts'

export interface AppOptions {
  config: Config
  /** Reads the config again, from where it came. Throws ConfigError. */
  loadConfig(): Promise<Config>
  environment: Environment
  /** Makes the state anew from the folder, where it was lost. */
  rebuildState?: boolean
  /** Of the state, where it was started before. */
  stateThread?: Worker
  /** Longshore's own. */
  version: string
  clock: Clock
  /** Between 0 and 1; for jitter. */
  random: () => number
  logger: Logger
  redactor: Redactor
  /** Ends the waiting of an instance that stands by. */
  signal: AbortSignal
}

export interface App {
  /** For clients on this machine: `http://127.0.0.1:8085`. */
  url: string
  /** Takes up a changed config as a whole, or throws ConfigError and goes on as before. */
  reload: Control['reload']
  /** Resolves when another instance has taken over: then this one does nothing more, and is to be closed. */
  lost: Promise<Error>
  /** Closes in reverse order whatever was opened, within the config's bound. */
  close(): Promise<void>
}

/** The composition root: a running longshore, or an error and nothing left open. */
export async function startApp(options: AppOptions): Promise<App> {
  const lifecycle = new Lifecycle()
  const { config, clock, logger } = options
  const close = () => lifecycle.close(clock, logger, config.server.shutdownTimeoutMs)
  try {
    return { ...(await open(options, lifecycle)), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(options: AppOptions, lifecycle: Lifecycle): Promise<Omit<App, 'close'>> {
  const { config, clock, random, logger, redactor, environment, version } = options
  shareSecrets(config)
  await readSecrets(secretsOf(config), redactor)
  const metrics = createMetrics(clock)
  const standby = createStandby({ ...options, metrics }, lifecycle)
  const {
    content,
    state: opened,
    registry,
  } = await openStorage({ ...options, metrics, standby, rebuild: options.rebuildState === true }, lifecycle)
  const { state, feed } = feedOf(opened)
  const { path: contentFolder } = config.content
  const hasState = config.state.type === 'sqlite'
  const folder = await watchFolder({ folder: contentFolder, hasState, clock, logger, metrics })
  lifecycle.defer('folder watch', () => folder.stop())
  if (config.file === null) {
    const { seedExample } = await import('./app/example.ts')
    await seedExample(registry, state.facts, logger)
  }
  let inForce = () => config
  const opaPath = () => inForce().opa.path
  const reconciler = openReconciler({ ...options, metrics, content, state, registry, opaPath }, lifecycle)
  // Asked for while the rest is made.
  const current = reconciler.start()
  current.catch(() => undefined)
  const { table, serving } = openServing({ ...options, metrics, content, state, registry, reconciler }, lifecycle)
  const cors = createCors(config.server.corsOrigins)
  const guard = await openGuard({ ...options, metrics, cors }, lifecycle)
  const remote: RegistriesOptions = { clock, random, environment, logger, redactor, metrics, version }
  const outbox = await openOutbox({ ...options, metrics, state, feed }, lifecycle)
  const rooms = { reconciler, outbox, registry, state, table, serving, guard }
  const setup = await createSetup(config, { ...rooms, logger, remote })
  inForce = () => setup.config
  lifecycle.defer('registry clients', () => setup.close())
  lifecycle.defer('reconciler', () => reconciler.close())
  lifecycle.defer('config changes', () => setup.stop())
  const stopWatching = watchSecrets(() => secretsOf(setup.config), clock, logger)
  lifecycle.defer('secrets', stopWatching)

  const maintenance = createMaintenance({
    ...{ content, state, registry, clock, random, logger, metrics },
    config: () => setup.config,
  })
  lifecycle.defer('maintenance', () => maintenance.close())

  const { lost } = state.lease
  // What is under way is broken off, and nothing is begun any more: another one does all of it now.
  void lost.then(() => Promise.allSettled([reconciler, outbox, maintenance].map((room) => room.close())))

  const checkRestored = () => serving.check((name) => void reconciler.look(name, 'start').catch(() => undefined))
  const reload = async () => {
    const changes = await setup.apply(async () => {
      const next = await options.loadConfig()
      shareSecrets(next, secretsOf(setup.config))
      await readSecrets(secretsOf(next), redactor)
      return next
    })
    checkRestored()
    return changes
  }
  const { readyTimeoutMs } = config.server
  const control = createControl({
    ...{ reconciler, outbox, serving, state, feed, registry, clock, reload, maintenance, folder, readyTimeoutMs },
    webhook: (name) => setup.webhooks.get(name),
  })
  await setup.apply(() => Promise.resolve(config), current)
  await standby.end()
  const url = await openServer(
    { ...options, metrics, state, registry, guard, cors, table, control, serving },
    lifecycle,
  )
  // Whoever asks is answered first.
  checkRestored()
  return { url, reload, lost }
}

type ReconcilerParts = AppOptions & Storage & { metrics: Metrics; opaPath: () => string | null }

function openReconciler({ opaPath, ...parts }: ReconcilerParts, lifecycle: Lifecycle) {
  const { config, content, registry } = parts
  const assembler = createAssembler()
  lifecycle.defer('builder threads', () => assembler.close())
  const assemble: typeof assembler.assemble = (manifest, blobs, how) => {
    // Asked for at each use: a reload may name another program.
    const path = opaPath()
    return assembler.assemble(manifest, blobs, path === null ? how : { ...how, opaPath: path })
  }
  const reconciler = createReconciler({
    ...parts,
    assembler: { ...assembler, assemble },
    scratch: content.scratch,
    concurrency: config.reconcile.concurrency,
  })
  lifecycle.defer(
    'registry changes',
    registry.onChange((change) => reconciler.repositoryChanged(change)),
  )
  return reconciler
}

type ServingParts = AppOptions & Storage & { metrics: Metrics; reconciler: Reconciler }

/** What is released is served. */
function openServing(parts: ServingParts, lifecycle: Lifecycle) {
  const { config, metrics, content, state, registry, reconciler, clock, logger } = parts
  const maxMemoryBytes = config.server.limits.bundleMemoryBytes
  const table = createBundleTable({ metrics, maxMemoryBytes })
  const serving = createServing({ table, content, state, clock, logger, maxMemoryBytes })
  lifecycle.defer('bundles', () => serving.close())
  reconciler.events.on('released', (release) => {
    serving.activate(release)
    registry.refreshIndexes()
  })
  // What could not be read then may be there now.
  reconciler.events.on('looked', ({ bundle }) => {
    const current = reconciler.status(bundle)[0]?.current ?? null
    if (current !== null) serving.activate(current)
  })
  return { table, serving }
}

type OutboxParts = AppOptions & Pick<Storage, 'state'> & { metrics: Metrics; feed: EventFeed }

async function openOutbox(parts: OutboxParts, lifecycle: Lifecycle): Promise<Outbox> {
  const { config, redactor } = parts
  const source = `urn:uuid:${await contentId(config.content.path)}`
  const outbox = createOutbox({ ...parts, source, redact: (text) => redactor.redact(text) })
  lifecycle.defer('outbox', () => outbox.close())
  return outbox
}

async function openGuard(
  { config, clock, logger, redactor, metrics, cors }: AppOptions & { metrics: Metrics; cors: Cors },
  lifecycle: Lifecycle,
) {
  const { secret, path, created } = await ensureAdminToken(config.content.path)
  redactor.add(secret)
  if (created) logger.info({ path }, `made an admin token; it stands in ${path}`)
  const { access, listen, publicUrl } = config.server
  const guard = createGuard({
    access,
    adminToken: secret,
    listenHost: listen.host,
    ...(publicUrl === null ? {} : { publicUrl }),
    ...{ clock, logger, metrics },
    isInvited: (request) => cors.isInvited(request),
  })
  lifecycle.defer('guard', () => guard.close())
  return guard
}
