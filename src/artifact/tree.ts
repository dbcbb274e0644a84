import { IntegrityError } from '../lib/errors.ts'
import type { Slice } from './spool.ts'

export interface TreeFile extends Slice {
  executable: boolean
  /** Which layer or file it came with, for messages. */
  from: string
}

interface Folder {
  files: Map<string, TreeFile>
  folders: Map<string, Folder>
}

/** Files by path, with the folders that they are in; the paths are safe ones. */
export class FileTree {
  readonly #root: Folder = newFolder()

  /** Throws IntegrityError `bad_archive`, naming both sources, where another file has the path or stands in its way. */
  add(path: string, file: TreeFile): void {
    const { parts, name } = split(path)
    const folder = this.#enter(parts, path, file)
    const other = folder.files.get(name) ?? anyFile(folder.folders.get(name))
    if (other !== undefined) throw clash(path, other.from, file.from)
    folder.files.set(name, file)
  }

  /** An empty folder hides a file of a lower layer; by itself it is not kept. */
  addFolder(path: string): void {
    this.#enter(path.split('/'), path, undefined)
  }

  set(path: string, file: TreeFile): void {
    const { parts, name } = split(path)
    this.#enter(parts, path, file).files.set(name, file)
  }

  /** The file, or the folder with all that is in it; nothing where there is neither. */
  remove(path: string): void {
    const { parts, name } = split(path)
    const folder = this.#find(parts)
    folder?.files.delete(name)
    folder?.folders.delete(name)
  }

  /** Empties the folder; `''` is all. */
  clear(path: string): void {
    const folder = this.#find(path === '' ? [] : path.split('/'))
    folder?.files.clear()
    folder?.folders.clear()
  }

  get(path: string): TreeFile | undefined {
    const { parts, name } = split(path)
    return this.#find(parts)?.files.get(name)
  }

  /** Lays an upper layer on this one: what it holds wins, whether file or folder. */
  overlay(upper: FileTree): void {
    overlayFolder(this.#root, upper.#root)
  }

  *files(): Generator<[path: string, file: TreeFile]> {
    yield* filesIn(this.#root, '')
  }

  #find(parts: readonly string[]): Folder | undefined {
    return parts.reduce<Folder | undefined>((folder, part) => folder?.folders.get(part), this.#root)
  }

  #enter(parts: readonly string[], path: string, file: TreeFile | undefined): Folder {
    let folder = this.#root
    for (const part of parts) {
      const other = folder.files.get(part)
      if (other !== undefined) throw clash(path, other.from, file?.from ?? 'a folder')
      let next = folder.folders.get(part)
      if (next === undefined) folder.folders.set(part, (next = newFolder()))
      folder = next
    }
    return folder
  }
}

function newFolder(): Folder {
  return { files: new Map(), folders: new Map() }
}

function split(path: string): { parts: string[]; name: string } {
  const parts = path.split('/')
  return { parts: parts.slice(0, -1), name: parts.at(-1)! }
}

function overlayFolder(lower: Folder, upper: Folder): void {
  for (const [name, file] of upper.files) {
    lower.folders.delete(name)
    lower.files.set(name, file)
  }
  for (const [name, folder] of upper.folders) {
    lower.files.delete(name)
    const known = lower.folders.get(name)
    if (known === undefined) lower.folders.set(name, folder)
    else overlayFolder(known, folder)
  }
}

function* filesIn(folder: Folder, prefix: string): Generator<[string, TreeFile]> {
  for (const [name, file] of folder.files) yield [`${prefix}${name}`, file]
  for (const [name, inner] of folder.folders) yield* filesIn(inner, `${prefix}${name}/`)
}

function anyFile(folder: Folder | undefined): TreeFile | undefined {
  if (folder !== undefined) for (const [, file] of filesIn(folder, '')) return file
  return undefined
}

function clash(path: string, one: string, other: string): IntegrityError {
  return new IntegrityError('bad_archive', `${path} is in ${one} and also in ${other}`, { file: path })
}
