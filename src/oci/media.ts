/** https://github.com/opencontainers/image-spec/blob/main/media-types.md */
export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'
export const ociConfig = 'application/vnd.oci.image.config.v1+json'
export const ociEmpty = 'application/vnd.oci.empty.v1+json'
export const ociLayerTar = 'application/vnd.oci.image.layer.v1.tar'
export const ociLayerTarGzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const ociLayerTarZstd = 'application/vnd.oci.image.layer.v1.tar+zstd'
export const ociLayerNondistributable = 'application/vnd.oci.image.layer.nondistributable.v1.tar'
/** https://github.com/distribution/distribution/blob/main/docs/content/spec/manifest-v2-2.md */
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json'
export const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const dockerConfig = 'application/vnd.docker.container.image.v1+json'
export const dockerLayerTarGzip = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
export const dockerLayerForeign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
export const dockerSchema1 = 'application/vnd.docker.distribution.manifest.v1+json'
export const dockerSchema1Signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

export const annotationTitle = 'org.opencontainers.image.title'
export const annotationRefName = 'org.opencontainers.image.ref.name'
export const annotationUnpack = 'io.deis.oras.content.unpack'
export const annotationContentDigest = 'io.deis.oras.content.digest'

/** The `{}` blob. https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidance-for-an-empty-descriptor */
export const emptyJson = Buffer.from('{}')

export function isIndex(mediaType: string): boolean {
  return mediaType === ociIndex || mediaType === dockerList
}

export function isImageManifest(mediaType: string): boolean {
  return mediaType === ociManifest || mediaType === dockerManifest
}

export function isSchema1(mediaType: string): boolean {
  return mediaType === dockerSchema1 || mediaType === dockerSchema1Signed
}
