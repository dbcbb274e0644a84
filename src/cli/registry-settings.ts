import { readFile } from 'node:fs/promises'
import type { RegistryConfig } from '../config/config.ts'
import { ConfigError } from '../lib/errors.ts'
import type { Registries, RegistrySettings } from '../oci/settings.ts'

/** The config's registries as the client takes them: secrets and certificates are read here. Throws ConfigError. */
export async function registrySettings(registries: readonly RegistryConfig[]): Promise<Registries> {
  const entries = await Promise.all(registries.map(async (entry) => [entry.match, await settingsOf(entry)] as const))
  return Object.fromEntries(entries)
}

async function settingsOf(entry: RegistryConfig): Promise<RegistrySettings> {
  const { username, requestsPerSecond, plainHttp, concurrency } = entry
  const read = {
    username,
    password: await entry.password?.read(),
    token: await entry.token?.read(),
    identityToken: await entry.identityToken?.read(),
    ca: await readPem(entry.ca),
    cert: await readPem(entry.cert),
    key: await readPem(entry.key),
    requestsPerSecond,
    concurrency,
    plainHttp,
  }
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== null && value !== undefined))
}

async function readPem(path: string | null): Promise<string | undefined> {
  if (path === null) return undefined
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`cannot read the certificate ${path}`, { cause: error })
  }
}
