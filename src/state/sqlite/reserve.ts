import { closeSync, fstatSync, openSync, writeSync } from 'node:fs'

/** As much as the log holds before its pages go to the database: from then on it is used again from its beginning. */
const reservedBytes = 4 * 1024 ** 2
const piece = Buffer.alloc(256 * 1024)

/**
 * Makes the log of an open database (`-wal`) as large as it may get: where the disk is full, the state can go on, and a
 * collection can make room. What stands behind the log's last frame is read by nobody: its checksum is wrong
 * (https://www.sqlite.org/fileformat2.html#the_write_ahead_log). Only while nobody writes to the database.
 */
export function reserveLog(file: string): void {
  let log: number | undefined
  try {
    log = openSync(`${file}-wal`, 'r+')
    for (let at = fstatSync(log).size; at < reservedBytes;) {
      at += writeSync(log, piece, 0, Math.min(piece.length, reservedBytes - at), at)
    }
  } catch {
    // Then it has what there is.
  } finally {
    if (log !== undefined) closeSync(log)
  }
}
