import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Content } from '../content/content.ts'
import { isMissing, onDisk } from '../content/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { IntegrityError, StorageError } from '../lib/errors.ts'
import { isDigest, type Digest } from '../oci/digest.ts'
import { parseJsonObject } from '../oci/json.ts'
import { maxManifestBytes } from '../oci/manifest.ts'
import { annotationRefName } from '../oci/media.ts'
import { isTag } from '../oci/reference.ts'
import type { CatalogState } from '../state/state.ts'
import { repositoryAt } from './layout.ts'
import { checkManifest, type CheckedManifest } from './manifests.ts'

export interface Rebuilt {
  repositories: number
  manifests: number
  tags: number
  /** What could not be restored, each for a person. */
  problems: string[]
}

interface Parts {
  /** The content folder. */
  folder: string
  content: Content
  catalog: CatalogState
  clock: Clock
  signal?: AbortSignal
}

interface Entry {
  mediaType: string
  digest: Digest
  tag: string | undefined
}

/**
 * Fills an empty catalog from the layouts on disk, when the database was lost: what repositories hold, and no more (history,
 * pins and switches are gone). Throws StorageError `corrupt` at an index that cannot be read: taken as empty, it would
 * lose what it names.
 */
export async function rebuildCatalog(parts: Parts): Promise<Rebuilt> {
  const rebuilt: Rebuilt = { repositories: 0, manifests: 0, tags: 0, problems: [] }
  for await (const { repository, path } of findLayouts(join(parts.folder, 'repositories'), [])) {
    parts.signal?.throwIfAborted()
    const tagsOf = new Map<Digest, { mediaType: string; tags: string[] }>()
    for (const { digest, mediaType, tag } of await readIndex(path)) {
      const known = tagsOf.get(digest) ?? { mediaType, tags: [] }
      if (tag !== undefined) known.tags.push(tag)
      tagsOf.set(digest, known)
    }
    for (const [digest, { mediaType, tags }] of tagsOf) {
      const problem = (message: string) => rebuilt.problems.push(`${repository}: ${message}`)
      if (!(await restore(parts, repository, { digest, mediaType, tags }, problem))) continue
      rebuilt.manifests++
      rebuilt.tags += tags.length
    }
    rebuilt.repositories++
  }
  return rebuilt
}

async function* findLayouts(folder: string, components: string[]): AsyncIterable<{ repository: string; path: string }> {
  const entries = await onDisk({ what: 'looking for repositories', path: folder }, () => listFolder(folder))
  const repository = repositoryAt(components)
  if (repository !== undefined && entries.some((entry) => entry.name === 'index.json' && entry.isFile())) {
    yield { repository, path: join(folder, 'index.json') }
  }
  for (const entry of entries) {
    if (entry.isDirectory()) yield* findLayouts(join(folder, entry.name), [...components, entry.name])
  }
}

async function listFolder(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function readIndex(path: string): Promise<Entry[]> {
  const bytes = await onDisk({ what: 'reading an index', path }, () => readFile(path))
  const { manifests } = asCorrupt(path, () => parseJsonObject(bytes, path))
  if (!Array.isArray(manifests)) throw unreadable(path)
  return manifests.map((entry) => entryOf(entry as Record<string, unknown> | null, path))
}

function entryOf(entry: Record<string, unknown> | null, path: string): Entry {
  const { mediaType, digest, annotations } = entry ?? {}
  if (typeof mediaType !== 'string' || typeof digest !== 'string' || !isDigest(digest)) throw unreadable(path)
  const tag = (annotations as Record<string, unknown> | undefined)?.[annotationRefName]
  return { mediaType, digest, tag: typeof tag === 'string' && isTag(tag) ? tag : undefined }
}

/** False when there is no such manifest any more. What it names and is gone is told, and the rest restored all the same. */
async function restore(
  { content, catalog, clock }: Parts,
  repository: string,
  { digest, mediaType, tags }: { digest: Digest; mediaType: string; tags: string[] },
  problem: (message: string) => void,
): Promise<boolean> {
  let checked: CheckedManifest
  try {
    checked = checkManifest({ mediaType, digest, bytes: await content.bytes(digest, maxManifestBytes) })
  } catch (error) {
    if (!(error instanceof IntegrityError) && !(error instanceof StorageError && error.code === 'corrupt')) throw error
    problem(error.message)
    return false
  }
  for (const reference of checked.references) {
    const blob = await content.stat(reference.digest)
    if (blob === undefined && reference.required) problem(`${digest} names ${reference.digest}, which is gone`)
    if (blob !== undefined && reference.kind === 'blob') await catalog.addBlob(repository, blob, clock.now())
  }
  // An index may come before its members.
  const optional = checked.references.map((reference) => ({ ...reference, required: false }))
  await catalog.putManifest(repository, checked.row, optional, tags, clock.now())
  return true
}

function asCorrupt<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path: string, cause?: unknown): StorageError {
  return new StorageError('corrupt', `the index ${path} cannot be read`, {
    cause,
    hint: 'Restore it from a backup, or move it away to rebuild without what it names.',
  })
}
