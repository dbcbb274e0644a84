import type { Config } from '../config/config.ts'
import type { Environment } from '../config/environment.ts'
import { registrySettings, withSecrets } from '../config/registries.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Redactor } from '../lib/redact.ts'
import { createOciClient } from '../oci/client.ts'
import type { Repository } from '../oci/repository.ts'
import type { Registries, RegistrySettings } from '../oci/settings.ts'
import type { Login } from '../stores/store.ts'

export interface RegistriesOptions {
  clock: Clock
  random: () => number
  environment: Environment
  logger: Logger
  redactor: Redactor
  metrics: Metrics
  version: string
}

/** Everything that goes to other registries. */
export interface RegistryClients {
  /** `login` goes before what the config's `registries` and the docker config say. */
  repository(name: string, login: Login): Repository
  /** As `readCertificates` gives it for the files that these were made with. */
  readonly certificates: string
  close(): Promise<void>
}

/** Differs when a certificate or key in one of the files does. Throws ConfigError where one cannot be read. */
export async function readCertificates({ registries }: Pick<Config, 'registries'>): Promise<string> {
  return certificatesOf(await registrySettings(registries))
}

function certificatesOf(registries: Registries): string {
  return JSON.stringify(Object.entries(registries).map(([name, { ca, cert, key }]) => [name, ca, cert, key]))
}

/** Throws ConfigError for registries that cannot be meant, or files that cannot be read. */
export async function createRegistryClients(
  config: Pick<Config, 'registries'>,
  options: RegistriesOptions,
): Promise<RegistryClients> {
  const { environment, metrics, version, ...basics } = options
  const registries = await registrySettings(config.registries)
  const client = createOciClient({
    ...basics,
    registries,
    dockerConfig: environment.dockerConfig,
    proxy: environment.proxy,
    userAgent: `longshore/${version}`,
    onRequest: (event) => metrics.remoteRequest(event.host, event.status ?? 'none'),
  })
  const opened = new Map<string, Repository>()
  return {
    certificates: certificatesOf(registries),
    repository(name, login) {
      const { username, password, plainHttp } = login
      // Opened once for each login: deployers ask at every deployment, and each one has tokens of its own.
      const key = JSON.stringify([name, username, password?.fingerprint(), plainHttp])
      const repository = opened.get(key) ?? client.repository(name, ownSettings(login))
      opened.set(key, repository)
      return repository
    },
    close: () => client.close(),
  }
}

function ownSettings({ username, password, plainHttp }: Login): RegistrySettings | undefined {
  if (username === undefined && plainHttp === undefined) return undefined
  const own = {
    ...(username === undefined ? {} : { username }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
  }
  return withSecrets(own, { password })
}
