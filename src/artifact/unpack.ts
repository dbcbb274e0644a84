import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { lstat, mkdir, realpath, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { IntegrityError, StorageError } from '../lib/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { ociEmpty } from '../oci/media.ts'
import type { Descriptor, RawManifest, Source } from '../oci/target.ts'
import { describeDisk } from './disk.ts'
import { addArchive, applyLayer } from './layers.ts'
import { defaultLimits } from './limits.ts'
import { parentsOf, safePath } from './names.ts'
import { isFileSystemLayer, isMarkedForUnpacking, nameLayer, titleOf, titlePath } from './plan.ts'
import { Spool } from './spool.ts'
import { FileTree, type TreeFile } from './tree.ts'
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
  const target = await targetOf(folder)
  const aside = target.isNew ? `${target.path}.${randomUUID()}` : join(target.path, `.longshore-${randomUUID()}`)
  const ready = join(aside, 'ready')
  try {
    await mkdir(ready, { recursive: true })
    const spool = Spool.create(join(aside, randomUUID()), limits.maxUnpackedBytes)
    try {
      const job: Job = { source, spool, tree: new FileTree(), fetched: new Map(), aside, limits, signal }
      for (const layer of layersOf(raw)) await addLayer(layer, job)
      for (const [path, file] of job.tree.files()) await writeFile(path, file, ready, job)
      const paths = [...job.tree.files()].map(([path]) => path).sort()
      if (target.isNew) await rename(ready, target.path)
      else await moveInto(ready, target.path, paths)
      return paths
    } finally {
      spool.close()
    }
  } catch (error) {
    throw describeDisk(error, folder)
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

interface Job {
  source: Pick<Source, 'blob'>
  spool: Spool
  tree: FileTree
  /** Blobs that are one file, which no limit on unpacking concerns: path → where it waits. */
  fetched: Map<string, string>
  aside: string
  limits: ArchiveLimits
  signal: AbortSignal | undefined
}

function layersOf(raw: RawManifest): Descriptor[] {
  const manifest = parseManifest(raw)
  if (manifest.kind === 'index') {
    throw new IntegrityError('unsupported_artifact', `${raw.digest} is an index, and none of its members was chosen`)
  }
  const layers = manifest.layers.filter(({ mediaType }) => mediaType !== ociEmpty)
  if (layers.length === 0) throw new IntegrityError('unsupported_artifact', `${raw.digest} holds no files`)
  const unknown = layers.find((layer) => titleOf(layer) === undefined && !isFileSystemLayer(layer))
  if (unknown === undefined) return layers
  throw new IntegrityError(
    'unsupported_artifact',
    `${nameLayer(unknown)} has no title, so nobody knows what its file is called (${unknown.mediaType})`,
  )
}

async function addLayer(layer: Descriptor, job: Job): Promise<void> {
  const { source, spool, tree, limits, signal } = job
  const label = nameLayer(layer)
  const file = join(job.aside, randomUUID())
  await pipeline(source.blob(layer, signal), createWriteStream(file, { flags: 'wx' }), { ...(signal && { signal }) })
  if (titleOf(layer) === undefined) {
    await applyLayer(tree, spool, { file, label }, { limits, signal, leadingSlash: 'allow' })
  } else if (isMarkedForUnpacking(layer)) {
    const within = safePath(titleOf(layer)!, `the title of ${label}`, { leadingSlash: 'refuse' })
    await addArchive(tree, spool, { file, label, within }, { limits, signal, leadingSlash: 'refuse' })
  } else {
    const path = titlePath(layer)
    tree.add(path, { offset: 0, size: layer.size, digest: layer.digest, executable: false, from: label })
    job.fetched.set(path, file)
    return
  }
  await rm(file)
}

/** `ready` is new and ours: nothing in it can lead elsewhere. */
async function writeFile(path: string, file: TreeFile, ready: string, { spool, fetched, signal }: Job): Promise<void> {
  const to = join(ready, path)
  await mkdir(dirname(to), { recursive: true })
  const waiting = fetched.get(path)
  if (waiting !== undefined) return rename(waiting, to)
  const mode = file.executable ? 0o755 : 0o644
  await pipeline(spool.read(file), createWriteStream(to, { flags: 'wx', mode }), { ...(signal && { signal }) })
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
async function moveInto(ready: string, target: string, paths: readonly string[]): Promise<void> {
  const folders = new Set(paths.flatMap((path) => parentsOf(path)))
  for (const path of folders) await refuseUnless(join(target, path), 'folder')
  for (const path of paths) await refuseUnless(join(target, path), 'file')
  for (const path of folders) await mkdir(join(target, path), { recursive: true })
  for (const path of paths) await rename(join(ready, path), join(target, path))
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
