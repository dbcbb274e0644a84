import { logFields } from '../lib/errors.ts'
import type { Logger } from '../lib/logger.ts'
import type { Look, Release } from '../model/release.ts'

/** What the log says of a look; loudly only what the one before did not say. `error`: why it failed. */
export function sayLook(
  logger: Logger,
  look: Look,
  { current, isNews, error }: { current: Release | null; isNews: boolean; error: unknown },
): void {
  const { outcome, version, fingerprint, message, failures, code } = look
  if (outcome === 'released') {
    const { number, reason } = current!
    return logger.info({ release: number, version, reason, fingerprint }, `release ${number}: ${version}`)
  }
  if (outcome === 'unchanged') return logger.debug({ version, fingerprint }, 'nothing new')
  const fields = { version, fingerprint, failures, ...(outcome === 'failed' ? logFields(error) : { code }) }
  logger[isNews ? 'warn' : 'debug'](fields, `${outcome}: ${message}`)
}
