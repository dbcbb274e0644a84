import { chmod, chown, lstat, mkdir, realpath } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { basename, dirname, join, relative, sep } from 'node:path'
import { StorageError } from '../../lib/errors.ts'
import { ownFolder, syncFolder } from './ledger.ts'
import type { FolderSpec } from './types.ts'

type Access = Pick<FolderSpec, 'folderMode' | 'uid' | 'gid'>

/** Of what we keep for ourselves. */
export const ownAccess: Access = { folderMode: 0o755, uid: null, gid: null }

/**
 * The folder without links, made where it is missing if `access` says how. Undefined where it is missing and is not to be made.
 * Throws StorageError where a file, or a link that nobody vouches for, is in the way.
 */
export async function openTarget(
  path: string,
  within: string | null,
  access: Access | null,
): Promise<string | undefined> {
  const vouched = within ?? path
  const base = await realFolder(vouched, access)
  if (base === undefined) return undefined
  const real = await enterFolder(base, partsOf(relative(vouched, path)), access)
  if (real?.split(sep).includes(ownFolder) === true) {
    throw refuse(path, `it leads into ${real}, which mode: swap made`, 'Choose another path, or remove the link.')
  }
  return real
}

/** Below `base`, one folder after the other: none of them may be a link. Undefined where one is missing and is not to be made. */
export async function enterFolder(
  base: string,
  parts: readonly string[],
  access: Access | null,
): Promise<string | undefined> {
  let at = base
  for (const part of parts) {
    at = join(at, part)
    const found = await lookAt(at)
    if (found === undefined && access === null) return undefined
    if (found === undefined) await makeFolder(at, access!)
    else if (!found.isDirectory()) throw refuse(at, describeInTheWay(found))
  }
  return at
}

export function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== '')
}

/** Undefined where there is nothing. */
export async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** A link that came since somebody looked must not lead a file elsewhere. */
export async function refuseMoved(folder: string): Promise<void> {
  if ((await realpath(folder)) !== folder) throw refuse(folder, 'a link is on the way')
}

export async function setOwner(path: string, { uid, gid }: Pick<Access, 'uid' | 'gid'>): Promise<void> {
  if (uid !== null || gid !== null) await chown(path, uid ?? -1, gid ?? -1)
}

export function refuse(path: string, why: string, hint?: string): StorageError {
  return new StorageError('io', `cannot write to ${path}: ${why}`, hint === undefined ? {} : { hint })
}

async function realFolder(path: string, access: Access | null): Promise<string | undefined> {
  const real = await realpath(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT')
      throw error.code === 'ENOTDIR' ? refuse(path, 'a file is where a folder must be') : error
    return undefined
  })
  if (real !== undefined) {
    if ((await lstat(real)).isDirectory()) return real
    throw refuse(path, 'it is a file where a folder must be')
  }
  if (access === null) return undefined
  if ((await lookAt(path)) !== undefined) throw refuse(path, 'it is a link that leads nowhere')
  const made = join((await realFolder(dirname(path), access))!, basename(path))
  await makeFolder(made, access)
  return made
}

async function makeFolder(path: string, access: Access): Promise<void> {
  await mkdir(path)
  await chmod(path, access.folderMode)
  await setOwner(path, access)
  await syncFolder(dirname(path))
}

function describeInTheWay(found: Stats): string {
  return found.isSymbolicLink() ? 'it is a link, and links are not followed' : 'it is a file where a folder must be'
}
