import type { Config } from '../config/config.ts'
import type { Environment } from '../config/environment.ts'
import { registrySettings, withSecrets } from '../config/registries.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import type { Redactor } from '../lib/redact.ts'
import { createOciClient, type OciClient } from '../oci/client.ts'
import type { Repository } from '../oci/repository.ts'
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
  close(): Promise<void>
}

/** Throws ConfigError for registries that cannot be meant, or files that cannot be read. */
export async function createRegistryClients(
  config: Pick<Config, 'registries'>,
  options: RegistriesOptions,
): Promise<RegistryClients> {
  const { environment, metrics, version, ...basics } = options
  const registries = await registrySettings(config.registries)
  const clients: OciClient[] = []

  function connect(named: typeof registries): OciClient {
    const client = createOciClient({
      ...basics,
      registries: named,
      dockerConfig: environment.dockerConfig,
      proxy: environment.proxy,
      userAgent: `longshore/${version}`,
      onRequest: (event) => metrics.remoteRequest(event.host, event.status ?? 'none'),
    })
    clients.push(client)
    return client
  }

  const shared = connect(registries)
  return {
    repository(name, { username, password, plainHttp }) {
      if (username === undefined && plainHttp === undefined) return shared.repository(name)
      const own = {
        ...registries[name],
        ...(username === undefined ? {} : { username }),
        ...(plainHttp === undefined ? {} : { plainHttp }),
      }
      return connect({ ...registries, [name]: withSecrets(own, { password }) }).repository(name)
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()))
    },
  }
}
