import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, relative, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { ConfigError, IntegrityError } from '../lib/errors.ts'
import { finish } from '../oci/digest.ts'
import { annotationTitle, emptyJson, ociLayerTar, ociLayerTarGzip } from '../oci/media.ts'
import type { Descriptor, RawManifest } from '../oci/target.ts'
import type { BundleFacts } from '../opa/bundle.ts'
import { roleOf } from '../opa/files.ts'
import type { OpaManifest } from '../opa/manifest.ts'
import { buildBundle } from './build.ts'
import { checkBundle } from './check.ts'
import { addFiles, findFiles, isHidden } from './collect.ts'
import { packTree } from './finish.ts'
import { defaultLimits } from './limits.ts'
import { archiveLayer, bundleManifest, bundleManifestOf, emptyConfig, filesManifest, noConfig } from './manifest.ts'
import type { Packed } from './pack.ts'
import { repack } from './repack.ts'
import { Spool } from './spool.ts'
import { FileTree } from './tree.ts'
import type { ArchiveLimits } from './types.ts'

export interface PushOptions {
  /** Folder that relative paths and titles are relative to; the process's by default. */
  cwd?: string
  limits?: ArchiveLimits
  signal?: AbortSignal
}

/** An artifact that is ready to be sent: the blobs first, then the manifest. */
export interface Push {
  /** `bundle` for the form that OPA loads, `files` for one layer per path. */
  kind: 'bundle' | 'files'
  manifest: RawManifest
  blobs: { descriptor: Descriptor; open: () => AsyncIterable<Uint8Array> }[]
  /** For a person: what is in it that OPA will not load, what was left out. */
  warnings: string[]
  /** Removes what was packed for it; after that the blobs are gone. */
  close(): Promise<void>
}

/**
 * What `push PATH…` sends. One folder with something for OPA in it, or one archive of a bundle: the artifact that OPA,
 * oras, conftest, regctl and the policy CLI read. Anything else: what `oras push` writes, a titled layer per path.
 * Throws ConfigError for paths that cannot be pushed, IntegrityError for what OPA would refuse.
 */
export async function packPush(paths: string[], options: PushOptions = {}): Promise<Push> {
  if (paths.length === 0) throw new ConfigError('there is nothing to push', { hint: 'Name a folder or files.' })
  const cwd = options.cwd ?? '.'
  const scratch = await mkdtemp(join(tmpdir(), 'longshore-push-'))
  try {
    const sources = await Promise.all(paths.map((path) => sourceOf(path, cwd)))
    const job = { scratch, limits: options.limits ?? defaultLimits, signal: options.signal }
    const content = (await bundleOf(sources, job)) ?? (await filesOf(sources, job))
    return { ...content, close: () => rm(scratch, { recursive: true, force: true }) }
  } catch (error) {
    await rm(scratch, { recursive: true, force: true })
    throw error
  }
}

interface PathSource {
  given: string
  path: string
  title: string
  isFolder: boolean
}

interface Job {
  scratch: string
  limits: ArchiveLimits
  signal: AbortSignal | undefined
}

async function sourceOf(given: string, cwd: string): Promise<PathSource> {
  const path = resolve(cwd, given)
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(
      `cannot push ${given}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`,
      { cause: error },
    )
  })
  if (!info.isFile() && !info.isDirectory()) throw new ConfigError(`cannot push ${given}: it is no file or folder`)
  const inside = relative(cwd, path)
  const title = inside === '' ? '.' : inside.startsWith('..') ? basename(path) : inside
  return { given, path, title, isFolder: info.isDirectory() }
}

/** Undefined where the paths are no bundle. */
async function bundleOf(sources: PathSource[], job: Job): Promise<Omit<Push, 'close'> | undefined> {
  const [source, ...others] = sources
  if (source === undefined || others.length > 0) return undefined
  const out = join(job.scratch, 'bundle.tar.gz')
  const { limits, signal } = job
  if (source.isFolder) {
    const { files } = await findFiles(source.path, isHidden)
    if (!files.some(({ path }) => roleOf(path) !== undefined)) return undefined
    const { packed, warnings } = await buildBundle({
      dirs: [source.path],
      output: out,
      limits,
      ...(signal && { signal }),
    })
    return toBundle(packed, warnings)
  }
  const facts = await readBundle(source, job)
  if (facts === undefined) return undefined
  const warnings = facts.ignored.map((path) => `${path} is in the bundle, but OPA does not load it`)
  if (facts.signed && namesFromTop(facts.manifest)) return asItIs(source, warnings)
  const part = { type: 'archive', file: source.path, label: source.given, within: '' } as const
  const { packed } = await repack({ kind: 'opa', parts: [part], limits, scratch: job.scratch, out })
  return toBundle(packed, warnings)
}

