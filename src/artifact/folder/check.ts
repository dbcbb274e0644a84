import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { algorithmOf, finish, type Digest } from '../../oci/digest.ts'
import type { LedgerFile } from './ledger.ts'
import { lookAt } from './target.ts'
import type { FolderSpec } from './types.ts'

type Modes = Pick<FolderSpec, 'fileMode' | 'uid' | 'gid'>

/** Those of the files that are as they were left; the others somebody else changed or removed. */
export async function findIntact(
  folder: string,
  files: readonly LedgerFile[],
  modes: Modes,
  signal?: AbortSignal,
): Promise<Map<string, LedgerFile>> {
  const real = new Map<string, boolean>()
  const intact = new Map<string, LedgerFile>()
  for (const file of files) {
    signal?.throwIfAborted()
    const parent = dirname(join(folder, file.path))
    if (!real.has(parent)) real.set(parent, (await realpath(parent).catch(() => undefined)) === parent)
    if (real.get(parent) === true && (await isAsLeft(join(folder, file.path), file, modes, signal)))
      intact.set(file.path, file)
  }
  return intact
}

export function modeOf({ executable }: { executable: boolean }, { fileMode }: Pick<FolderSpec, 'fileMode'>): number {
  // Whoever may read it may run it.
  return executable ? fileMode | ((fileMode & 0o444) >> 2) : fileMode
}

/** Its content is read only where something else about it differs from what was noted down. */
async function isAsLeft(path: string, file: LedgerFile, modes: Modes, signal?: AbortSignal): Promise<boolean> {
  const found = await lookAt(path)
  if (found?.isFile() !== true || found.size !== file.size) return false
  if ((found.mode & 0o7777) !== modeOf(file, modes)) return false
  if (modes.uid !== null && found.uid !== modes.uid) return false
  if (modes.gid !== null && found.gid !== modes.gid) return false
  if (found.mtimeMs === file.mtimeMs && found.ino === file.ino) return true
  return (await digestOfFile(path, file.digest, signal)) === file.digest
}

async function digestOfFile(path: string, like: Digest, signal?: AbortSignal): Promise<Digest> {
  const algorithm = algorithmOf(like)
  const hash = createHash(algorithm)
  for await (const chunk of createReadStream(path, signal && { signal }) as AsyncIterable<Buffer>) hash.update(chunk)
  return finish(hash, algorithm)
}
