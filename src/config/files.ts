import { access, constants } from 'node:fs/promises'
import { ConfigError } from '../lib/errors.ts'
import type { Redactor } from '../lib/redact.ts'
import { Secret } from '../lib/secret.ts'
import type { Path } from './document.ts'
import type { PlacedProblem } from './issues.ts'
import type { CheckedConfig } from './schema.ts'

/** Reads every secret for the first time, and looks whether the other files that are named can be read. */
export async function checkFiles(config: CheckedConfig, redactor: Redactor): Promise<PlacedProblem[]> {
  const secrets = secretsIn(config)
  const read = await Promise.all(secrets.map(({ secret, path }) => readSecret(secret, path, redactor)))
  const readable = await Promise.all(filesOf(config).map(({ file, path }) => checkReadable(file, path)))
  return [...read.flat(), ...readable.flat(), ...checkHashes(config)]
}

async function readSecret(secret: Secret, path: Path, redactor: Redactor): Promise<PlacedProblem[]> {
  secret.introduce(redactor)
  try {
    await secret.read()
    return []
  } catch (error) {
    if (error instanceof ConfigError) return [{ path, message: error.message }]
    throw error
  }
}

async function checkReadable(file: string, path: Path): Promise<PlacedProblem[]> {
  try {
    await access(file, constants.R_OK)
    return []
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : 'permission denied'
    return [{ path, message: `cannot read ${file}: ${why}` }]
  }
}

function filesOf({ server, registries, opa }: CheckedConfig): { file: string; path: Path }[] {
  const { cert, key, client_ca } = server.tls ?? {}
  const named: [Path, string | undefined][] = [
    [['server', 'tls', 'cert'], cert],
    [['server', 'tls', 'key'], key],
    [['server', 'tls', 'client_ca'], client_ca],
    [['opa', 'path'], opa.path?.includes('/') ? opa.path : undefined],
    ...Object.entries(registries).flatMap(([match, registry]) =>
      (['ca', 'cert', 'key'] as const).map((name): [Path, string | undefined] => [
        ['registries', match, name],
        registry[name],
      ]),
    ),
  ]
  return named.flatMap(([path, file]) => (file === undefined ? [] : [{ path, file }]))
}

/** A cost beyond 14 takes seconds for each attempt. */
const bcryptHash = /^\$2[aby]\$(?:0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$/

function checkHashes({ server }: CheckedConfig): PlacedProblem[] {
  return Object.entries(server.access?.users ?? {}).flatMap(([name, { password_hash: hash }]) => {
    if (!hash.isKnown() || bcryptHash.test(hash.current())) return []
    const path = ['server', 'access', 'users', name, 'password_hash']
    return [
      {
        path,
        message: 'expected a bcrypt hash of cost 4 to 14',
        hint: `htpasswd -nB ${name} writes one behind the colon.`,
      },
    ]
  })
}

/** Every secret, and where it stands. */
export function secretsIn(config: unknown): { secret: Secret; path: Path }[] {
  const found: { secret: Secret; path: Path }[] = []
  /** Where it is: one for all, since thousands of bundles have few secrets. */
  const path: (string | number)[] = []
  const walk = (value: object): void => {
    const isList = Array.isArray(value)
    for (const [key, item] of Object.entries(value) as [string, unknown][]) {
      if (typeof item !== 'object' || item === null) continue
      path.push(isList ? Number(key) : key)
      if (item instanceof Secret) found.push({ secret: item, path: path.slice(1) })
      else walk(item)
      path.pop()
    }
  }
  walk({ config })
  return found
}
