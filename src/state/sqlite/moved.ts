import { statSync } from 'node:fs'
import { StorageError } from '../../lib/errors.ts'
import { waysOut } from './errors.ts'

/**
 * SQLite writes on to a database, or to its log, that somebody removed or replaced: what is committed then is gone with the process.
 * What this returns throws StorageError `io` where that happened to an open one, by the number of the file, as SQLite itself tells
 * where there is no log (https://www.sqlite.org/rescode.html#readonly_dbmoved).
 */
export function watchFiles(file: string): () => void {
  const files = [file, `${file}-wal`].map((path) => ({ path, number: numberOf(path) }))
  return () => {
    for (const { path, number } of files) {
      if (numberOf(path) === number) continue
      throw new StorageError('io', `${path} was removed or replaced while longshore uses it: nothing can be kept`, {
        hint: `Put it back, or stop longshore. ${waysOut(file)}`,
      })
    }
  }
}

function numberOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}
