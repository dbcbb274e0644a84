import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { IntegrityError } from '../lib/errors.ts'
import { createThreads, type Threads } from '../lib/threads.ts'
import { parseManifest, type ImageManifest } from '../oci/manifest.ts'
import type { Descriptor, RawManifest } from '../oci/target.ts'
import type { BundleFacts } from '../opa/bundle.ts'
import { loadWithOpa } from '../opa/program.ts'
import { bundleManifest } from './manifest.ts'
import type { Packed } from './pack.ts'
import { nameLayer, planOf, type Plan } from './plan.ts'
import type { RepackPart, RepackTask } from './repack.ts'
import type { ArchiveLimits, Assembled, AssembleOptions, BlobFiles } from './types.ts'
import type { CheckTask } from './worker.ts'

export interface Assembler {
  /**
   * Decides what is to be served for a manifest, checks it, and makes it where that is needed. Throws IntegrityError:
   * `bad_manifest`, `bad_archive`, `unsafe_path`, `bad_bundle`, `unsupported_artifact`; nothing stays in scratch then.
   */
  assemble(manifest: RawManifest, blobs: BlobFiles, options: AssembleOptions): Promise<Assembled>
  /** Whether OPA would load the archive at `path` as it is; throws as `assemble` does. */
  check(path: string, options: CheckBundleOptions): Promise<BundleFacts>
  close(): Promise<void>
}

export interface CheckBundleOptions {
  limits: ArchiveLimits
  opaPath?: string
  signal?: AbortSignal
}

/** Parsed JSON takes several times its text; a bundle beyond this would not fit OPA itself either. */
const maxHeapBytes = 2 * 1024 ** 3

/** `threads`: how many bundles are worked on at once; the others wait. */
export function createAssembler({ threads = 2 }: { threads?: number } = {}): Assembler {
  const pool = createThreads({ program: new URL('./worker.ts', import.meta.url), threads, maxHeapBytes })
  return {
    assemble: (manifest, blobs, options) => assemble(pool, manifest, blobs, options),
    check: (path, options) => checkAsIs(pool, path, options),
    close: () => pool.close(),
  }
}

async function assemble(
  pool: Threads,
  raw: RawManifest,
  blobs: BlobFiles,
  options: AssembleOptions,
): Promise<Assembled> {
  const plan = planOf(imageOf(raw), options.kind)
  const original = await tryOriginal(pool, raw, plan, blobs, options)
  if (original !== undefined) return original
  const parts = await Promise.all(plan.parts.map((part) => localPart(part, blobs)))
  const out = join(options.scratch, randomUUID())
  const { kind, limits, scratch, signal } = options
  const task: RepackTask = { kind, parts, limits, scratch, out }
  try {
    const { packed, facts } = await pool.run<{ packed: Packed; facts: BundleFacts | null }>('repack', task, signal)
    if (kind === 'opa') await compile(out, options)
    return { form: plan.form, ...bundleManifest(packed), packed: out, revision: facts?.manifest.revision ?? null }
  } catch (error) {
    await rm(out, { force: true })
    throw error
  }
}

/** The layer as it came, if it can be served so. */
async function tryOriginal(
  pool: Threads,
  manifest: RawManifest,
  { original }: Plan,
  blobs: BlobFiles,
  options: AssembleOptions,
): Promise<Assembled | undefined> {
  if (original === null) return undefined
  const path = await blobs.file(original.digest)
  const task: CheckTask = { path, limits: options.limits }
  let revision: string | null = null
  if (options.kind === 'opa') {
    const facts = await pool.run<BundleFacts | undefined>('checkBundle', task, options.signal)
    if (facts === undefined) return undefined
    await compile(path, options)
    revision = facts.manifest.revision
  } else {
    await pool.run('checkArchive', task, options.signal)
  }
  return { form: 'original', manifest, layer: original, packed: null, revision }
}

async function checkAsIs(pool: Threads, path: string, options: CheckBundleOptions): Promise<BundleFacts> {
  const task: CheckTask = { path, limits: options.limits }
  const facts = await pool.run<BundleFacts | undefined>('checkBundle', task, options.signal)
  if (facts === undefined) {
    throw new IntegrityError(
      'bad_archive',
      'OPA cannot load the archive as it is: it is not a gzipped tar of whole files',
    )
  }
  await compile(path, options)
  return facts
}

async function compile(path: string, { opaPath, signal }: { opaPath?: string; signal?: AbortSignal }): Promise<void> {
  if (opaPath !== undefined) await loadWithOpa(opaPath, path, signal)
}

function imageOf(raw: RawManifest): ImageManifest {
  const manifest = parseManifest(raw)
  if (manifest.kind === 'image') return manifest
  throw new IntegrityError('unsupported_artifact', `${raw.digest} is an index, and none of its members was chosen`)
}

async function localPart(part: Plan['parts'][number], blobs: BlobFiles): Promise<RepackPart> {
  const { layer, ...rest }: Omit<typeof part, 'layer'> & { layer: Descriptor } = part
  return { ...rest, file: await blobs.file(layer.digest), label: nameLayer(layer) } as RepackPart
}
