import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { StorageError } from '../../lib/errors.ts'
import { waysOut } from './errors.ts'

/** https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
const headerBytes = 32
const frameHeaderBytes = 24
const littleEndian = 0x377f0682
const bigEndian = 0x377f0683
const maxPageBytes = 65_536

interface Sums {
  first: number
  second: number
}

/**
 * Throws StorageError `corrupt` where the log of a database that was not closed is damaged before changes that are known to have
 * been on the disk: SQLite would end its replay there, without a word, and they would never have been. What a loss of power leaves
 * of the last change is no damage: a change has been synced for certain only where another one was begun after it. So damage of
 * the last two changes is not told from that.
 */
export function refuseDamagedLog(file: string): void {
  // Beside an empty database SQLite begins anew.
  if (sizeOf(file) === 0 || sizeOf(`${file}-wal`) === 0) return
  const lost = countLostIn(`${file}-wal`)
  if (lost === 0) return
  throw new StorageError('corrupt', `${file}-wal is damaged before at least ${lost} changes that were acknowledged`, {
    hint: `Nothing was changed. ${waysOut(file)}`,
  })
}

function countLostIn(path: string): number {
  let log: number | undefined
  try {
    log = openSync(path, 'r')
    return countLost(log)
  } catch {
    // SQLite reads it next, and says why it cannot.
    return 0
  } finally {
    if (log !== undefined) closeSync(log)
  }
}

/** Whole changes behind the first broken frame after which another one was begun. */
function countLost(log: number): number {
  const header = readAt(log, 0, headerBytes)
  const kind = header?.getUint32(0)
  if (header === undefined || (kind !== littleEndian && kind !== bigEndian)) return 0
  const isLittle = kind === littleEndian
  const frameBytes = frameHeaderBytes + header.getUint32(8)
  let before = sumsAt(header, 24)
  // It was about to be begun anew: all of it is in the database.
  if (!same(sum({ first: 0, second: 0 }, header, 0, 24), before)) return 0
  let [isBroken, endsChange, lost] = [false, false, 0]
  for (let at = headerBytes; frameBytes <= frameHeaderBytes + maxPageBytes; at += frameBytes) {
    const frame = readAt(log, at, frameBytes)
    if (frame === undefined) return lost
    const follows = isNext(frame, before)
    // What was taken back, or is older, goes on from nothing that stands here, or ends no change, or nothing goes on from it.
    if (isBroken && endsChange && follows) lost++
    endsChange = isBroken && follows && frame.getUint32(4) !== 0
    isBroken ||= !follows
    before = sumsAt(frame, 16)
  }
  return lost

  /** Whether it is of this round of the log, and its sums go on from those that the one before it has. */
  function isNext(frame: DataView, { first, second }: Sums): boolean {
    const isOfRound = [0, 4].every((at) => frame.getUint32(8 + at) === header!.getUint32(16 + at))
    if (!isOfRound) return false
    const sums = sum(sum({ first, second }, frame, 0, 8), frame, frameHeaderBytes, frameBytes)
    return same(sums, sumsAt(frame, 16))
  }

  /** https://www.sqlite.org/fileformat2.html#checksum_algorithm */
  function sum({ first, second }: Sums, bytes: DataView, from: number, to: number): Sums {
    for (let at = from; at < to; at += 8) {
      first = (first + bytes.getUint32(at, isLittle) + second) >>> 0
      second = (second + bytes.getUint32(at + 4, isLittle) + first) >>> 0
    }
    return { first, second }
  }
}

function sumsAt(bytes: DataView, at: number): Sums {
  return { first: bytes.getUint32(at), second: bytes.getUint32(at + 4) }
}

function same(one: Sums, other: Sums): boolean {
  return one.first === other.first && one.second === other.second
}

/** Undefined where it ends before that. */
function readAt(file: number, at: number, length: number): DataView | undefined {
  const bytes = new DataView(new ArrayBuffer(length))
  return readSync(file, bytes, 0, length, at) === length ? bytes : undefined
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
