import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../lib/errors.ts'
import type { Config } from './config.ts'
import type { Environment } from './environment.ts'
import { findConfigFile, usualName, type FindOptions } from './find.ts'
import { parseConfig, type ParseOptions } from './parse.ts'
import { configOf, readConfig } from './read.ts'
import { listenError, parseListen } from './schema/server.ts'

export interface LoadOptions extends ParseOptions, FindOptions {
  environment: Pick<Environment, 'configFile' | 'get'>
}

const maxFileBytes = 1024 ** 2

/** What is served when nothing is configured: `npm start` puts the example there. */
const defaults = { bundles: { example: { store: { type: 'local', repository: 'policies/example' } } } }

/** Finds the file, reads it and checks all of it. Throws ConfigError with every problem there is. */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  checkListen(options.listen)
  const name = await findConfigFile(options)
  const file = name === null ? null : resolve(options.cwd, name)
  const document = file === null ? configOf(defaults) : await readConfig(await readBytes(file))
  const folder = file === null ? options.cwd : dirname(file)
  return parseConfig(document, { name: name ?? usualName, file, folder }, options)
}

async function readBytes(file: string): Promise<Buffer> {
  try {
    await using handle = await open(file)
    const found = await handle.stat()
    if (found.isDirectory()) throw new Error('it is a folder')
    const bytes = Buffer.allocUnsafeSlow(maxFileBytes + 1)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    if (bytesRead > maxFileBytes) throw new Error('it is larger than 1 MiB')
    return bytes.subarray(0, bytesRead)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : message
    throw new ConfigError(`cannot read the config file ${file}: ${reason}`, { cause: error })
  }
}

function checkListen(listen: string | undefined): void {
  if (listen === undefined || parseListen(listen) !== undefined) return
  throw new ConfigError(`--listen ${listen}: ${listenError}`)
}
