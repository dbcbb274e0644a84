import { readFile } from 'node:fs/promises'
import type { Clock } from '../lib/clock.ts'
import { diskReason } from '../lib/disk.ts'
import { ConfigError } from '../lib/errors.ts'
import { parseJsonText } from '../lib/json.ts'
import type { Logger } from '../lib/logger.ts'
import type { SecretSink } from './auth.ts'
import { readHelperAnswer, runHelper, type RunHelper } from './credential-helper.ts'
import { isObject, type JsonObject } from './json.ts'
import { canonicalHost } from './reference.ts'
import { candidatesOf, settingsFor, type Registries, type RegistrySettings } from './settings.ts'

/** Who we are at a registry. `identityToken` is exchanged for tokens, `token` goes out as it is. */
export interface Credential {
  username?: string
  password?: string
  identityToken?: string
  token?: string
}

/** What docker and podman left on this machine; read by whoever reads the environment. */
export interface DockerConfig {
  /** `config.json` and `auth.json` files, the first that knows a host counts; those that do not exist are passed over. */
  paths: readonly string[]
  /** The content of `DOCKER_AUTH_CONFIG`; goes before the files. */
  inline?: string
}

export interface CredentialsOptions {
  registries: Registries
  /** Goes before `registries`. */
  own?: RegistrySettings | undefined
  dockerConfig: DockerConfig
  redactor: SecretSink
  logger: Pick<Logger, 'warn'>
  runHelper?: RunHelper
  /** `readDockerConfig`, unless said. */
  readConfig?: ReadDockerConfig
}

export type ReadDockerConfig = (path: string) => Promise<JsonObject | undefined>

/** The key of Docker Hub in every docker config. */
export const hubKey = 'https://index.docker.io/v1/'

/** Finds who we are: the config's own registries, then the docker config. Undefined: anonymous. Throws ConfigError. */
export async function findCredential(
  options: CredentialsOptions,
  host: string,
  repository: string,
): Promise<Credential | undefined> {
  const { username, password, identityToken, token } = settingsFor(options.registries, host, repository, options.own)
  if ([username, password, identityToken, token].some((value) => value !== undefined)) {
    return keep(options.redactor, {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(identityToken === undefined ? {} : { identityToken }),
      ...(token === undefined ? {} : { token }),
    })
  }
  const { inline, paths } = options.dockerConfig
  if (inline !== undefined && inline !== '') {
    const found = await findInConfig(parseDockerConfig(inline, 'DOCKER_AUTH_CONFIG'), options, host, repository)
    if (found !== undefined) return keep(options.redactor, found)
  }
  for (const path of paths) {
    const config = await (options.readConfig ?? readDockerConfig)(path)
    const found = config && (await findInConfig(config, options, host, repository))
    if (found !== undefined) return keep(options.redactor, found)
  }
  return undefined
}

/** Undefined when there is no such file. Throws ConfigError. */
export async function readDockerConfig(path: string): Promise<JsonObject | undefined> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw new ConfigError(`cannot read the docker config ${path}: ${diskReason(error).why}`, {
      cause: error,
      hint: 'It holds credentials: check who may read it, or name another folder with DOCKER_CONFIG.',
    })
  }
  return parseDockerConfig(text, path)
}

const rereadMs = 1_000

/** For many repositories that ask at about the same time: each file is read at most once a second. */
export function createConfigReader(clock: Pick<Clock, 'monotonic'>): ReadDockerConfig {
  const read = new Map<string, { config: Promise<JsonObject | undefined>; until: number }>()
  return (path) => {
    const known = read.get(path)
    if (known !== undefined && known.until > clock.monotonic()) return known.config
    const config = readDockerConfig(path)
    read.set(path, { config, until: clock.monotonic() + rereadMs })
    return config
  }
}

function parseDockerConfig(text: string, name: string): JsonObject {
  let json: unknown
  try {
    // Some editors begin a file with a byte order mark.
    json = parseJsonText(text.replace(/^\uFEFF/, '') || '{}')
  } catch {
    // The parser's message would quote the text, and with it a secret.
    throw new ConfigError(`${name} is not JSON`, { hint: 'It should be a docker config: {"auths": {…}}.' })
  }
  if (!isObject(json))
    throw new ConfigError(`${name} is not a JSON object`, { hint: 'It should be a docker config: {"auths": {…}}.' })
  return json
}

