import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { diskReason } from '../lib/disk.ts'
import { ConfigError, IntegrityError, StorageError } from '../lib/errors.ts'
import { makeFolders } from '../lib/folders.ts'
import { isObject, parseJsonObject, type JsonObject } from './json.ts'
import { parseManifest, type IndexManifest } from './manifest.ts'
import { annotationRefName, ociIndex } from './media.ts'
import { digestOf } from './digest.ts'
import type { Descriptor } from './target.ts'

const portion = 1000
const version = '{"imageLayoutVersion":"1.0.0"}'

/** One entry of `index.json`. `raw` is what stands there, with the fields that we do not know. */
export interface Entry {
  descriptor: Descriptor
  raw: JsonObject
}

/** https://github.com/opencontainers/image-spec/blob/main/image-layout.md#indexjson-file */
export interface LayoutIndex {
  /** Everything but the entries. */
  fields: JsonObject
  entries: Entry[]
}

/** Throws ConfigError when the folder is no layout, and StorageError `corrupt` when its index cannot be read: that is never an empty one. */
export async function readIndex(folder: string): Promise<LayoutIndex> {
  await checkVersion(folder)
  const path = join(folder, 'index.json')
  const bytes = await readFile(path).catch((error: unknown) => {
    if (isMissing(error)) throw unreadable(path, 'it is not there', error)
    throw storageError(`reading ${path}`, error)
  })
  try {
    const { manifests, ...fields } = parseJsonObject(bytes, path)
    if (!Array.isArray(manifests)) throw new IntegrityError('bad_manifest', 'it has no list of manifests')
    return { fields, entries: entriesOf(manifests) }
  } catch (error) {
    throw unreadable(path, (error as Error).message, error)
  }
}

/** Whoever reads at the same time sees the old index or the new one. */
export async function writeIndex(folder: string, { fields, entries }: LayoutIndex): Promise<void> {
  const json = { schemaVersion: 2, mediaType: ociIndex, ...fields, manifests: entries.map(({ raw }) => raw) }
  await writeAside(folder, 'index.json', `${JSON.stringify(json)}\n`)
}

export function entryOf(descriptor: Descriptor, tag?: string): Entry {
  const annotations = { ...descriptor.annotations, ...(tag === undefined ? {} : { [annotationRefName]: tag }) }
  const full = { ...descriptor, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) }
  return { descriptor: full, raw: { ...full } }
}

/** The same entry without its tag; every other field stays. */
export function untagged({ descriptor, raw }: Entry): Entry {
  const { [annotationRefName]: _tag, ...others } = descriptor.annotations ?? {}
  const { annotations: _all, ...bare } = descriptor
  const annotations = Object.keys(others).length === 0 ? {} : { annotations: others }
  const { annotations: _raw, ...fields } = raw
  return { descriptor: { ...bare, ...annotations }, raw: { ...fields, ...annotations } }
}

/** Makes an empty layout where there is none yet. */
export async function createLayoutFiles(folder: string): Promise<void> {
  try {
    await makeFolders(join(folder, 'blobs', 'sha256'))
    if (!(await exists(join(folder, 'index.json')))) {
      await writeAside(folder, 'index.json', `{"schemaVersion":2,"mediaType":"${ociIndex}","manifests":[]}\n`)
    }
    // Last: a folder becomes a layout by this file.
    if (!(await exists(join(folder, 'oci-layout')))) await writeAside(folder, 'oci-layout', version)
  } catch (error) {
    throw storageError(`making an OCI layout in ${folder}`, error)
  }
}

export function refName(descriptor: Descriptor): string | undefined {
  return descriptor.annotations?.[annotationRefName]
}

export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR'
}

export function storageError(what: string, error: unknown): StorageError {
  if (error instanceof StorageError) return error
  const { code, why } = diskReason(error)
  return new StorageError(code, `${what} failed: ${why}`, { cause: error })
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function checkVersion(folder: string): Promise<void> {
  const path = join(folder, 'oci-layout')
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!isMissing(error)) throw storageError(`reading ${path}`, error)
    throw new ConfigError(`${folder} is no OCI image layout: it has no file oci-layout`, {
      code: 'no_layout',
      hint: 'Name the folder that holds oci-layout, index.json and blobs.',
    })
  }
  const layoutVersion = versionIn(text)
  if (layoutVersion?.startsWith('1.') !== true) {
    throw unreadable(path, `it names version ${JSON.stringify(layoutVersion)}, not 1.0.0`, undefined)
  }
}

function versionIn(text: string): string | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) && typeof json.imageLayoutVersion === 'string' ? json.imageLayoutVersion : undefined
  } catch {
    return undefined
  }
}

/** In portions, since what bounds a manifest on the wire does not bound an index on disk. */
function entriesOf(raws: unknown[]): Entry[] {
  const entries: Entry[] = []
  for (let from = 0; from < raws.length; from += portion) {
    const manifests = raws.slice(from, from + portion)
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }))
    const index = parseManifest({ mediaType: ociIndex, digest: digestOf(bytes), bytes }) as IndexManifest
    entries.push(...index.manifests.map((descriptor, at) => ({ descriptor, raw: manifests[at] as JsonObject })))
  }
  return entries
}

async function writeAside(folder: string, name: string, text: string): Promise<void> {
  const aside = join(folder, `.${name}.${randomUUID()}`)
  try {
    const handle = await open(aside, 'wx')
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(aside, join(folder, name))
    await syncFolder(folder)
  } catch (error) {
    await rm(aside, { force: true }).catch(() => undefined)
    throw storageError(`writing ${join(folder, name)}`, error)
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close()
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function unreadable(path: string, why: string, cause: unknown): StorageError {
  return new StorageError('corrupt', `the OCI layout's ${path} cannot be read: ${why}`, {
    cause,
    hint: 'Nothing was changed. Write the layout again with the tool that made it, or restore it.',
  })
}
