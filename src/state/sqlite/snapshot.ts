import { open } from 'node:fs/promises'
import { backup, DatabaseSync } from 'node:sqlite'
import { listOperations } from '../operations/lists.ts'
import { openReadOnly } from './database.ts'
import { sqliteError } from './errors.ts'
import type { Snapshot } from '../state.ts'

/** In one step: between two, another connection's write would have it begin again. */
const allPages = 2 ** 30

/**
 * Copies the open database as it is now into a new file, by a connection of its own, beside what goes on. The copy is one file,
 * without a log, and on the disk when this resolves.
 */
export async function snapshotTo(file: string, to: string): Promise<void> {
  const source = new DatabaseSync(file, { readOnly: true })
  try {
    await backup(source, to, { rate: allPages })
  } catch (error) {
    throw sqliteError(error, 'copying the state', to)
  } finally {
    source.close()
  }
  const copy = new DatabaseSync(to)
  try {
    copy.exec('pragma journal_mode = delete')
  } finally {
    copy.close()
  }
  const handle = await open(to, 'r')
  await handle.sync().finally(() => handle.close())
}

/** What a copied state says is there. */
export function openSnapshot(file: string): Snapshot {
  const { raw, kysely } = openReadOnly(file)
  return {
    digests: (page) => listOperations.digests(kysely, page),
    close: () => {
      raw.close()
    },
  }
}

/** In a folder that has blobs but no indexes: all of them are to be written again. */
export function forgetIndexes(file: string): void {
  const database = new DatabaseSync(file)
  try {
    database.exec('update repositories set indexed = version - 1')
  } finally {
    database.close()
  }
}
