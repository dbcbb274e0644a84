import { execFile } from 'node:child_process'
import type { LongshoreError } from '../lib/errors.ts'
import { ConfigError } from '../lib/errors.ts'
import { isObject } from './json.ts'

export type HelperVerb = 'get' | 'store' | 'erase'

/** Runs `docker-credential-<suffix> <verb>` with `input` on its standard input. Replaced in tests. */
export type RunHelper = (suffix: string, verb: HelperVerb, input: string) => Promise<HelperResult>

export interface HelperResult {
  /** `missing`: no such program on the path. */
  outcome: 'done' | 'failed' | 'missing'
  stdout: string
}

/** Keychains may ask a person to unlock them; nobody answers a daemon. */
const helperTimeoutMs = 30_000
const maxOutputBytes = 128 * 1024

export const runHelper: RunHelper = (suffix, verb, input) => {
  checkSuffix(suffix)
  return new Promise((resolve) => {
    const options = { timeout: helperTimeoutMs, maxBuffer: maxOutputBytes, windowsHide: true }
    const child = execFile(`docker-credential-${suffix}`, [verb], options, (error, stdout) => {
      const missing = error !== null && error.code === 'ENOENT'
      resolve({ outcome: error === null ? 'done' : missing ? 'missing' : 'failed', stdout })
    })
    // A helper that ends without reading must not take us along.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** It becomes part of the name of a program: it must not become a path or an option. */
function checkSuffix(suffix: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(suffix)) return
  throw new ConfigError(`not the name of a credential helper: ${JSON.stringify(suffix.slice(0, 100))}`, {
    hint: 'credsStore and credHelpers hold what follows "docker-credential-" in the name of the program.',
  })
}

export interface HelperSecret {
  username: string
  secret: string
}

/** https://github.com/docker/docker-credential-helpers: undefined when the helper knows nobody for this server. */
export function readHelperAnswer(
  suffix: string,
  server: string,
  { outcome, stdout }: HelperResult,
): HelperSecret | undefined {
  // Helpers say why on standard output, and end with 1 for all of it.
  if (outcome === 'failed' && /credentials not found|no credentials/i.test(stdout)) return undefined
  if (outcome !== 'done') throw helperError(suffix, `could not say who we are at ${server}`, outcome)
  let json: unknown
  try {
    json = JSON.parse(stdout)
  } catch {
    json = undefined
  }
  const { Username: username, Secret: secret } = isObject(json) ? json : {}
  if (typeof username !== 'string' || typeof secret !== 'string') {
    throw helperError(suffix, `answered for ${server} with something that is no credential`, 'failed')
  }
  return secret === '' ? undefined : { username, secret }
}

export function helperError(suffix: string, why: string, outcome: HelperResult['outcome']): LongshoreError {
  const program = `docker-credential-${suffix}`
  return new ConfigError(
    outcome === 'missing' ? `${program}, which the docker config names, is not installed` : `${program} ${why}`,
    {
      code: 'credential_helper',
      hint: `Install ${program}, set credentials under registries, or take it out of the docker config.`,
    },
  )
}
