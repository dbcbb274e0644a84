import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import { Secret } from '../lib/secret.ts'

const rereadMs = 10_000

/** Every secret that a config holds, wherever it stands. */
export function secretsOf(value: unknown): Secret[] {
  if (value instanceof Secret) return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(secretsOf)
}

/**
 * Makes all secrets of a config that say the same one and the same, and takes those that are in use already: what did not
 * change is not made anew, and must see such a secret change too.
 */
export function shareSecrets(config: object, inUse: readonly Secret[] = []): void {
  const known = new Map(inUse.map((secret) => [secret.fingerprint(), secret]))
  const share = (value: object): void => {
    for (const [key, item] of Object.entries(value) as [string, unknown][]) {
      if (item instanceof Secret) {
        const shared = known.get(item.fingerprint()) ?? item
        known.set(item.fingerprint(), shared)
        Object.assign(value, { [key]: shared })
      } else if (typeof item === 'object' && item !== null) share(item)
    }
  }
  share(config)
}

/** Reads them all, and lets the redactor know; throws ConfigError where a file cannot be read. */
export async function readSecrets(secrets: readonly Secret[], redactor: Redactor): Promise<void> {
  for (const secret of secrets) secret.introduce(redactor)
  await Promise.all(secrets.map((secret) => secret.read()))
}

/** Reads secrets that stand in files again when these change. Returns how to stop. */
export function watchSecrets(secrets: () => readonly Secret[], clock: Clock, logger: Logger): () => void {
  let cancel = clock.after(rereadMs, reread)
  let stopped = false

  function reread(): void {
    void Promise.allSettled(secrets().map((secret) => secret.read())).then((results) => {
      for (const result of results) if (result.status === 'rejected') warn(result.reason)
      if (!stopped) cancel = clock.after(rereadMs, reread)
    })
  }

  function warn(reason: unknown): void {
    logger.warn({ err: reason }, 'a secret cannot be read again; the last one stays')
  }

  return () => {
    stopped = true
    cancel()
  }
}
