import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Holds one lock across processes while `work` runs. SQLite's lock is the kernel's: it goes when its process goes, so
 * that a killed build blocks nobody. `onWait` is called once if another process holds it.
 */
export async function whileLocked<T>(file: string, onWait: () => void, work: () => T): Promise<T> {
  mkdirSync(dirname(file), { recursive: true })
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    if (!tryLock(database)) {
      onWait()
      while (!tryLock(database)) await sleep(250)
    }
    return work()
  } finally {
    database.close()
  }
}

const sqliteBusy = 5

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if ((error as { errcode?: number }).errcode === sqliteBusy) return false
    throw error
  }
}
