import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Content } from '../content/content.ts'
import { isCorrupt } from '../content/damage.ts'
import { isMissing, onDisk } from '../content/errors.ts'
import { makeFolder } from '../content/files.ts'
import { readFileChunks } from '../content/reader.ts'
import { ConfigError, IntegrityError } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import type { Snapshot } from '../state/state.ts'
import { blobPath, digestsOf, isEmpty, noteName, type BackupNote } from './backup.ts'

export interface Restored {
  /** The folder that was filled. */
  path: string
  /** When the backup was made, in milliseconds since the epoch. */
  at: number
  blobs: number
  bytes: number
  /** Not restored, since the backup has them damaged or not at all. */
  damaged: Digest[]
}

interface Parts {
  from: string
  /** A new or empty folder. */
  to: string
  /** Throws where the backup's state is damaged, or newer than we are. */
  checkSnapshot: (file: string) => Promise<void>
  /** Opens the backup's state for reading. */
  openSnapshot: (file: string) => Snapshot
  /** Lets nobody else into the folder. Returns how to end that. */
  lock: (folder: string) => () => void
  openContent: (folder: string) => Promise<Content>
  /** The last step: from now on that file's state is the folder's. The indexes of repositories, which no backup has, are written again. */
  putState: (file: string, folder: string) => Promise<void>
  onProgress?: (bytes: number, total: number) => void
  signal?: AbortSignal
}

/**
 * Fills a folder from a backup; every blob is hashed on the way. The state comes last: as long as it is not there, no server
 * starts in that folder. Throws ConfigError where one of the two folders cannot be meant, StorageError.
 */
export async function restore(parts: Parts): Promise<Restored> {
  const { from, to } = parts
  const note = await readNote(from)
  await parts.checkSnapshot(join(from, 'state.db'))
  await onDisk({ what: 'preparing the folder', path: to }, async () => {
    if (!(await isEmpty(to))) {
      throw new ConfigError(`cannot restore into ${to}: there is something already`, {
        hint: 'Move it away, or name another folder in content.path.',
      })
    }
    await makeFolder(to)
  })
  const unlock = parts.lock(to)
  try {
    // Before the blobs: it says whose they are.
    await onDisk({ what: 'restoring', path: to }, async () => {
      await writeFile(join(to, 'id'), await readFile(join(from, 'id')), { flag: 'wx', flush: true })
    })
    const blobs = await restoreBlobs(parts, note)
    await onDisk({ what: 'restoring the state', path: to }, () => parts.putState(join(from, 'state.db'), to))
    return { path: to, at: note.at, ...blobs }
  } finally {
    unlock()
  }
}

async function readNote(from: string): Promise<BackupNote> {
  const path = join(from, noteName)
  try {
    const note = JSON.parse(await readFile(path, 'utf8')) as BackupNote
    if (note.format === 1) return note
    throw new ConfigError(`the backup ${from} was made by a newer longshore`, { hint: 'Restore it with that one.' })
  } catch (error) {
    if (error instanceof ConfigError || (!isMissing(error) && !(error instanceof SyntaxError))) throw error
    throw new ConfigError(`${from} is no whole backup: it has no ${noteName}`, {
      cause: error,
      hint: 'Name the folder that `longshore backup` wrote.',
    })
  }
}

async function restoreBlobs({ from, to, openSnapshot, openContent, onProgress, signal }: Parts, note: BackupNote) {
  const content = await openContent(to)
  const snapshot = openSnapshot(join(from, 'state.db'))
  const restored = { blobs: 0, bytes: 0, damaged: [] as Digest[] }
  try {
    for await (const digest of digestsOf(snapshot)) {
      try {
        const source = readFileChunks(blobPath(from, digest))
        restored.bytes += (await content.ingest(source, { digest, ...(signal && { signal }) })).size
        restored.blobs++
      } catch (error) {
        if (!isCorrupt(error) && !(error instanceof IntegrityError)) throw error
        restored.damaged.push(digest)
      }
      onProgress?.(restored.bytes, note.bytes)
    }
  } finally {
    snapshot.close()
    await content.close()
  }
  return restored
}
