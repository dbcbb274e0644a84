import type { BundleSummary } from '../artifact/types.ts'
import { IntegrityError } from '../lib/errors.ts'
import type { Digest } from '../oci/digest.ts'
import { parseManifest, type ImageManifest, type Manifest } from '../oci/manifest.ts'
import { ociLayerTarGzip } from '../oci/media.ts'
import type { Descriptor } from '../oci/target.ts'
import type { CommandContext } from './command.ts'
import { summarizeLayer } from './inspect-bundle.ts'
import type { Opened } from './open-reference.ts'

/** Layers beyond this are not fetched only to be looked into. */
const maxOpenedBytes = 64 * 1024 * 1024

/** What `inspect REF` shows; the same as a document. */
export interface Artifact {
  reference: string
  mediaType: string
  digest: Digest
  /** Bytes of the manifest. */
  size: number
  artifactType?: string
  subject?: Digest
  annotations?: Record<string, string>
  /** Of an image manifest. */
  config?: Descriptor
  layers?: Descriptor[]
  /** Of an index. */
  manifests?: Descriptor[]
  referrers: Descriptor[]
  /** What OPA would find in it; absent where it is no bundle. */
  bundle?: BundleSummary
  /** Why it was not looked into, although it may be one. */
  notBundle?: string
}

export async function inspectArtifact(context: CommandContext, { target, reference, full }: Opened): Promise<Artifact> {
  const { signal } = context
  const raw = await target.manifest(reference, signal)
  const manifest = parseManifest(raw)
  const referrers = await target.referrers(raw.digest, { signal })
  const common = { reference: full, mediaType: raw.mediaType, digest: raw.digest, size: raw.bytes.length }
  return { ...common, ...membersOf(manifest), referrers, ...(await lookInside(context, { target, full }, manifest)) }
}

function membersOf(manifest: Manifest): Partial<Artifact> {
  const { artifactType, subject, annotations } = manifest
  return {
    ...(artifactType !== undefined && { artifactType }),
    ...(subject !== undefined && { subject: subject.digest }),
    ...(annotations !== undefined && { annotations }),
    ...(manifest.kind === 'index'
      ? { manifests: manifest.manifests }
      : { config: manifest.config, layers: manifest.layers }),
  }
}

/** OPA takes the first layer of this type, so one that has several, or others, is an image that only longshore would repack. */
function bundleLayer({ layers }: ImageManifest): Descriptor | undefined {
  const [layer, ...others] = layers
  return layer?.mediaType === ociLayerTarGzip && others.length === 0 ? layer : undefined
}

async function lookInside(
  { output, signal }: CommandContext,
  { target, full }: Pick<Opened, 'target' | 'full'>,
  manifest: Manifest,
): Promise<Pick<Artifact, 'bundle' | 'notBundle'>> {
  const layer = manifest.kind === 'image' ? bundleLayer(manifest) : undefined
  if (layer === undefined) return {}
  if (layer.size > maxOpenedBytes)
    return { notBundle: `its layer has ${layer.size} bytes: pull it to see what is in it` }
  const progress = output.progress(`reading ${full}`)
  try {
    const onProgress = (bytes: number) => progress.update(bytes, layer.size)
    return { bundle: await summarizeLayer(target, layer, { signal, onProgress }) }
  } catch (error) {
    // A container image, say: that OPA would not load it is no reason not to show the rest.
    if (!(error instanceof IntegrityError) || wrongBytes.has(error.code)) throw error
    return { notBundle: error.message }
  } finally {
    progress.end()
  }
}

const wrongBytes = new Set(['digest_mismatch', 'size_mismatch'])
