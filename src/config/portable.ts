import { Secret, type SecretSource } from '../lib/secret.ts'
import type { Config } from './config.ts'
import type { Path } from './document.ts'
import { secretsIn } from './files.ts'

/** A config on its way between threads. Its secrets travel beside it: they would lose their class. */
export interface PortableConfig {
  config: Config
  secrets: { path: Path; source: SecretSource }[]
}

export function packConfig(config: Config): PortableConfig {
  return { config, secrets: secretsIn(config).map(({ secret, path }) => ({ path, source: secret.source })) }
}

/** Changes and returns what came. */
export function unpackConfig({ config, secrets }: PortableConfig): Config {
  for (const { path, source } of secrets) {
    const holder = path.slice(0, -1).reduce<unknown>((value, key) => (value as Holder)[key], config) as Holder
    holder[path.at(-1)!] = new Secret(source)
  }
  return config
}

type Holder = Record<string | number, unknown>
