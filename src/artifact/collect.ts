import { createReadStream, type Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, join, matchesGlob } from 'node:path'
import { ConfigError, IntegrityError } from '../lib/errors.ts'
import { roleOf } from '../opa/files.ts'
import type { Spool } from './spool.ts'
import type { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

export interface FoundFile {
  /** Relative to the folder, `/` between parts. */
  path: string
  /** Where it is. */
  source: string
}

export interface Found {
  files: FoundFile[]
  /** Paths that were left out although nobody asked for it: links, devices. */
  skipped: string[]
}

/** Files below the folder, sorted; links are not followed. `leaveOut` is asked for files and folders. ConfigError where there is no such folder. */
export async function findFiles(folder: string, leaveOut: (path: string) => boolean): Promise<Found> {
  const found: Found = { files: [], skipped: [] }
  const visit = async (inner: string): Promise<void> => {
    for (const entry of sorted(await readdir(join(folder, inner), { withFileTypes: true }))) {
      const path = inner === '' ? entry.name : `${inner}/${entry.name}`
      if (leaveOut(path)) continue
      if (entry.isDirectory()) await visit(path)
      else if (entry.isFile()) found.files.push({ path, source: join(folder, path) })
      else found.skipped.push(path)
    }
  }
  await visit('').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
    throw new ConfigError(`${folder} ${error.code === 'ENOENT' ? 'is not there' : 'is no folder'}`, { cause: error })
  })
  return found
}

/** Hidden files have no place in a bundle (`.git`, `.env`), except the few that OPA knows. */
export function isHidden(path: string): boolean {
  return basename(path).startsWith('.') && roleOf(path) === undefined
}

/** Patterns as `*.md`, `docs/**`: against the whole path, and without a slash against the name alone. */
export function matchesAny(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => matchesGlob(pattern.includes('/') ? path : basename(path), pattern))
}

/** Copies the files into the spool, where nobody changes them, and the tree. Throws IntegrityError beyond a limit. */
export async function addFiles(
  tree: FileTree,
  spool: Spool,
  files: readonly FoundFile[],
  options: { from: string; prefix: string; limits: ArchiveLimits; signal?: AbortSignal | undefined },
): Promise<void> {
  const { from, prefix, limits, signal } = options
  if (files.length > limits.maxEntries) {
    throw new IntegrityError('bad_archive', `${from} holds ${files.length} files, more than ${limits.maxEntries}`)
  }
  for (const { path, source } of files) {
    const { size, mode } = await stat(source)
    if (size > limits.maxFileBytes) {
      throw new IntegrityError('bad_archive', `${source} has ${size} bytes, more than ${limits.maxFileBytes}`, {
        file: path,
      })
    }
    const slice = await spool.add(createReadStream(source, { ...(signal && { signal }) }) as AsyncIterable<Buffer>)
    tree.add(`${prefix}${path}`, { ...slice, executable: (mode & 0o111) !== 0, from })
  }
}

function sorted(entries: Dirent[]): Dirent[] {
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
}
