import { randomBytes } from 'node:crypto'
import { lchown, readdir, readlink, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { findIntact } from './check.ts'
import { foldersOf, moveIn } from './files.ts'
import { nameOf, ownFolder, readLedger, syncFolder, writeLedger, type Ledger } from './ledger.ts'
import { refuseOverlaps } from './overlap.ts'
import { makeReady } from './ready.ts'
import { enterFolder, lookAt, openTarget, ownAccess, refuse } from './target.ts'
import type { Change, FolderContent, FolderSpec, Held } from './types.ts'

/** Where the versions of a folder are kept: beside the link that stands for it. */
export interface Home {
  parent: string
  /** The link. */
  link: string
  path: string
}

export async function holdsSwapped(spec: FolderSpec, owner: string, signal?: AbortSignal): Promise<Held | undefined> {
  const home = await openHome(spec, null)
  const id = home && (await currentVersion(home))
  const ledger = home && id !== undefined ? await readLedger(ledgerOf(home, id)) : undefined
  if (home === undefined || id === undefined || ledger?.digest == null || ledger.owner !== owner) return undefined
  const { digest, form, files, state } = ledger
  const intact = state === 'done' ? await findIntact(join(home.path, id), files, spec, signal) : undefined
  return { digest, form, isSettled: intact?.size === files.length }
}

/** A new folder beside the older one, then one link renamed over the older link: a reader finds all of the one or all of the other. */
export async function putSwapped(
  spec: FolderSpec,
  content: FolderContent,
  tell: () => Promise<void>,
  signal?: AbortSignal,
): Promise<Change> {
  const home = (await openHome(spec, spec))!
  const work = join(home.path, 'work')
  const id = randomBytes(8).toString('hex')
  try {
    const current = await currentVersion(home)
    await enterFolder(home.parent, [ownFolder, basename(home.path)], ownAccess)
    const before = current === undefined ? undefined : await readLedger(ledgerOf(home, current))
    if (before !== undefined && before.owner !== content.owner) throw taken(home, before.owner, content.owner)
    await removeVersions(home, current)
    if (await isThere(home, current, before, { spec, content }, signal)) {
      await finish(home, current!, before!, tell)
      return { written: [], removed: [] }
    }
    const ready = await makeReady(content, spec, work, new Map(), signal)
    await refuseOverlaps(home.link, content.owner, ready.paths)
    signal?.throwIfAborted()
    await moveIn((await enterFolder(home.path, [id], spec))!, ready, spec)
    const ledger: Ledger = {
      ...{ owner: content.owner, digest: content.digest, form: content.form, state: 'written', incoming: [] },
      files: ready.fresh.map(({ file }) => file),
      folders: [...foldersOf(ready.paths)],
    }
    await writeLedger(ledgerOf(home, id), ledger)
    await content.mayPut?.()
    await switchTo(home, id, spec)
    await finish(home, id, ledger, tell)
    const removed = (before?.files ?? []).map(({ path }) => path).filter((path) => !ready.paths.includes(path))
    return { written: ready.paths, removed }
  } finally {
    await rm(work, { recursive: true, force: true })
    // Nothing was made, or all of it was put in place.
    if ((await currentVersion(home).catch(() => id)) !== id)
      await rm(join(home.path, id), { recursive: true, force: true })
  }
}

/** Undefined where the folder above is missing and is not to be made. */
export async function openHome({ path, within }: FolderSpec, access: FolderSpec | null): Promise<Home | undefined> {
  const above = dirname(path)
  if (above === path) throw refuse(path, 'with mode: swap it would have to be a link')
  const parent = await openTarget(above, within === path ? null : within, access)
  if (parent === undefined) return undefined
  const name = basename(path)
  return { parent, link: join(parent, name), path: join(parent, ownFolder, `swap-${nameOf(name)}`) }
}

/** Undefined before the first. Throws StorageError for anything that longshore did not put there. */
export async function currentVersion({ link, path, parent }: Home): Promise<string | undefined> {
  const found = await lookAt(link)
  if (found === undefined) return undefined
  if (!found.isSymbolicLink()) {
    throw refuse(
      link,
      `it is a ${found.isDirectory() ? 'folder' : 'file'}, and mode: swap puts a link there`,
      'Name a path that is not there yet, remove what is there, or use mode: files.',
    )
  }
  const to = await readlink(link)
  const own = `${path.slice(parent.length + 1)}/`
  const id = to.startsWith(own) ? to.slice(own.length) : ''
  if (/^[0-9a-f]{16}$/.test(id)) return id
  throw refuse(link, `it is a link to ${to}, which longshore did not make`, 'Name another path, or remove the link.')
}

async function isThere(
  home: Home,
  current: string | undefined,
  before: Ledger | undefined,
  { spec, content }: { spec: FolderSpec; content: FolderContent },
  signal?: AbortSignal,
): Promise<boolean> {
  if (current === undefined || before?.digest !== content.digest || before.form !== content.form) return false
  return (await findIntact(join(home.path, current), before.files, spec, signal)).size === before.files.length
}

async function finish(home: Home, id: string, ledger: Ledger, tell: () => Promise<void>): Promise<void> {
  if (ledger.state === 'done') return
  await tell()
  await writeLedger(ledgerOf(home, id), { ...ledger, state: 'done' })
}

/** Everything in the new folder is durable by now. */
async function switchTo({ path, link, parent }: Home, id: string, spec: FolderSpec): Promise<void> {
  const aside = join(path, 'link')
  await rm(aside, { force: true })
  await symlink(join(path.slice(parent.length + 1), id), aside)
  if (spec.uid !== null || spec.gid !== null) await lchown(aside, spec.uid ?? -1, spec.gid ?? -1)
  await rename(aside, link)
  await syncFolder(parent)
}

/**
 * Versions before the current one, and what an attempt left that was cut short. The one before stays until the next comes: a reader
 * that followed the link and goes through the folder, as CoreDNS's `auto` does, would take its zones for removed.
 */
async function removeVersions({ path }: Home, current: string | undefined): Promise<void> {
  const keep = new Set(current === undefined ? [] : [current, `.ledger-${current}`])
  for (const name of await readdir(path)) {
    if (!keep.has(name)) await rm(join(path, name), { recursive: true, force: true })
  }
}

export function ledgerOf({ path }: Home, id: string): string {
  return join(path, `.ledger-${id}`)
}

function taken({ link }: Home, other: string, owner: string): Error {
  return refuse(
    link,
    `${other} is there, and ${owner} may not take its place`,
    `Give one of them another path. If ${other} no longer goes there, remove the link.`,
  )
}
