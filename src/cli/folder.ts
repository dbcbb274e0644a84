import { stat } from 'node:fs/promises'
import { openStorage, type Storage } from '../app/storage.ts'
import type { Config } from '../config/config.ts'
import { ConfigError, RemoteError, StorageError } from '../lib/errors.ts'
import { Lifecycle } from '../lib/lifecycle.ts'
import { silentLogger } from '../lib/logger.ts'
import type { CommandContext } from './command.ts'
import type { ServerOptions } from './options.ts'
import { readConfig } from './read-config.ts'
import { withServer } from './server.ts'
import type { ServerClient } from './server-client.ts'

const closeMs = 60_000

/** Opens the folder of the config, under its lock, for this command. Throws StorageError `locked` when a server has it. */
export async function withFolder<T>(
  { clock, redactor }: CommandContext,
  config: Config,
  run: (storage: Storage) => Promise<T>,
): Promise<T> {
  const { path } = config.content
  if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) {
    throw new ConfigError(`there is no data folder ${path}`, { hint: 'Name the config of the server with -c.' })
  }
  const lifecycle = new Lifecycle()
  try {
    return await run(await openStorage({ config, clock, redactor, logger: silentLogger }, lifecycle))
  } finally {
    await lifecycle.close(clock, silentLogger, closeMs)
  }
}

/**
 * Work on a folder: by the server that the options name, else here, under the folder's lock, else by the local server that
 * holds it, or that has one which cannot be used from here.
 */
export async function byServerOrAlone<T>(
  context: CommandContext,
  options: ServerOptions,
  how: { server: (server: ServerClient) => Promise<T>; alone: (storage: Storage, config: Config) => Promise<T> },
): Promise<T> {
  if ((options.server ?? context.environment.server) !== undefined) return withServer(context, options, how.server)
  const config = await readConfig(context, options.config)
  try {
    return await withFolder(context, config, (storage) => how.alone(storage, config))
  } catch (error) {
    if (error instanceof StorageError && error.code === 'locked') return withServer(context, options, how.server)
    if (!isOutOfReach(error) || config.file === null) throw error
    return withServer(context, options, how.server).catch((refused: unknown) => {
      throw refused instanceof RemoteError && refused.code === 'network' ? error : refused
    })
  }
}

/** The folder is somebody else's, or seen from here it stands elsewhere: the server may be there all the same. */
function isOutOfReach(error: unknown): boolean {
  return error instanceof StorageError ? error.code === 'read_only' : error instanceof ConfigError
}
