import type { Content } from '../../../src/content/content.ts'
import { fileSteps, type FileSteps } from '../../../src/content/files.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger, type Logger } from '../../../src/lib/logger.ts'
import { digestOf, type Algorithm } from '../../../src/oci/digest.ts'
import { ociConfig, ociIndex, ociLayerTarGzip, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../../src/oci/target.ts'
import type { QuotaOf } from '../../../src/registry/quota.ts'
import { createRegistry } from '../../../src/registry/registry.ts'
import type { LocalRepository, Registry, RegistryLimits, RepositoryChange } from '../../../src/registry/types.ts'
import type { State } from '../../../src/state/state.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { openInProcess } from '../state/open.ts'

export interface Opened {
  folder: string
  content: Content
  state: State
  clock: FakeClock
  registry: Registry
  changes: RepositoryChange[]
  close(): Promise<void>
}

interface OpenOptions {
  limits?: Partial<RegistryLimits>
  content?: (real: Content) => Content
  clock?: FakeClock
  quotaOf?: QuotaOf
  mayWrite?: () => Promise<void>
  logger?: Logger
  /** False: a loss of power may lose things, a test that does very much gains time. */
  durable?: boolean
}

const withoutSync: FileSteps = {
  ...fileSteps,
  create: async (path) => ({ ...(await fileSteps.create(path)), sync: () => Promise.resolve() }),
  syncFolder: () => Promise.resolve(),
}

export async function openRegistry(folder = tempDir('registry'), options: OpenOptions = {}): Promise<Opened> {
  const state = await openInProcess(folder)
  const isDurable = options.durable ?? true
  if (!isDurable) state.store.raw.exec('pragma synchronous = off')
  const steps = isDurable ? fileSteps : withoutSync
  const real = await createFolderContent({ path: folder, logger: silentLogger, steps })
  const content = options.content?.(real) ?? real
  const { clock = new FakeClock(), logger = silentLogger } = options
  const { catalog } = state
  const limits = options.limits ?? {}
  const quotas = options.quotaOf === undefined ? {} : { quotaOf: options.quotaOf }
  const asked = options.mayWrite === undefined ? {} : { mayWrite: options.mayWrite }
  const registry = createRegistry({ content, catalog, clock, logger, folder, limits, ...quotas, ...asked })
  const changes: RepositoryChange[] = []
  registry.onChange((change) => changes.push(change))
  const close = async () => {
    await registry.close()
    await content.close()
    await state.close()
  }
  return { folder, content, state, clock, registry, changes, close }
}

export async function* from(...chunks: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield await Promise.resolve(Buffer.from(chunk))
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export function rawOf(value: object, mediaType = ociManifest, algorithm: Algorithm = 'sha256'): RawManifest {
  const bytes = Buffer.from(JSON.stringify(value))
  return { mediaType, digest: digestOf(bytes, algorithm), bytes }
}

export function descriptor(text: string, mediaType: string, algorithm: Algorithm = 'sha256'): Descriptor {
  return { mediaType, digest: digestOf(text, algorithm), size: Buffer.byteLength(text) }
}

/** An image manifest of a config and one layer; `more` goes over it. */
export function image(layer: string, more: object = {}): RawManifest {
  return rawOf({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: descriptor('{}', ociConfig),
    layers: [descriptor(layer, ociLayerTarGzip)],
    ...more,
  })
}

export function index(...members: RawManifest[]): RawManifest {
  const manifests = members.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.byteLength }))
  return rawOf({ schemaVersion: 2, mediaType: ociIndex, manifests }, ociIndex)
}

/** With its blobs. */
export async function push(repository: LocalRepository, layer: string, tags: string[] = [], more: object = {}) {
  for (const blob of ['{}', layer]) await repository.ingestBlob(from(blob), {})
  const manifest = image(layer, more)
  await repository.putManifest(manifest, tags)
  return manifest
}
