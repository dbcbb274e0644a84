import { readdir, rm, rmdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { removeFiles, removeFolders } from './files.ts'
import { ledgerFile, nameOf, ownFolder, pathsOf, readLedger, syncFolder } from './ledger.ts'
import { currentVersion, ledgerOf, openHome, type Home } from './swap.ts'
import { openTarget } from './target.ts'
import type { FolderSpec } from './types.ts'

/** Every file that the owner's ledger names, and the folders that were made for them where they are empty; the ledger goes last. */
export async function dropFiles(spec: FolderSpec, owner: string, tell: () => Promise<void>): Promise<string[]> {
  const folder = await openTarget(spec.path, spec.within, null)
  const file = folder === undefined ? undefined : ledgerFile(folder, owner)
  const ledger = file === undefined ? undefined : await readLedger(file)
  if (folder === undefined || file === undefined || ledger === undefined) return []
  const paths = pathsOf(ledger)
  await removeFiles(folder, paths)
  await removeFolders(folder, ledger.folders)
  await tell()
  await rm(join(folder, ownFolder, `work-${nameOf(owner)}`), { recursive: true, force: true })
  await unlink(file)
  await syncFolder(join(folder, ownFolder))
  await removeIfEmpty(join(folder, ownFolder))
  return paths
}

/** The link first: a reader finds all or nothing. Then the folders that it stood for. */
export async function dropSwapped(spec: FolderSpec, owner: string, tell: () => Promise<void>): Promise<string[]> {
  const home = await openHome(spec, null)
  if (home === undefined) return []
  const current = await currentVersion(home)
  const ids = current === undefined ? await versionsOf(home) : [current]
  const ledgers = await Promise.all(ids.map((id) => readLedger(ledgerOf(home, id))))
  const own = ledgers.find((ledger) => ledger?.owner === owner)
  if (own === undefined) return []
  if (current !== undefined) {
    await unlink(home.link)
    await syncFolder(home.parent)
  }
  await tell()
  await rm(home.path, { recursive: true, force: true })
  await removeIfEmpty(join(home.parent, ownFolder))
  return own.files.map(({ path }) => path)
}

/** Those that an attempt left whose link is gone already. */
async function versionsOf({ path }: Home): Promise<string[]> {
  const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => name.startsWith('.ledger-')).map((name) => name.slice('.ledger-'.length))
}

async function removeIfEmpty(path: string): Promise<void> {
  await rmdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error
  })
}
