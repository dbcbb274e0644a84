import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { IntegrityError } from '../lib/errors.ts'
import { parseManifest } from '../oci/manifest.ts'
import { ociEmpty } from '../oci/media.ts'
import type { Digest } from '../oci/digest.ts'
import type { Descriptor, RawManifest, Source } from '../oci/target.ts'
import { addArchive, applyLayer } from './layers.ts'
import { safePath } from './names.ts'
import { isFileSystemLayer, isMarkedForUnpacking, nameLayer, titleOf, titlePath, type Part } from './plan.ts'
import { Spool } from './spool.ts'
import { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

/** A file of an artifact, fetched and verified, under a name that says nothing. */
export interface StagedFile {
  /** Where it belongs: a safe path. */
  path: string
  /** Bytes. */
  size: number
  digest: Digest
  executable: boolean
  /** Where its bytes wait; null where `has` said that they are there already. */
  waiting: string | null
}

/** What an artifact's layers are to a folder: files, archives, and layers that are laid on each other. */
export type StagePart = Exclude<Part, { type: 'document' }>

export interface StageOptions {
  limits: ArchiveLimits
  /** OPA writes `/data.json` in its archives and means their root. */
  leadingSlash: 'allow' | 'refuse'
  /** A file with these bytes need not be fetched. */
  has?: ((file: Omit<StagedFile, 'size' | 'waiting'>) => boolean) | undefined
  signal?: AbortSignal | undefined
}

interface Job extends StageOptions {
  source: Pick<Source, 'blob'>
  aside: string
  spool: Spool
  tree: FileTree
  /** Blobs that are one file, which no limit on unpacking concerns: path → where it waits. */
  fetched: Map<string, string | null>
  made: number
}

/**
 * Each titled layer is a file, or a folder where it is marked for unpacking. Untitled ones are laid on each other at the top as
 * an image's layers are, or refused. Throws IntegrityError `unsupported_artifact`, `unsafe_path`.
 */
export function partsOf(raw: RawManifest, untitled: 'lay' | 'refuse'): StagePart[] {
  const manifest = parseManifest(raw)
  if (manifest.kind === 'index') {
    throw new IntegrityError('unsupported_artifact', `${raw.digest} is an index, and none of its members was chosen`)
  }
  const layers = manifest.layers.filter(({ mediaType }) => mediaType !== ociEmpty)
  if (layers.length === 0) throw new IntegrityError('unsupported_artifact', `${raw.digest} holds no files`)
  return layers.map((layer) => partOf(layer, untitled))
}

function partOf(layer: Descriptor, untitled: 'lay' | 'refuse'): StagePart {
  const label = nameLayer(layer)
  if (isMarkedForUnpacking(layer)) {
    const within = safePath(titleOf(layer)!, `the title of ${label}`, { leadingSlash: 'refuse' })
    return { type: 'archive', layer, within }
  }
  if (titleOf(layer) !== undefined) return { type: 'file', layer, path: titlePath(layer) }
  if (untitled === 'lay' && isFileSystemLayer(layer)) return { type: 'layer', layer }
  throw new IntegrityError(
    'unsupported_artifact',
    `${label} has no title, so nobody knows what its file is called (${layer.mediaType})`,
    untitled === 'lay' ? {} : { hint: 'Push it with a title, or deploy with form: unpacked or form: tarball.' },
  )
}

/**
 * Fetches and verifies everything into `aside`, a folder of the caller's, which it also removes. Names there begin with a dot and
 * hold nothing of what the artifact calls its files. Throws RemoteError, IntegrityError, and what the disk says.
 */
export async function stageParts(
  parts: readonly StagePart[],
  source: Pick<Source, 'blob'>,
  aside: string,
  options: StageOptions,
): Promise<StagedFile[]> {
  const spool = Spool.create(join(aside, '.spool'), options.limits.maxUnpackedBytes)
  const job: Job = { ...options, source, aside, spool, tree: new FileTree(), fetched: new Map(), made: 0 }
  try {
    for (const part of parts) await addPart(part, job)
    const staged: StagedFile[] = []
    for (const [path, file] of job.tree.files()) {
      const { size, digest, executable } = file
      const waiting = job.fetched.get(path)
      const isThere = waiting === undefined && options.has?.({ path, digest, executable }) === true
      staged.push({
        ...{ path, size, digest, executable },
        waiting: waiting !== undefined ? waiting : isThere ? null : await writeOut(file, job),
      })
    }
    return staged.sort((a, b) => (a.path < b.path ? -1 : 1))
  } finally {
    spool.close()
  }
}

async function addPart(part: StagePart, job: Job): Promise<void> {
  const { spool, tree, limits, leadingSlash, signal } = job
  const label = nameLayer(part.layer)
  if (part.type === 'file') return addBlob(part, label, job)
  const file = await fetchBlob(part.layer, job)
  if (part.type === 'layer') await applyLayer(tree, spool, { file, label }, { limits, signal, leadingSlash: 'allow' })
  else await addArchive(tree, spool, { file, label, within: part.within }, { limits, signal, leadingSlash })
  await rm(file)
}

async function addBlob({ layer, path }: StagePart & { type: 'file' }, from: string, job: Job): Promise<void> {
  const { size, digest } = layer
  job.tree.add(path, { offset: 0, size, digest, executable: false, from })
  job.fetched.set(path, job.has?.({ path, digest, executable: false }) === true ? null : await fetchBlob(layer, job))
}

async function fetchBlob(layer: Descriptor, job: Job): Promise<string> {
  const file = nextName(job)
  const { signal } = job
  await pipeline(job.source.blob(layer, signal), createWriteStream(file, { flags: 'wx' }), {
    ...(signal && { signal }),
  })
  return file
}

async function writeOut(slice: Parameters<Spool['read']>[0] & { executable: boolean }, job: Job): Promise<string> {
  const file = nextName(job)
  const { spool, signal } = job
  const mode = slice.executable ? 0o755 : 0o644
  await pipeline(spool.read(slice), createWriteStream(file, { flags: 'wx', mode }), { ...(signal && { signal }) })
  return file
}

function nextName(job: Job): string {
  return join(job.aside, `.${job.made++}`)
}
