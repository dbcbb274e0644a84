import { ConfigError } from '../lib/errors.ts'
import type { Limits } from './limits.ts'
import { canonicalHost, isHost, isLoopbackHost, isRepositoryName, wireHost } from './reference.ts'

/** What the config says of a registry, or of a part of one. Secrets and certificates are values here, not paths. */
export interface RegistrySettings {
  username?: string
  password?: string
  /** An OAuth2 refresh token, as `docker login` stores for some registries. */
  identityToken?: string
  /** A bearer token that the registry takes as it is. */
  token?: string
  /** Unset: plain HTTP for loopback hosts without a `ca`, else HTTPS. */
  plainHttp?: boolean
  /** PEM; added to the default roots. */
  ca?: string
  /** PEM of the client certificate and its key. */
  cert?: string
  key?: string
  requestsPerSecond?: number
  concurrency?: number
  timeouts?: Partial<Pick<Limits, 'connectMs' | 'headersMs' | 'stallMs' | 'metadataMs' | 'commitMs'>>
}

export type Registries = Readonly<Record<string, RegistrySettings>>

const secrets = ['username', 'password', 'identityToken', 'token', 'cert', 'key'] as const
const login = ['username', 'password', 'identityToken', 'token'] as const

/** Throws ConfigError for a pattern that can match nothing, and for credentials that would go to every host. */
export function checkRegistries(registries: Registries): void {
  for (const [pattern, settings] of Object.entries(registries)) {
    if (pattern === '*') refuseSecretsForAll(settings)
    else if (!isPattern(pattern)) {
      throw new ConfigError(`registries: "${pattern}" is neither a host, nor host/path, nor "*"`, {
        hint: 'Write it as registry.example.com, localhost:5000 or ghcr.io/acme, without a scheme.',
      })
    }
    if ((settings.cert === undefined) !== (settings.key === undefined)) {
      throw new ConfigError(`registries: "${pattern}" has only one of cert and key`, {
        hint: 'A client certificate needs both.',
      })
    }
  }
}

/**
 * The settings that hold for a repository: for each field the most specific pattern that has it, path before host before `*`,
 * and `own` before all of them. Who logs in is taken from one of these as a whole.
 */
export function settingsFor(
  registries: Registries,
  host: string,
  repository = '',
  own?: RegistrySettings,
): RegistrySettings {
  const matching = [own, ...candidatesOf(host, repository).map((candidate) => find(registries, candidate))].filter(
    (settings) => settings !== undefined,
  )
  const merged: RegistrySettings = Object.assign({}, ...matching.toReversed()) as RegistrySettings
  const who = matching.find((settings) => login.some((field) => settings[field] !== undefined))
  for (const field of login) delete merged[field]
  for (const field of login) if (who?.[field] !== undefined) merged[field] = who[field]
  return merged
}

/** `host/a/b`, `host/a`, `host`, `*`: whole components, longest first; a substring never matches. */
export function candidatesOf(host: string, repository: string): string[] {
  const parts = repository === '' ? [] : repository.split('/')
  const paths = parts.map((_part, at) => `${host}/${parts.slice(0, at + 1).join('/')}`)
  return [...paths.reverse(), host, '*']
}

/** `https://ghcr.io`, `http://localhost:5000`. */
export function originOf(host: string, settings: RegistrySettings): string {
  const plain = settings.plainHttp ?? (isLoopbackHost(host) && settings.ca === undefined)
  return new URL(`${plain ? 'http' : 'https'}://${wireHost(host)}`).origin
}

function find(registries: Registries, candidate: string): RegistrySettings | undefined {
  const key = Object.keys(registries).find((pattern) => canonicalPattern(pattern) === candidate)
  return key === undefined ? undefined : registries[key]
}

function canonicalPattern(pattern: string): string {
  const [host, ...path] = pattern.split('/')
  return [canonicalHost(host!), ...path].join('/')
}

function isPattern(pattern: string): boolean {
  const [host, ...path] = pattern.split('/')
  return isHost(host!) && (path.length === 0 || isRepositoryName(path.join('/')))
}

function refuseSecretsForAll(settings: RegistrySettings): void {
  const field = secrets.find((name) => settings[name] !== undefined)
  if (field === undefined) return
  throw new ConfigError(`registries: "*" has a ${field}, which would go to every host that a reference names`, {
    hint: 'Put credentials under the host they are for.',
  })
}