/** https://docs.docker.com/reference/cli/docker/login/#credential-helpers; podman's keys may carry a path. */
async function findInConfig(
  config: JsonObject,
  options: CredentialsOptions,
  host: string,
  repository: string,
): Promise<Credential | undefined> {
  const candidates = candidatesOf(host, repository).slice(0, -1)
  const helper = pick(config.credHelpers, candidates)
  if (helper !== undefined && typeof helper.value === 'string') {
    const found = await askHelper(options, helper.value, serverName(helper.candidate))
    if (found !== undefined) return found
  }
  const store = config.credsStore
  if (typeof store === 'string' && store !== '') {
    const found = await askStore(options, store, serverName(host))
    if (found !== undefined) return found
  }
  for (const candidate of candidates) {
    const entry = pick(config.auths, [candidate])
    const found = entry && readAuth(entry.value)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a helper calls a registry. */
export function serverName(host: string): string {
  return host === 'docker.io' ? hubKey : host
}

async function askHelper(
  { runHelper: run = runHelper }: CredentialsOptions,
  suffix: string,
  server: string,
): Promise<Credential | undefined> {
  const found = readHelperAnswer(suffix, server, await run(suffix, 'get', server))
  if (found === undefined) return undefined
  const isIdentityToken = found.username === '<token>'
  return isIdentityToken ? { identityToken: found.secret } : { username: found.username, password: found.secret }
}

/** A store for every registry that is not there (a config copied from a desktop) must not stop anonymous pulls. */
async function askStore(options: CredentialsOptions, suffix: string, server: string): Promise<Credential | undefined> {
  try {
    return await askHelper(options, suffix, server)
  } catch (error) {
    options.logger.warn({ err: error, registry: server }, `the credential store "${suffix}" was passed over`)
    return undefined
  }
}

/** The first candidate, most specific first, for which `table` has a key that means it. Never by substring. */
function pick(table: unknown, candidates: readonly string[]): { candidate: string; value: unknown } | undefined {
  if (!isObject(table)) return undefined
  const keys = Object.keys(table)
  for (const candidate of candidates) {
    const key = keys.find((one) => candidateOf(one) === candidate)
    if (key !== undefined) return { candidate, value: table[key] }
  }
  return undefined
}

/** `https://index.docker.io/v1/` → `docker.io`, `http://localhost:5000` → `localhost:5000`, `quay.io/acme` stays. */
export function candidateOf(key: string): string {
  const bare = key.replace(/^https?:\/\//, '')
  const [host, ...path] = bare.replace(/(?<!\/)\/+$/, '').split('/')
  const isUrl = bare !== key || /^v[12]$/.test(path[0] ?? '')
  return [canonicalHost(host!), ...(isUrl ? [] : path)].join('/')
}

function readAuth(entry: unknown): Credential | undefined {
  if (!isObject(entry)) return undefined
  const text = (name: string) => (typeof entry[name] === 'string' && entry[name] !== '' ? entry[name] : undefined)
  const identityToken = text('identitytoken')
  const token = text('registrytoken')
  // Padding with NULs is what Docker itself once wrote.
  const pair = Buffer.from(text('auth') ?? '', 'base64')
    .toString('utf8')
    .replace(/\0+$/, '')
  const colon = pair.indexOf(':')
  const username = colon > 0 ? pair.slice(0, colon) : text('username')
  const password = colon > 0 ? pair.slice(colon + 1) : text('password')
  if (token !== undefined) return { token }
  if (identityToken !== undefined) return { identityToken, ...(username === undefined ? {} : { username }) }
  return username === undefined || password === undefined ? undefined : { username, password }
}

function keep(redactor: SecretSink, credential: Credential): Credential {
  const { username, password, identityToken, token } = credential
  // Name and password are one secret more: this is how they go over the wire.
  const pair = username !== undefined && password && Buffer.from(`${username}:${password}`).toString('base64')
  for (const secret of [password, identityToken, token, pair]) if (secret) redactor.add(secret)
  return credential
}
