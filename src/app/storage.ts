import { opendir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import type { Config, PostgresConfig } from '../config/config.ts'
import type { Content } from '../content/content.ts'
import { onDisk } from '../content/errors.ts'
import { contentId } from '../content/files.ts'
import { createFolderContent } from '../content/folder.ts'
import type { Clock } from '../lib/clock.ts'
import { ConfigError, StorageError } from '../lib/errors.ts'
import { compileGlob } from '../lib/glob.ts'
import type { Lifecycle } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Redactor } from '../lib/redact.ts'
import { isDigest } from '../oci/digest.ts'
import { createRegistry } from '../registry/registry.ts'
import type { Registry } from '../registry/types.ts'
import { createSqliteState } from '../state/sqlite/client.ts'
import type { Standby } from '../state/postgres/client.ts'
import type { State } from '../state/state.ts'
import { whileActing } from './acting.ts'
import { openPostgres } from './database.ts'
import { rebuildState, refuseHalfRebuilt } from './rebuild.ts'

export interface StorageOptions {
  config: Pick<Config, 'content' | 'server' | 'bundles' | 'state'>
  clock: Clock
  logger: Logger
  redactor: Redactor
  metrics?: Pick<Metrics, 'setRegistryMemory'>
  /** Makes the state anew, where it was lost. */
  rebuild?: boolean
  /** What to do where another instance acts; without it that is an error. */
  standby?: Standby
  /** Of the embedded state, where it was started before. */
  stateThread?: Worker | undefined
}

/** Everything that is kept. */
export interface Storage {
  content: Content
  state: State
  registry: Registry
}

/**
 * Opens the config's folder and its state, for this process alone. The state's lock or lease comes first: nobody else may be at
 * work there. Throws StorageError, `locked` when somebody is.
 */
export async function openStorage(options: StorageOptions, lifecycle: Lifecycle): Promise<Storage> {
  const { config, clock, logger, metrics, rebuild = false } = options
  const { path, gc, quotaBytes, repositoryQuotas } = config.content
  const state = await openState(options, lifecycle)
  const folder = await createFolderContent({ path, logger, ...(quotaBytes !== null && { quotaBytes }) })
  const content = whileActing(folder, state.lease)
  lifecycle.defer('content', () => content.close())
  if (rebuild) await rebuildState({ config, content, state, clock, logger })
  else await refuseHalfRebuilt(state, path)
  const { uploadExpiryMs: uploadIdleMs, maxUploads } = config.server.limits
  const limits = { uploadIdleMs, maxUploads, graceMs: gc.graceMs }
  const quotaOf = createQuotas(repositoryQuotas)
  const registry = createRegistry({
    ...{ content, catalog: state.catalog, clock, logger, limits, quotaOf, folder: path },
    mayWrite: () => state.lease.check(),
    onMemory: (bytes) => metrics?.setRegistryMemory(bytes),
  })
  lifecycle.defer('built-in registry', () => registry.close())
  return { content, state, registry }
}

async function openState(options: StorageOptions, lifecycle: Lifecycle): Promise<State> {
  const { config, logger, rebuild = false, stateThread: thread } = options
  const { path } = config.content
  if (config.state.type === 'postgres') {
    await thread?.terminate()
    return openDatabase(config.state, options, lifecycle)
  }
  const isNew = !(await hasState(path))
  await (rebuild ? refuseState(isNew, path) : refuseLostState(isNew, path))
  const mustExist = !rebuild && (await hasBlobs(path))
  const state = await createSqliteState({ path, contentId: await contentId(path), mustExist, logger, thread })
  lifecycle.defer('state', () => state.close())
  return state
}

/** The longest pattern that matches a repository says what it may hold. */
export function createQuotas(
  quotas: Config['content']['repositoryQuotas'],
): (repository: string) => number | undefined {
  const matchers = quotas
    .toSorted((a, b) => b.pattern.length - a.pattern.length)
    .map(({ pattern, maxBytes }) => ({ expression: compileGlob(pattern), maxBytes }))
  return (repository) => matchers.find(({ expression }) => expression.test(repository))?.maxBytes
}

/** Begun anew, the state would say that nobody needs any of the blobs. */
async function refuseLostState(isNew: boolean, path: string): Promise<void> {
  if (!isNew || !(await hasBlobs(path))) return
  throw new StorageError('corrupt', `the folder ${path} has blobs, but the state that says whose they are is gone`, {
    hint: `Put ${join(path, 'state.db')}, or the database, back, restore a backup into an empty folder, or start with --rebuild-state.`,
  })
}

async function openDatabase(config: PostgresConfig, options: StorageOptions, lifecycle: Lifecycle): Promise<State> {
  const { rebuild = false, standby } = options
  const { path } = options.config.content
  const state = await openPostgres(config, path, options, {
    ...(standby !== undefined && { standby }),
    agree: (isNew) => (rebuild ? refuseState(isNew, 'the database') : refuseLostState(isNew, path)),
  })
  lifecycle.defer('state', () => state.close())
  const { shareLock } = await import('../state/sqlite/lock.ts')
  lifecycle.defer('lock', shareLock(path))
  return state
}

function hasBlobs(path: string): Promise<boolean> {
  return onDisk({ what: 'looking into the content folder', path }, async () => {
    for (const algorithm of ['sha256', 'sha512']) {
      const folder = await opendir(join(path, 'blobs', algorithm)).catch(() => [])
      for await (const { name } of folder) if (isDigest(`${algorithm}:${name}`)) return true
    }
    return false
  })
}

async function refuseState(isNew: boolean, where: string): Promise<void> {
  if (isNew) return
  throw new ConfigError(`cannot rebuild the state in ${where}: there is one`, {
    code: 'usage',
    hint: 'Start without --rebuild-state. If it is damaged beyond help, move state.db away first, or name an empty database.',
  })
}

async function hasState(path: string): Promise<boolean> {
  return (await stat(join(path, 'state.db')).catch(() => undefined)) !== undefined
}
