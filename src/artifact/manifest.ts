import { digestOf } from '../oci/digest.ts'
import {
  annotationContentDigest,
  annotationTitle,
  annotationUnpack,
  emptyJson,
  ociConfig,
  ociEmpty,
  ociLayerTarGzip,
  ociManifest,
} from '../oci/media.ts'
import type { Descriptor, RawManifest } from '../oci/target.ts'
import type { Packed } from './pack.ts'

/** What oras calls an artifact whose type nobody named. */
const unknownArtifact = 'application/vnd.unknown.artifact.v1'

export const emptyConfig: Descriptor = { mediaType: ociConfig, digest: digestOf(emptyJson), size: emptyJson.length }
/** For artifacts that have none: oras writes the bytes into the descriptor. */
export const noConfig: Descriptor = {
  mediaType: ociEmpty,
  digest: digestOf(emptyJson),
  size: emptyJson.length,
  data: emptyJson.toString('base64'),
}

/**
 * The artifact that OPA, oras, conftest, regctl and the policy CLI all read: an image manifest with one layer that is
 * marked for unpacking. Without dates, so that the same files have the same digest.
 */
export function bundleManifest(packed: Packed): { manifest: RawManifest; layer: Descriptor } {
  const layer = archiveLayer(packed, '.')
  return { manifest: bundleManifestOf(layer), layer }
}

export function bundleManifestOf(layer: Descriptor): RawManifest {
  return toRaw({ config: emptyConfig, layers: [layer] })
}

/** What `oras push` writes for single files and folders. */
export function filesManifest(layers: Descriptor[]): RawManifest {
  return toRaw({ artifactType: unknownArtifact, config: noConfig, layers })
}

/** A folder as one layer; `title` is where it is unpacked. */
export function archiveLayer(packed: Packed, title: string): Descriptor {
  return {
    mediaType: ociLayerTarGzip,
    digest: packed.digest,
    size: packed.size,
    annotations: {
      [annotationContentDigest]: packed.uncompressedDigest,
      [annotationUnpack]: 'true',
      [annotationTitle]: title,
    },
  }
}

function toRaw(content: { artifactType?: string; config: Descriptor; layers: Descriptor[] }): RawManifest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociManifest, ...content }))
  return { mediaType: ociManifest, digest: digestOf(bytes), bytes }
}
