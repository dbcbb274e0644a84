import { constants, copyFile, link, open, readdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, isAbsolute, join, relative } from 'node:path'
import type { Content } from '../content/content.ts'
import { codeOf, isMissing, onDisk } from '../content/errors.ts'
import { contentId, makeFolder, syncFolder } from '../content/files.ts'
import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'
import { makeFolders } from '../lib/folders.ts'
import type { Digest } from '../oci/digest.ts'
import type { Snapshot, State } from '../state/state.ts'

/** What `backup.json` says; it is written last, so a backup that has it is whole. */
export interface BackupNote {
  format: 1
  /** Milliseconds since the epoch. */
  at: number
  blobs: number
  bytes: number
}

export interface BackedUp {
  /** Absolute. */
  path: string
  blobs: number
  bytes: number
  /** Blobs that the state names and that could not be found: the folder is damaged, and the backup with it. */
  missing: Digest[]
}

interface Parts {
  /** The content folder. */
  folder: string
  content: Pick<Content, 'file' | 'stat'>
  state: Pick<State, 'snapshot'>
  clock: Clock
  /** A test may have it fail, as between two file systems. */
  linkFile?: typeof link
}

export const noteName = 'backup.json'
const pageLength = 500

/**
 * State and blobs together, as they are at one moment, into a new or empty folder: hard links where it is on the same file
 * system (blobs never change), else copies. No collection may run meanwhile. Throws ConfigError for a folder that cannot be
 * meant, StorageError; then what was begun is gone again.
 */
export async function backUp(parts: Parts, to: string, signal?: AbortSignal): Promise<BackedUp> {
  const made = await prepareTarget(parts.folder, to)
  try {
    return await write(parts, to, signal)
  } catch (error) {
    for (const name of ['blobs', 'state.db', partName, 'id', noteName]) {
      await rm(join(to, name), { recursive: true, force: true }).catch(() => undefined)
    }
    if (made) await rmdir(to).catch(() => undefined)
    throw error
  }
}

const partName = 'state.db.part'

async function write(parts: Parts, to: string, signal?: AbortSignal): Promise<BackedUp> {
  const { folder, state, clock } = parts
  const at = clock.now()
  const snapshot = await state.snapshot(join(to, partName))
  const copied = { blobs: 0, bytes: 0, missing: [] as Digest[] }
  try {
    for await (const digest of digestsOf(snapshot)) {
      signal?.throwIfAborted()
      const bytes = await copyBlob(parts, digest, to)
      if (bytes === undefined) copied.missing.push(digest)
      else {
        copied.blobs++
        copied.bytes += bytes
      }
    }
  } finally {
    snapshot.close()
  }
  const id = await contentId(folder)
  await onDisk({ what: 'writing the backup', path: to }, async () => {
    for (const name of await readdir(join(to, 'blobs')).catch(() => [])) await syncFolder(join(to, 'blobs', name))
    await writeFile(join(to, 'id'), `${id}\n`, { flush: true })
    await rename(join(to, partName), join(to, 'state.db'))
    const note: BackupNote = { format: 1, at, blobs: copied.blobs, bytes: copied.bytes }
    await writeFile(join(to, noteName), `${JSON.stringify(note)}\n`, { flush: true })
    await syncFolder(to)
  })
  return { path: to, ...copied }
}

export async function* digestsOf(snapshot: Snapshot): AsyncIterable<Digest> {
  let after = ''
  for (;;) {
    const page = await snapshot.digests({ after, limit: pageLength })
    for (const { digest } of page) yield digest
    if (page.length < pageLength) return
    after = page.at(-1)!.digest
  }
}

export function blobPath(folder: string, digest: Digest): string {
  const [algorithm, hex] = digest.split(':') as [string, string]
  return join(folder, 'blobs', algorithm, hex)
}

/** Its size; undefined when it is not there. */
async function copyBlob({ content, linkFile = link }: Parts, digest: Digest, to: string): Promise<number | undefined> {
  const stored = await content.stat(digest)
  if (stored === undefined) return undefined
  const from = await content.file(digest)
  const path = blobPath(to, digest)
  await onDisk({ what: `copying blob ${digest}`, path }, async () => {
    await makeFolder(dirname(path))
    try {
      await linkFile(from, path)
    } catch (error) {
      if (!notLinkable.has(codeOf(error) ?? '')) throw error
      await copyFile(from, path, constants.COPYFILE_FICLONE)
      const handle = await open(path, 'r')
      await handle.sync().finally(() => handle.close())
    }
  })
  return stored.size
}

/** Another file system, one without links, or one file with too many of them. */
const notLinkable = new Set(['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** True when the folder is new. */
async function prepareTarget(folder: string, to: string): Promise<boolean> {
  const refuse = (why: string) => new ConfigError(`cannot back up to ${to}: ${why}`, { hint: 'Name a new folder.' })
  if (!isAbsolute(to)) throw refuse('the path has to be absolute')
  if (!relative(folder, to).startsWith('..')) throw refuse('that is inside of the data folder')
  return onDisk({ what: 'preparing the folder of the backup', path: to }, async () => {
    if (!(await isEmpty(to))) throw refuse('there is something already')
    return (await makeFolders(to)) !== undefined
  })
}

/** Also when there is none. */
export async function isEmpty(folder: string): Promise<boolean> {
  try {
    if (!(await stat(folder)).isDirectory()) return false
    return (await readdir(folder)).length === 0
  } catch (error) {
    if (isMissing(error)) return true
    throw error
  }
}
