import { readFile } from 'node:fs/promises'
import { ConfigError } from '../lib/errors.ts'
import type { Secret } from '../lib/secret.ts'
import type { Registries, RegistrySettings } from '../oci/settings.ts'
import type { RegistryConfig } from './config.ts'

/**
 * The config's registries as the client takes them. Certificates are read here; secrets are asked for at each use, so that
 * one that was read again counts from then on. Throws ConfigError.
 */
export async function registrySettings(registries: readonly RegistryConfig[]): Promise<Registries> {
  const entries = await Promise.all(registries.map(async (entry) => [entry.match, await settingsOf(entry)] as const))
  return Object.fromEntries(entries)
}

async function settingsOf(entry: RegistryConfig): Promise<RegistrySettings> {
  const { username, requestsPerSecond, plainHttp, concurrency, password, token, identityToken } = entry
  const [ca, cert, key] = await Promise.all([readPem(entry.ca), readPem(entry.cert), readPem(entry.key)])
  await Promise.all([password, token, identityToken].map(async (secret) => secret?.read()))
  const settings = { username, ca, cert, key, requestsPerSecond, concurrency, plainHttp }
  const told = Object.entries(settings).filter(([, value]) => value !== null)
  return withSecrets(Object.fromEntries(told), { password, token, identityToken })
}

/** The settings, with properties that give what each secret is now. */
export function withSecrets(
  settings: RegistrySettings,
  secrets: Record<string, Secret | null | undefined>,
): RegistrySettings {
  const known = { ...settings }
  for (const [name, secret] of Object.entries(secrets)) {
    if (secret) Object.defineProperty(known, name, { enumerable: true, get: () => secret.current() })
  }
  return known
}

async function readPem(path: string | null): Promise<string | null> {
  if (path === null) return null
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`cannot read the certificate or key ${path}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
      hint: 'Check the path in `registries`, and that the user that longshore runs as may read it.',
    })
  }
}
