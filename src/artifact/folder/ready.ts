import { mkdir, open, rm } from 'node:fs/promises'
import { stageParts, type StagedFile } from '../stage.ts'
import { modeOf } from './check.ts'
import type { LedgerFile } from './ledger.ts'
import type { FolderContent, FolderSpec } from './types.ts'

/** A file that is durable and only needs its name. */
export interface ReadyFile {
  file: LedgerFile
  waiting: string
}

export interface Ready {
  /** Every path of the artifact. */
  paths: string[]
  fresh: ReadyFile[]
  /** Those that are there already. */
  kept: LedgerFile[]
}

/**
 * Everything that is not there yet, written into `work` with the owner and mode that it is to have. `work` may hold what an older
 * attempt left; it is the caller's to remove.
 */
export async function makeReady(
  content: FolderContent,
  spec: FolderSpec,
  work: string,
  intact: ReadonlyMap<string, LedgerFile>,
  signal?: AbortSignal,
): Promise<Ready> {
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { mode: 0o700 })
  const { parts, source, limits, leadingSlash } = content
  const find = ({ path, digest, executable }: Pick<StagedFile, 'path' | 'digest' | 'executable'>) => {
    const known = intact.get(path)
    return known?.digest === digest && known.executable === executable ? known : undefined
  }
  const staged = await stageParts(parts, source, work, {
    ...{ limits, leadingSlash, signal },
    has: (file) => find(file) !== undefined,
  })
  const ready: Ready = { paths: staged.map(({ path }) => path), fresh: [], kept: [] }
  for (const one of staged) {
    signal?.throwIfAborted()
    const known = find(one)
    if (known === undefined || one.waiting !== null) ready.fresh.push(await settle(one, one.waiting!, spec))
    else ready.kept.push(known)
  }
  return ready
}

async function settle(staged: StagedFile, waiting: string, spec: FolderSpec): Promise<ReadyFile> {
  const { path, digest, executable } = staged
  await using handle = await open(waiting, 'r+')
  if (spec.uid !== null || spec.gid !== null) await handle.chown(spec.uid ?? -1, spec.gid ?? -1)
  await handle.chmod(modeOf(staged, spec))
  await handle.sync()
  const { size, mtimeMs, ino } = await handle.stat()
  return { waiting, file: { path, digest, size, executable, mtimeMs, ino } }
}