/** Undefined for archives of something else. */
async function readBundle({ path, title }: PathSource, job: Job): Promise<BundleFacts | undefined> {
  if (!/\.(tgz|tar\.gz)$/.test(title)) return undefined
  try {
    return await checkBundle(path, job)
  } catch (error) {
    if (error instanceof IntegrityError && error.code !== 'bad_bundle') return undefined
    throw error
  }
}

/** Its names would have to change, and with them what was signed. */
function namesFromTop({ wasm, fileRegoVersions }: OpaManifest): boolean {
  return [...wasm.map(({ module }) => module), ...Object.keys(fileRegoVersions)].some((name) => name.startsWith('/'))
}

function toBundle(packed: Packed, warnings: string[]): Omit<Push, 'close'> {
  const { manifest, layer } = bundleManifest(packed)
  return { kind: 'bundle', manifest, blobs: [configBlob(emptyConfig), fileBlob(layer, packed.path)], warnings }
}

/** OPA takes the layer for its type; for others it is a file of that name. */
async function asItIs({ path, title }: PathSource, warnings: string[]): Promise<Omit<Push, 'close'>> {
  const layer = await fileLayer(path, title, ociLayerTarGzip)
  const manifest = bundleManifestOf(layer)
  return { kind: 'bundle', manifest, blobs: [configBlob(emptyConfig), fileBlob(layer, path)], warnings }
}

async function filesOf(sources: PathSource[], job: Job): Promise<Omit<Push, 'close'>> {
  const twice = sources.find(({ title }, at) => sources.slice(at + 1).some((other) => other.title === title))
  if (twice !== undefined) throw new ConfigError(`cannot push two paths as ${twice.title}`)
  const layers = []
  for (const source of sources) {
    if (!source.isFolder)
      layers.push({ layer: await fileLayer(source.path, source.title, ociLayerTar), path: source.path })
    else layers.push(await folderLayer(source, job))
  }
  const manifest = filesManifest(layers.map(({ layer }) => layer))
  return {
    kind: 'files',
    manifest,
    blobs: [configBlob(noConfig), ...layers.map(({ layer, path }) => fileBlob(layer, path))],
    warnings: [],
  }
}

async function folderLayer(
  source: PathSource,
  { scratch, limits, signal }: Job,
): Promise<{ layer: Descriptor; path: string }> {
  const { files, skipped } = await findFiles(source.path, () => false)
  if (skipped.length > 0) {
    throw new ConfigError(`cannot push ${source.given}: ${skipped[0]} is a link or a device`, {
      hint: 'Push regular files: nobody should have to follow a link that came from elsewhere.',
    })
  }
  const path = join(scratch, randomUUID())
  const spool = Spool.create(`${path}.spool`, limits.maxUnpackedBytes)
  try {
    const tree = new FileTree()
    const prefix = source.title === '.' ? '' : `${source.title}/`
    await addFiles(tree, spool, files, { from: source.given, prefix, limits, signal })
    return { layer: archiveLayer(await packTree(tree, spool, path, { keepModes: true, signal }), source.title), path }
  } finally {
    spool.close()
  }
}

/** Read once here and once when it is sent: a file that changes in between is refused by its digest. */
async function fileLayer(path: string, title: string, mediaType: string): Promise<Descriptor> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    size += chunk.length
  }
  return { mediaType, digest: finish(hash, 'sha256'), size, annotations: { [annotationTitle]: title } }
}

function fileBlob(descriptor: Descriptor, path: string): Push['blobs'][number] {
  return { descriptor, open: () => readFile(path) }
}

/** Opened when it is read: the error of a stream that nobody reads yet would end the process. */
async function* readFile(path: string): AsyncIterable<Buffer> {
  yield* createReadStream(path) as AsyncIterable<Buffer>
}

function configBlob(descriptor: Descriptor): Push['blobs'][number] {
  return { descriptor, open: () => Readable.from([emptyJson]) }
}
