import { randomUUID } from 'node:crypto'
import { link, open, readdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolders } from '../lib/folders.ts'
import { writeAll } from '../lib/write-all.ts'
import { codeOf, isMissing, onDisk } from './errors.ts'

/** A new file that is written from its start, in order. */
export interface NewFile {
  /** Writes all of the bytes at `position`. */
  write(buffers: Uint8Array[], position: number): Promise<void>
  /** Brings what was written so far to the disk, so that `sync` has less to do. */
  flush(): Promise<void>
  truncate(size: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

/** The steps whose order makes a blob durable, injected so that a test can watch them and make them fail. */
export interface FileSteps {
  create(path: string): Promise<NewFile>
  rename(from: string, to: string): Promise<void>
  syncFolder(path: string): Promise<void>
  remove(path: string): Promise<void>
  /** At most so many bytes can be written in this folder. */
  freeBytes(path: string): Promise<number>
}

export const fileSteps: FileSteps = {
  create: createFile,
  rename: (from, to) => rename(from, to),
  syncFolder,
  remove: (path) => rm(path, { force: true }),
  freeBytes,
}

/** With what is kept back for root: who may not have that finds out when writing. */
async function freeBytes(path: string): Promise<number> {
  const { blocks, bfree, bsize } = await statfs(path)
  // Some file systems of a network do not say.
  return blocks === 0 ? Infinity : bfree * bsize
}

async function createFile(path: string): Promise<NewFile> {
  const handle = await open(path, 'wx+')
  return {
    write: (buffers, position) => writeAll(handle, buffers, position),
    flush: () => handle.datasync(),
    truncate: (size) => handle.truncate(size),
    sync: () => handle.sync(),
    close: () => handle.close(),
  }
}

/** Makes what was created, renamed or removed in the folder survive a loss of power. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes the folder and those above it, durably. */
export async function makeFolder(path: string): Promise<void> {
  const absolute = resolve(path)
  const first = await makeFolders(absolute)
  if (first === undefined) return
  const top = dirname(resolve(first))
  for (let at = dirname(absolute); at.length >= top.length && at !== dirname(at); at = dirname(at)) await syncFolder(at)
}

export async function emptyFolder(path: string): Promise<void> {
  for (const name of await readdir(path)) await rm(join(path, name), { recursive: true, force: true })
}

/**
 * The id of a content folder, made at the first call, so that a state can tell its own folder from another's.
 * Changes nothing else, so it may be asked before the lock is held.
 */
export async function contentId(folder: string): Promise<string> {
  const path = join(folder, 'id')
  return onDisk({ what: "reading the content folder's id", path }, async () => {
    await makeFolder(folder)
    return (await readId(path)) ?? (await writeId(folder, path))
  })
}

async function readId(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim()
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function writeId(folder: string, path: string): Promise<string> {
  const id = randomUUID()
  const aside = join(folder, `id.${id}`)
  await writeFile(aside, `${id}\n`, { flag: 'wx', flush: true })
  try {
    // Unlike a rename, a link never replaces the id that another process wrote in the meantime.
    await link(aside, path)
    await syncFolder(folder)
    return id
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    return (await readFile(path, 'utf8')).trim()
  } finally {
    await rm(aside, { force: true })
  }
}
