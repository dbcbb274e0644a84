import type { Environment } from '../config/environment.ts'
import { ConfigError } from '../lib/errors.ts'
import { canonicalHost, isHost } from '../oci/reference.ts'

/** The argument of `login` and `logout`. Throws ConfigError. */
export function registryHost(text: string): string {
  if (isHost(text)) return canonicalHost(text)
  const bare = text.replace(/^[a-z]+:\/\//i, '').split('/')[0] ?? ''
  throw new ConfigError(`not a registry's host: ${JSON.stringify(text.slice(0, 300))}`, {
    code: 'usage',
    hint: isHost(bare) ? `Write it as ${bare}.` : 'Write it as registry.example.com or localhost:5000.',
  })
}

/** Where credentials are kept. Throws ConfigError where the environment names no place. */
export function dockerConfigFile({ dockerConfigFile: path }: Environment): string {
  if (path !== undefined) return path
  throw new ConfigError('there is no place to keep credentials: neither DOCKER_CONFIG nor HOME is set', {
    hint: 'Set DOCKER_CONFIG to a folder.',
  })
}
