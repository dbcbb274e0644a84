import { randomUUID } from 'node:crypto'
import { copyFile, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { PostgresConfig } from '../config/config.ts'
import { contentId } from '../content/files.ts'
import type { Clock } from '../lib/clock.ts'
import { silentLogger, type Logger } from '../lib/logger.ts'
import type { Redactor } from '../lib/redact.ts'
import type { OpenOptions } from '../state/postgres/client.ts'
import type { State } from '../state/state.ts'

interface Parts {
  clock: Clock
  logger: Logger
  redactor: Redactor
}

/** The state in Postgres of the content in `folder`. */
export async function openPostgres(
  config: PostgresConfig,
  folder: string,
  { clock, logger, redactor }: Parts,
  how: Pick<OpenOptions, 'standby' | 'agree' | 'fill'>,
): Promise<State> {
  const { createPostgresState } = await import('../state/postgres/client.ts')
  // For a person: `web-1 (process 4711)`.
  const holder = { id: randomUUID(), title: `${hostname()} (process ${process.pid})` }
  const options = { ...config, clock, logger, redactor, holder, contentId: await contentId(folder) }
  return createPostgresState({ ...options, ...how })
}

/** Makes a backup's state that of the database. */
export async function fillDatabase(
  config: PostgresConfig,
  { file, folder }: { file: string; folder: string },
  { clock, redactor }: Omit<Parts, 'logger'>,
): Promise<void> {
  const { upgradeSnapshot } = await import('../state/sqlite/snapshot.ts')
  const fill = join(folder, 'state.db.part')
  await copyFile(file, fill)
  try {
    // It may be of an older longshore.
    await upgradeSnapshot(fill)
    const state = await openPostgres(config, folder, { clock, redactor, logger: silentLogger }, { fill })
    await state.close()
  } finally {
    await rm(fill, { force: true })
  }
}

/** Throws StorageError `foreign` where there is a state in it already. */
export async function refuseFullDatabase(config: PostgresConfig, { redactor }: Omit<Parts, 'logger'>): Promise<void> {
  const { refuseFull } = await import('../state/postgres/client.ts')
  await refuseFull(config, redactor)
}
