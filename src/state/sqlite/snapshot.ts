import { copyFile, open, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { listOperations } from '../operations/lists.ts'
import { StorageError } from '../../lib/errors.ts'
import { migrate, readVersion, refuseNewer } from '../migrations/migrate.ts'
import { openDatabase, openReadOnly, type OpenDatabase } from './database.ts'
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
  await flush(to)
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

/** Throws StorageError where a copied state is none of ours, is damaged, or is of a newer longshore. Nothing is changed. */
export async function checkSnapshot(file: string): Promise<void> {
  let opened: OpenDatabase | undefined
  try {
    opened = openReadOnly(file)
    const { raw, kysely } = opened
    const [first] = raw.prepare('pragma quick_check(1)').all() as { quick_check: string }[]
    if (first?.quick_check !== 'ok') throw damaged(file)
    if (raw.prepare("select 1 from sqlite_schema where name = 'schema_version'").get() === undefined)
      throw damaged(file)
    refuseNewer(await readVersion(kysely), file)
  } catch (error) {
    const ours = sqliteError(error, 'opening the state of the backup', file)
    throw ours instanceof StorageError && ours.code === 'corrupt' ? damaged(file, error) : ours
  } finally {
    opened?.raw.close()
  }
}

function damaged(file: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', `the state of the backup, ${file}, is damaged`, {
    cause,
    hint: 'Restore another backup: what blobs are for stands in its state alone.',
  })
}

/** Brings the schema of a snapshot up to date. It stays one file. */
export async function upgradeSnapshot(file: string): Promise<void> {
  const { raw, kysely } = openDatabase(file)
  try {
    await migrate(kysely, file)
    raw.exec('pragma journal_mode = delete')
  } finally {
    raw.close()
  }
}

/** Makes a snapshot the state of a folder, whose indexes are all to be written again. */
export async function putSnapshot(snapshot: string, folder: string): Promise<void> {
  const [part, path] = [join(folder, 'state.db.part'), join(folder, 'state.db')]
  try {
    await copyFile(snapshot, part)
    const database = new DatabaseSync(part)
    try {
      database.exec('update repositories set indexed = version - 1')
    } finally {
      database.close()
    }
    await flush(part)
    await rename(part, path)
    await flush(folder)
  } catch (error) {
    throw sqliteError(error, 'restoring the state', path)
  }
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync().finally(() => handle.close())
}
