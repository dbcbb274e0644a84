import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { StorageError } from '../../lib/errors.ts'
import { claim } from '../claim.ts'
import { migrate } from '../migrations/migrate.ts'
import { openDatabase, type OpenDatabase } from './database.ts'
import { sqliteError, waysOut } from './errors.ts'
import { takeLock } from './lock.ts'
import type { WorkerStart } from './messages.ts'
import { refuseDamagedLog } from './log.ts'
import { watchFiles } from './moved.ts'
import { giveUpSpare, keepSpare, reserveLog } from './reserve.ts'
import { snapshotTo } from './snapshot.ts'

/** The database of one folder, with its lock. */
export interface Store extends OpenDatabase {
  /** For messages. */
  file: string
  /** Throws StorageError where what is written now would be lost. */
  checkFiles(): void
  /** Copies it into a new file. */
  snapshot(to: string): Promise<void>
  close(): void
}

/** Takes the folder's lock, opens the database and brings its schema up to date. Throws StorageError. */
export async function openStore(start: WorkerStart): Promise<Store> {
  try {
    return await open(start)
  } catch (error) {
    // What the disk says where it is full depends on which file was to grow.
    const isFull = error instanceof StorageError && (error.code === 'disk_full' || error.code === 'io')
    if (!isFull || !giveUpSpare(start.path)) throw error
    return open(start)
  }
}

async function open({ path, contentId, mustExist = false }: WorkerStart): Promise<Store> {
  const unlock = takeLock(path)
  const file = join(path, 'state.db')
  let opened: OpenDatabase | undefined
  try {
    refuseDamagedLog(file)
    opened = openDatabase(file)
    const { raw, kysely } = opened
    if (mustExist) refuseEmpty(raw, file)
    await migrate(kysely, file)
    await claim(kysely, `the state in ${path}`, contentId)
    reserveLog(file)
    keepSpare(path)
    return {
      raw,
      kysely,
      file,
      checkFiles: watchFiles(file),
      snapshot: (to) => snapshotTo(file, to),
      close: () => {
        raw.close()
        // The log went with it, so there is room: the next start may find a disk that is full again.
        keepSpare(path)
        unlock()
      },
    }
  } catch (error) {
    opened?.raw.close()
    unlock()
    throw sqliteError(error, 'opening the state', file)
  }
}

/** A file that was cut to nothing, or whose log is gone, opens like a new one. */
function refuseEmpty(raw: DatabaseSync, file: string): void {
  if (raw.prepare('select 1 from sqlite_schema limit 1').get() !== undefined) return
  throw new StorageError('corrupt', `the state ${file} is empty, but there are blobs that it should know of`, {
    hint: `${waysOut(file)} Where only ${file}-wal was moved away, put it back first.`,
  })
}
