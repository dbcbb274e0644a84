import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
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
import { isDigest } from '../oci/digest.ts'
import { createRegistry } from '../registry/registry.ts'
import type { Registry } from '../registry/types.ts'
import { createSqliteState } from '../state/sqlite/client.ts'
import type { State } from '../state/state.ts'
import { rebuildState, refuseHalfRebuilt } from './rebuild.ts'

export interface StorageOptions {
  config: Pick<Config, 'content' | 'server' | 'bundles'>
  clock: Clock
  logger: Logger
  metrics?: Pick<Metrics, 'setRegistryMemory'>
  /** Makes the state anew, where it was lost. */
  rebuild?: boolean
}

/** Everything that is kept, in one folder. */
export interface Storage {
  content: Content
  state: State
  registry: Registry
}

/**
 * Opens the config's folder, for this process alone. The state's lock comes first: nobody else may be at work there. Throws
 * StorageError, `locked` when somebody is.
 */
export async function openStorage(options: StorageOptions, lifecycle: Lifecycle): Promise<Storage> {
  const { config, clock, logger, metrics, rebuild = false } = options
  const { path, gc, quotaBytes, repositoryQuotas } = config.content
  await (rebuild ? refuseState(path) : refuseLostState(path))
  const state = await createSqliteState({ path, contentId: await contentId(path), logger })
  lifecycle.defer('state', () => state.close())
  const content = await createFolderContent({ path, logger, ...(quotaBytes !== null && { quotaBytes }) })
  lifecycle.defer('content', () => content.close())
  if (rebuild) await rebuildState({ config, content, state, clock, logger })
  else await refuseHalfRebuilt(state, path)
  const { uploadExpiryMs: uploadIdleMs, maxUploads } = config.server.limits
  const limits = { uploadIdleMs, maxUploads, graceMs: gc.graceMs }
  const quotaOf = createQuotas(repositoryQuotas)
  const registry = createRegistry({
    ...{ content, catalog: state.catalog, clock, logger, limits, quotaOf, folder: path },
    onMemory: (bytes) => metrics?.setRegistryMemory(bytes),
  })
  lifecycle.defer('built-in registry', () => registry.close())
  return { content, state, registry }
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
async function refuseLostState(path: string): Promise<void> {
  const isLost = await onDisk({ what: 'looking into the content folder', path }, async () => {
    if (await hasState(path)) return false
    for (const algorithm of ['sha256', 'sha512']) {
      const names = await readdir(join(path, 'blobs', algorithm)).catch((): string[] => [])
      if (names.some((name) => isDigest(`${algorithm}:${name}`))) return true
    }
    return false
  })
  if (!isLost) return
  throw new StorageError('corrupt', `the folder ${path} has blobs, but the state that says whose they are is gone`, {
    hint: `Put ${join(path, 'state.db')} back, restore a backup into an empty folder, or start with --rebuild-state.`,
  })
}

async function refuseState(path: string): Promise<void> {
  if (!(await hasState(path))) return
  throw new ConfigError(`cannot rebuild the state in ${path}: there is one`, {
    code: 'usage',
    hint: `Start without --rebuild-state. If it is damaged beyond help, move ${join(path, 'state.db')} away first.`,
  })
}

async function hasState(path: string): Promise<boolean> {
  return (await stat(join(path, 'state.db')).catch(() => undefined)) !== undefined
}
