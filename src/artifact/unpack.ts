import { randomUUID } from 'node:crypto'
import { lstat, mkdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { StorageError } from '../lib/errors.ts'
import { makeFolders } from '../lib/folders.ts'
import type { RawManifest, Source } from '../oci/target.ts'
import { describeDisk } from './disk.ts'
import { defaultLimits } from './limits.ts'
import { parentsOf } from './names.ts'
import { partsOf, stageParts, type StagedFile } from './stage.ts'
import type { ArchiveLimits } from './types.ts'

export interface UnpackOptions {
  limits?: ArchiveLimits
  signal?: AbortSignal
}

/**
 * Writes an artifact's files into `folder`, never outside of it. A titled layer becomes a file, one that is marked for
 * unpacking a folder, untitled layers of an image (or an OPA bundle's) are laid on each other at the top. Everything is
 * fetched, verified and written aside first. A new folder then appears in one step; in one that is there, which may be
 * somebody's working directory or a mount point, each file is replaced in one step, and what the artifact does not hold stays.
 * Returns the files' paths. Throws RemoteError, IntegrityError; StorageError when the folder does not allow it.
 */
export async function unpackArtifact(
  raw: RawManifest,
  source: Pick<Source, 'blob'>,
  folder: string,
  options: UnpackOptions = {},
): Promise<string[]> {
  const { limits = defaultLimits, signal } = options
  const parts = partsOf(raw, 'lay')
  const target = await targetOf(folder)
  const aside = target.isNew ? `${target.path}.${randomUUID()}` : join(target.path, `.longshore-${randomUUID()}`)
  try {
    await makeFolders(aside)
    const staged = await stageParts(parts, source, aside, { limits, signal, leadingSlash: 'refuse' })
    if (target.isNew) {
      const ready = join(aside, 'ready')
      await mkdir(ready)
      await moveInto(ready, staged)
      await rename(ready, target.path)
    } else await moveInto(target.path, staged)
    return staged.map(({ path }) => path)
  } catch (error) {
    throw describeDisk(error, folder)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

/** The folder itself may be a link: whoever named it meant that. */
async function targetOf(folder: string): Promise<{ path: string; isNew: boolean }> {
  const path = resolve(folder)
  try {
    if ((await stat(path)).isDirectory()) return { path: await realpath(path), isNew: false }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { path, isNew: true }
    throw refuse(folder, code === 'ENOTDIR' ? 'it is a file' : (error as Error).message, error)
  }
  throw refuse(folder, 'it is a file')
}

/** All paths are looked at before the first file is moved. */
async function moveInto(target: string, staged: readonly StagedFile[]): Promise<void> {
  const folders = new Set(staged.flatMap(({ path }) => parentsOf(path)))
  for (const path of folders) await refuseUnless(join(target, path), 'folder')
  for (const { path } of staged) await refuseUnless(join(target, path), 'file')
  for (const path of folders) await makeFolders(join(target, path))
  for (const { path, waiting } of staged) if (waiting !== null) await rename(waiting, join(target, path))
}

/** What is there must be nothing or of this kind. A link in place of a folder would lead outside (GHSA-8xwf-rjm4-xvhv); one in place of a file is replaced, not followed. */
async function refuseUnless(path: string, kind: 'folder' | 'file'): Promise<void> {
  let isFolder: boolean
  try {
    isFolder = (await lstat(path)).isDirectory()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if (isFolder !== (kind === 'folder')) {
    throw refuse(
      path,
      kind === 'folder' ? 'it is a link or a file where a folder must be' : 'it is a folder where a file must be',
    )
  }
}

function refuse(path: string, why: string, cause?: unknown): StorageError {
  return new StorageError('io', `cannot unpack to ${path}: ${why}`, { cause })
}
