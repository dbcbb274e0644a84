import { createReadStream } from 'node:fs'
import { IntegrityError } from '../lib/errors.ts'
import { readArchive } from './archive.ts'
import type { Spool } from './spool.ts'
import { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

/** Where layers say that a file of a lower one is gone. https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts */
const whiteoutPrefix = '.wh.'
const opaqueMarker = '.wh..wh..opq'

export interface LayerFile {
  /** The blob as a local file. */
  file: string
  /** For messages. */
  label: string
}

export interface LayerOptions {
  limits: ArchiveLimits
  leadingSlash: 'allow' | 'refuse'
  signal?: AbortSignal | undefined
}

export function isWhiteout(path: string): boolean {
  return nameOf(path).startsWith(whiteoutPrefix)
}

/** Lays an image's layer on what lower ones gave: whiteouts take away, files and folders replace. */
export async function applyLayer(tree: FileTree, spool: Spool, layer: LayerFile, options: LayerOptions): Promise<void> {
  const upper = new FileTree()
  for await (const entry of readArchive(layer.file, options)) {
    const name = nameOf(entry.path)
    if (name === opaqueMarker) tree.clear(folderOf(entry.path))
    else if (name.startsWith(whiteoutPrefix)) tree.remove(whitedOut(entry.path, layer))
    else if (entry.type === 'directory') upper.addFolder(entry.path)
    else {
      const slice = await spool.add(entry.content())
      upper.set(entry.path, { ...slice, executable: entry.executable, from: layer.label })
    }
  }
  tree.overlay(upper)
}

/** Adds the files of an archive that stands by itself: no whiteouts, nothing may be there twice or outside of `within`. */
export async function addArchive(
  tree: FileTree,
  spool: Spool,
  layer: LayerFile & { within: string },
  options: LayerOptions,
): Promise<void> {
  for await (const entry of readArchive(layer.file, options)) {
    if (entry.type === 'directory') continue
    refuseOutside(entry.path, layer)
    const slice = await spool.add(entry.content())
    tree.add(entry.path, { ...slice, executable: entry.executable, from: layer.label })
  }
}

/** Adds a blob that is one file. */
export async function addFile(
  tree: FileTree,
  spool: Spool,
  file: LayerFile & { path: string },
  signal?: AbortSignal,
): Promise<void> {
  const slice = await spool.add(createReadStream(file.file, { ...(signal && { signal }) }) as AsyncIterable<Buffer>)
  tree.add(file.path, { ...slice, executable: false, from: file.label })
}

/** oras names each file of a folder with the folder's title in front, and unpacks nothing else. */
export function refuseOutside(path: string, { within, label }: { within: string; label: string }): void {
  if (within === '' || path.startsWith(`${within}/`)) return
  throw new IntegrityError('unsafe_path', `${label} is to be unpacked at ${within}, but holds ${path}`, { file: path })
}

function whitedOut(path: string, layer: LayerFile): string {
  const name = nameOf(path).slice(whiteoutPrefix.length)
  if (name === '' || name === '.' || name === '..') {
    throw new IntegrityError('bad_archive', `${layer.label} has a whiteout that names no file: ${path}`, { file: path })
  }
  return `${path.slice(0, path.length - nameOf(path).length)}${name}`
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')))
}
