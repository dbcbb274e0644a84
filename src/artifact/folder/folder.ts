import { describeDisk } from '../disk.ts'
import { dropFiles, dropSwapped } from './drop.ts'
import { holdsFiles, putFiles } from './files.ts'
import { holdsSwapped, putSwapped } from './swap.ts'
import type { Change, FolderContent, FolderSpec, Held } from './types.ts'

/** What `owner` has in the folder; undefined where it has nothing. Writes nothing. Throws StorageError. */
export async function lookIntoFolder(spec: FolderSpec, owner: string, signal?: AbortSignal): Promise<Held | undefined> {
  return onDisk(spec, () => (spec.mode === 'files' ? holdsFiles : holdsSwapped)(spec, owner, signal))
}

/**
 * Brings the folder to the content, whatever an attempt before this one left, and calls `tell` where something changed or nobody
 * was told of the last change. When it throws before something was changed, everything is as it was: RemoteError and IntegrityError
 * for what cannot be had, ConfigError `overlap`, StorageError for what the disk refuses.
 */
export async function putIntoFolder(
  spec: FolderSpec,
  content: FolderContent,
  tell: () => Promise<void>,
  signal?: AbortSignal,
): Promise<Change> {
  signal?.throwIfAborted()
  return onDisk(spec, () => (spec.mode === 'files' ? putFiles : putSwapped)(spec, content, tell, signal))
}

/**
 * Takes away what `owner` has in the folder and nothing else, and calls `tell` where that was something, also where an attempt before this
 * one came half-way. Returns which files. Throws StorageError.
 */
export async function dropFromFolder(
  spec: FolderSpec,
  owner: string,
  tell: () => Promise<void>,
  signal?: AbortSignal,
): Promise<string[]> {
  signal?.throwIfAborted()
  return onDisk(spec, () => (spec.mode === 'files' ? dropFiles : dropSwapped)(spec, owner, tell))
}

async function onDisk<T>({ path }: FolderSpec, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw describeDisk(error, path)
  }
}
