import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { StorageError } from '../../lib/errors.ts'
import { sqliteError } from './errors.ts'

/**
 * SQLite's exclusive lock on `lock.db`, which the kernel frees however this process ends. Nobody in this process may open
 * and close that file by other means: with POSIX locks, that would free it too.
 */
export function takeLock(path: string): () => void {
  return hold(path, (lock) => lock.exec('begin exclusive'))
}

/** Beside others that share the folder because they share a state elsewhere; never beside one that has its state here. */
export function shareLock(path: string): () => void {
  return hold(path, (lock) => {
    lock.exec('begin')
    // Only who has read holds it.
    lock.prepare('select count(*) from sqlite_schema').get()
  })
}

function hold(path: string, take: (lock: DatabaseSync) => void): () => void {
  const file = join(path, 'lock.db')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file)
    take(lock)
  } catch (error) {
    lock?.close()
    const ours = sqliteError(error, 'locking the folder', file)
    if (!(ours instanceof StorageError) || ours.code !== 'locked') throw ours
    throw new StorageError('locked', `the folder ${path} is in use by another longshore`, {
      cause: error,
      hint: 'Stop that one first, or give this one a folder of its own (content.path).',
    })
  }
  const held = lock
  return () => {
    held.close()
  }
}
