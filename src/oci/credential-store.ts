import { open, realpath, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ConfigError, StorageError } from '../lib/errors.ts'
import { makeFolders } from '../lib/folders.ts'
import { helperError, runHelper, type RunHelper } from './credential-helper.ts'
import { candidateOf, hubKey, readDockerConfig, serverName, type Credential } from './credentials.ts'
import { isObject, type JsonObject } from './json.ts'
import { canonicalHost } from './reference.ts'

export interface StoreOptions {
  /** The docker config to write, usually `~/.docker/config.json`; made, with its folder, where it is missing. */
  path: string
  runHelper?: RunHelper
}

/**
 * Keeps a credential for a host as `docker login` does: with the helper that the docker config names for it, else in the
 * file. `where` says which, for the user. Throws ConfigError and StorageError.
 */
export async function saveCredentials(
  host: string,
  credential: Credential,
  options: StoreOptions,
): Promise<{ where: string }> {
  const username = credential.identityToken === undefined ? credential.username : '<token>'
  const secret = credential.identityToken ?? credential.password
  if (username === undefined || secret === undefined || username === '' || secret === '') {
    throw new ConfigError(`cannot log in to ${host} without a user name and a password`)
  }
  if (username.includes(':')) throw new ConfigError(`a user name cannot hold a colon: "${username}"`)
  const config = (await readDockerConfig(options.path)) ?? {}
  const suffix = helperFor(config, host)
  const { key, auths } = withoutHost(config, host)
  if (suffix === undefined) {
    const auth = Buffer.from(`${username}:${secret}`).toString('base64')
    // Docker keeps an identity token beside the name, which then has no password.
    const named = Buffer.from(`${credential.username ?? ''}:`).toString('base64')
    const entry = credential.identityToken === undefined ? { auth } : { auth: named, identitytoken: secret }
    await write(options.path, { ...config, auths: { ...auths, [key]: entry } })
    return { where: options.path }
  }
  const input = JSON.stringify({ ServerURL: serverName(canonicalHost(host)), Username: username, Secret: secret })
  const { outcome } = await (options.runHelper ?? runHelper)(suffix, 'store', input)
  if (outcome !== 'done') throw helperError(suffix, `could not store the credential for ${host}`, outcome)
  // An empty entry is how docker remembers which hosts a store knows.
  await write(options.path, { ...config, auths: { ...auths, [key]: {} } })
  return { where: `docker-credential-${suffix}` }
}

/** Forgets a host, in its helper and in the file. False when nobody was known there. Throws ConfigError and StorageError. */
export async function removeCredentials(host: string, options: StoreOptions): Promise<boolean> {
  const config = await readDockerConfig(options.path)
  if (config === undefined) return false
  const suffix = helperFor(config, host)
  let erased = false
  if (suffix !== undefined) {
    const { outcome, stdout } = await (options.runHelper ?? runHelper)(suffix, 'erase', serverName(canonicalHost(host)))
    erased = outcome === 'done'
    if (!erased && !/not found/i.test(stdout))
      throw helperError(suffix, `could not erase the credential for ${host}`, outcome)
  }
  const { auths, found } = withoutHost(config, host)
  if (found) await write(options.path, { ...config, auths })
  return found || erased
}

function helperFor(config: JsonObject, host: string): string | undefined {
  const wanted = canonicalHost(host)
  const helpers = isObject(config.credHelpers) ? config.credHelpers : {}
  const own = Object.entries(helpers).find(([key]) => candidateOf(key) === wanted)?.[1]
  const suffix = own ?? config.credsStore
  return typeof suffix === 'string' && suffix !== '' ? suffix : undefined
}

/** The entries of all other hosts; older spellings of this one go with it. */
function withoutHost(config: JsonObject, host: string): { key: string; auths: JsonObject; found: boolean } {
  const wanted = canonicalHost(host)
  const all = Object.entries(isObject(config.auths) ? config.auths : {})
  const others = all.filter(([key]) => candidateOf(key) !== wanted)
  return {
    key: wanted === 'docker.io' ? hubKey : wanted,
    auths: Object.fromEntries(others),
    found: others.length < all.length,
  }
}

/** Written aside and renamed, so that docker never reads half of it; only its owner may read it. */
async function write(path: string, config: JsonObject): Promise<void> {
  try {
    await makeFolders(dirname(path), 0o700)
    // A config that is a link stays one.
    const target = await realpath(path).catch(() => path)
    const aside = join(dirname(target), `.config.json.${process.pid}.${Date.now()}`)
    try {
      const file = await open(aside, 'wx', 0o600)
      try {
        await file.writeFile(`${JSON.stringify(config, null, '\t')}\n`)
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(aside, target)
    } catch (error) {
      await rm(aside, { force: true })
      throw error
    }
  } catch (error) {
    throw new StorageError('io', `cannot write ${path}`, { cause: error, hint: 'Check who may write there.' })
  }
}
