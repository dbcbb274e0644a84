import { IntegrityError } from '../lib/errors.ts'
import { artifactTypeOf, bareMediaType, parseManifest, type Manifest } from '../oci/manifest.ts'
import { dockerList, dockerManifest, isImageManifest, isIndex, ociIndex, ociManifest } from '../oci/media.ts'
import type { Descriptor, RawManifest } from '../oci/target.ts'
import type { ManifestRow, Reference } from '../state/state.ts'

/** A manifest as the catalog keeps it. */
export interface CheckedManifest {
  row: ManifestRow
  references: Reference[]
}

/** That the bytes hash to the digest is for content to check. Throws IntegrityError `bad_manifest` when it is none that we keep. */
export function checkManifest(raw: RawManifest): CheckedManifest {
  const mediaType = bareMediaType(raw.mediaType)
  if (!isImageManifest(mediaType) && !isIndex(mediaType)) {
    throw new IntegrityError('bad_manifest', `"${mediaType.slice(0, 100)}" is no type of manifest that is kept here`, {
      hint: `Accepted are ${[ociManifest, ociIndex, dockerManifest, dockerList].join(', ')}.`,
    })
  }
  const manifest = parseManifest({ ...raw, mediaType })
  return {
    row: {
      digest: raw.digest,
      mediaType,
      size: raw.bytes.byteLength,
      artifactType: artifactTypeIn(manifest),
      subject: manifest.subject?.digest ?? null,
      annotations: manifest.annotations ?? null,
    },
    references: referencesOf(manifest),
  }
}

/** The config's type stands in only where the referrers list wants it. */
function artifactTypeIn(manifest: Manifest): string | null {
  return (manifest.subject === undefined ? manifest.artifactType : artifactTypeOf(manifest)) ?? null
}

function referencesOf(manifest: Manifest): Reference[] {
  if (manifest.kind === 'index') {
    return manifest.manifests.map(({ digest }) => ({ digest, kind: 'manifest', required: true }))
  }
  const blobs = [manifest.config, ...manifest.layers]
  return blobs.map((blob) => ({ digest: blob.digest, kind: 'blob', required: !staysElsewhere(blob) }))
}

/** Layers whose licence forbids to pass them on: https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers */
function staysElsewhere({ mediaType }: Descriptor): boolean {
  return mediaType.includes('.nondistributable.') || mediaType.includes('.foreign.')
}

/** As lists and HEAD answers show it. */
export function descriptorOf(row: ManifestRow): Descriptor {
  return {
    mediaType: row.mediaType,
    digest: row.digest,
    size: row.size,
    ...(row.artifactType !== null && { artifactType: row.artifactType }),
    ...(row.annotations !== null && { annotations: row.annotations }),
  }
}
