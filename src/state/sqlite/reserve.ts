import { closeSync, existsSync, fstatSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** As much as the log holds before its pages go to the database: from then on it is used again from its beginning. */
const logBytes = 4 * 1024 ** 2
/** More than a start needs to open the state: an index of its log, the log's first pages. */
const spareBytes = 1024 ** 2
const piece = Buffer.alloc(256 * 1024)
const spareOf = (folder: string) => join(folder, 'spare')

/**
 * Makes the log of an open database (`-wal`) as large as it may get: where the disk is full, the state can go on, and a
 * collection can make room. What stands behind the log's last frame is read by nobody: its checksum is wrong
 * (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). Only while nobody writes to the database.
 */
export function reserveLog(file: string): void {
  // Without it, the log has what there is.
  fill(`${file}-wal`, 'r+', logBytes)
}

/** A state that was closed has no log: so that it can be opened where the disk has become full since, something is kept to give up. */
export function keepSpare(folder: string): void {
  const path = spareOf(folder)
  // Half of it would help nobody.
  if (!existsSync(path) && !fill(path, 'wx', spareBytes)) giveUpSpare(folder)
}

/** False where there is none. */
export function giveUpSpare(folder: string): boolean {
  const isThere = existsSync(spareOf(folder))
  rmSync(spareOf(folder), { force: true })
  return isThere
}

/** Appends zeros to a file until it is so large; false where that is not possible. */
function fill(path: string, flag: 'r+' | 'wx', bytes: number): boolean {
  let file: number | undefined
  try {
    file = openSync(path, flag)
    for (let at = fstatSync(file).size; at < bytes;) {
      at += writeSync(file, piece, 0, Math.min(piece.length, bytes - at), at)
    }
    return true
  } catch {
    return false
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
