import { rename, rm, rmdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parentsOf } from '../names.ts'
import { findIntact } from './check.ts'
import { ledgerFile, nameOf, ownFolder, pathsOf, readLedger, syncFolder, writeLedger, type Ledger } from './ledger.ts'
import { refuseOverlaps } from './overlap.ts'
import { makeReady, type Ready } from './ready.ts'
import { enterFolder, lookAt, openTarget, ownAccess, partsOf, refuse, refuseMoved } from './target.ts'
import type { Change, FolderContent, FolderSpec, Held } from './types.ts'

export async function holdsFiles(spec: FolderSpec, owner: string, signal?: AbortSignal): Promise<Held | undefined> {
  const folder = await openTarget(spec.path, spec.within, null)
  const ledger = folder === undefined ? undefined : await readLedger(ledgerFile(folder, owner))
  if (folder === undefined || ledger?.digest == null) return undefined
  const { digest, form, files, state } = ledger
  const isSettled = state === 'done' && (await findIntact(folder, files, spec, signal)).size === files.length
  return { digest, form, isSettled }
}

/**
 * Each file is written aside and renamed: a reader finds the older one or the newer one, whole. What the older artifact had and this
 * one has not goes last. Whatever happens in between, the ledger names every file that is ours.
 */
export async function putFiles(
  spec: FolderSpec,
  content: FolderContent,
  tell: () => Promise<void>,
  signal?: AbortSignal,
): Promise<Change> {
  const folder = (await openTarget(spec.path, spec.within, spec))!
  const work = join(folder, ownFolder, `work-${nameOf(content.owner)}`)
  const ledger = ledgerFile(folder, content.owner)
  try {
    await enterFolder(folder, [ownFolder], ownAccess)
    const before = (await readLedger(ledger)) ?? emptyLedger(content)
    const intact = await findIntact(folder, before.files, spec, signal)
    const ready = await makeReady(content, spec, work, intact, signal)
    await refuseOverlaps(folder, content.owner, ready.paths)
    await refuseObstacles(folder, before, ready)
    signal?.throwIfAborted()
    await content.mayPut?.()
    const { after, change } = await bringIn({ folder, ledger, before, spec, content }, ready)
    if (after.state !== 'done') await tell()
    await writeLedger(ledger, { ...after, state: 'done' })
    return change
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

interface Place {
  folder: string
  ledger: string
  before: Ledger
  spec: FolderSpec
  content: FolderContent
}

/** From here on nothing stops it: everything that could be known to fail was looked at. */
async function bringIn(place: Place, ready: Ready): Promise<{ after: Ledger; change: Change }> {
  const { folder, ledger, before, spec, content } = place
  const { owner, digest, form } = content
  const wanted = new Set(ready.paths)
  const obsolete = pathsOf(before).filter((path) => !wanted.has(path))
  const files = [...ready.kept, ...ready.fresh.map(({ file }) => file)]
  const isNew = ready.fresh.length + obsolete.length > 0
  const written: Ledger = { ...before, owner, digest, form, files, incoming: [], state: 'written' }
  if (!isNew) return { after: { ...written, state: before.state }, change: { written: [], removed: [] } }
  const made = await missingFolders(folder, ready.paths)
  const folders = [...new Set([...before.folders, ...made])].sort()
  await writeLedger(ledger, { ...before, state: 'writing', incoming: ready.paths, folders })
  const needed = foldersOf(ready.paths)
  const inTheWay = obsolete.filter((path) => needed.has(path) || parentsOf(path).some((parent) => wanted.has(parent)))
  await removeFiles(folder, inTheWay)
  await removeFolders(
    folder,
    folders.filter((path) => wanted.has(path)),
  )
  await moveIn(folder, ready, spec)
  await removeFiles(folder, obsolete)
  const left = await removeFolders(
    folder,
    folders.filter((path) => !needed.has(path)),
  )
  const after: Ledger = { ...written, folders: [...folders.filter((path) => needed.has(path)), ...left] }
  await writeLedger(ledger, after)
  return { after, change: { written: ready.fresh.map(({ file }) => file.path), removed: obsolete } }
}

function emptyLedger({ owner, form }: FolderContent): Ledger {
  return { owner, digest: null, form, state: 'done', files: [], incoming: [], folders: [] }
}

/** All paths are looked at before the first file is moved: what is there must be ours, or nothing that stands in the way. */
async function refuseObstacles(folder: string, before: Ledger, { paths }: Ready): Promise<void> {
  const ours = new Set([...pathsOf(before), ...before.folders])
  for (const path of foldersOf(paths)) {
    const found = await lookAt(join(folder, path))
    if (found === undefined || found.isDirectory() || (ours.has(path) && found.isFile())) continue
    const what = found.isSymbolicLink() ? 'a link, and links are not followed' : 'a file where a folder must be'
    throw refuse(join(folder, path), `it is ${what}`)
  }
  for (const path of paths) {
    const found = await lookAt(join(folder, path))
    if (found?.isDirectory() === true && !ours.has(path)) {
      throw refuse(join(folder, path), 'it is a folder where a file must be')
    }
  }
}

async function missingFolders(folder: string, paths: readonly string[]): Promise<string[]> {
  const missing: string[] = []
  for (const path of foldersOf(paths)) {
    if ((await lookAt(join(folder, path)))?.isDirectory() !== true) missing.push(path)
  }
  return missing
}

export function foldersOf(paths: readonly string[]): Set<string> {
  return new Set(paths.flatMap((path) => parentsOf(path)))
}

/** Renames each file to its name, folder by folder; a folder is durable before the next. */
export async function moveIn(folder: string, { fresh }: Pick<Ready, 'fresh'>, spec: FolderSpec): Promise<void> {
  const byFolder = Map.groupBy(fresh, ({ file }) => dirname(join(folder, file.path)))
  for (const parent of byFolder.keys()) await enterFolder(folder, partsOf(parent.slice(folder.length)), spec)
  for (const [parent, files] of byFolder) {
    await refuseMoved(parent)
    for (const { file, waiting } of files) await rename(waiting, join(folder, file.path))
    await syncFolder(parent)
  }
}

export async function removeFiles(folder: string, paths: readonly string[]): Promise<void> {
  const byFolder = Map.groupBy(paths, (path) => dirname(join(folder, path)))
  for (const [parent, files] of byFolder) {
    // What somebody else made of a folder is not ours to go through.
    if ((await enterFolder(folder, partsOf(parent.slice(folder.length)), null).catch(() => undefined)) === undefined)
      continue
    for (const path of files) {
      const found = await lookAt(join(folder, path))
      if (found !== undefined && !found.isDirectory()) await unlink(join(folder, path))
    }
    await syncFolder(parent)
  }
}

/** The deepest first; those that are not empty stay, and are returned. */
export async function removeFolders(folder: string, paths: readonly string[]): Promise<string[]> {
  const left: string[] = []
  for (const path of paths.toSorted().reverse()) {
    const at = join(folder, path)
    if ((await lookAt(at))?.isDirectory() !== true) continue
    try {
      await rmdir(at)
      await syncFolder(dirname(at))
    } catch {
      left.push(path)
    }
  }
  return left
}
