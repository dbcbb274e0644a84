import fc from 'fast-check'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { isDigest, parseDigest } from '../../../src/oci/digest.ts'
import { type Manifest, childrenOf, parseManifest, selectPlatform } from '../../../src/oci/manifest.ts'
import {
  dockerList,
  dockerManifest,
  dockerSchema1,
  isIndex,
  ociConfig,
  ociEmpty,
  ociIndex,
  ociLayerTarGzip,
  ociManifest,
} from '../../../src/oci/media.ts'
import { hostileText } from '../mutate/text.ts'
import { hostileJson } from '../mutate/tree.ts'
import { ok, outcome, property, same } from '../property.ts'
import { digests } from './references.ts'

const mediaTypes = fc.constantFrom(
  ociManifest,
  ociIndex,
  dockerManifest,
  dockerList,
  ociConfig,
  ociEmpty,
  ociLayerTarGzip,
  'application/json',
  'text/plain; charset=utf-8',
)
const annotations = fc.dictionary(
  fc.constantFrom('org.opencontainers.image.title', 'a', '__proto__'),
  fc.string({ maxLength: 5 }),
  { maxKeys: 2 },
)
const platforms = fc.record(
  {
    os: fc.constantFrom('linux', 'unknown', ''),
    architecture: fc.constantFrom('amd64', 'arm64', 'x86_64', 'unknown'),
    variant: fc.constantFrom('v7', 'v8'),
  },
  { requiredKeys: ['os', 'architecture'] },
)
export const descriptors = fc.record(
  {
    mediaType: mediaTypes,
    digest: digests,
    size: fc.nat(),
    annotations,
    artifactType: mediaTypes,
    platform: platforms,
    urls: fc.subarray(['https://example.com/layer']),
    data: fc.constant('e30='),
  },
  { requiredKeys: ['mediaType', 'digest', 'size'] },
)
const optional = { subject: descriptors, artifactType: mediaTypes, annotations }
const images = fc.record(
  {
    schemaVersion: fc.constant(2),
    mediaType: fc.constant(ociManifest),
    config: descriptors,
    layers: fc.array(descriptors, { maxLength: 3 }),
    ...optional,
  },
  { requiredKeys: ['schemaVersion', 'config', 'layers'] },
)
const indexes = fc.record(
  {
    schemaVersion: fc.constant(2),
    mediaType: fc.constant(ociIndex),
    manifests: fc.array(descriptors, { maxLength: 4 }),
    ...optional,
  },
  { requiredKeys: ['schemaVersion', 'manifests'] },
)
const manifestKeys = [
  'schemaVersion',
  'mediaType',
  'config',
  'layers',
  'manifests',
  'subject',
  'digest',
  'size',
  'platform',
  'annotations',
  'urls',
  'data',
  'artifactType',
  'fsLayers',
  'Layers',
  'MANIFESTS',
  'os',
]
const manifestTokens = [
  ociManifest,
  ociIndex,
  dockerManifest,
  dockerList,
  dockerSchema1,
  'sha256:',
  'sha256:00',
  '../../etc/passwd',
]
export const digest = parseDigest(`sha256:${'0'.repeat(64)}`)

function checkManifest(manifest: Manifest, text: string): void {
  same(manifest.kind === 'index', isIndex(manifest.mediaType))
  for (const child of [...childrenOf(manifest), ...(manifest.subject === undefined ? [] : [manifest.subject])]) {
    ok(isDigest(child.digest) && Number.isSafeInteger(child.size) && child.size >= 0)
  }
  const json = JSON.parse(text) as Record<string, unknown>
  ok((json.manifests ?? null) === null || (json.layers ?? null) === null)
  ok(Object.keys(json).every((key) => !/^(layers|manifests|config)$/iu.test(key) || key === key.toLowerCase()))
  const { kind: _kind, ...rest } = manifest
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...rest }))
  same(parseManifest({ mediaType: manifest.mediaType, digest, bytes }), manifest)
  if (manifest.kind === 'index') {
    const found = selectPlatform(manifest, 'linux/amd64')
    ok(found === undefined || manifest.manifests.includes(found))
  }
}

export const manifestProperties = [
  property(
    'manifests',
    fc.tuple(
      hostileText(
        fc.constantFrom(
          ociManifest,
          ociIndex,
          dockerManifest,
          dockerList,
          dockerSchema1,
          `${ociManifest}; charset=utf-8`,
        ),
        [';', ' '],
      ),
      hostileJson(fc.oneof(images, indexes), manifestTokens, manifestKeys),
    ),
    ([contentType, text]) => {
      for (const mediaType of [contentType, ociManifest, ociIndex]) {
        const manifest = outcome(() => parseManifest({ mediaType, digest, bytes: Buffer.from(text) }), IntegrityError, [
          'bad_manifest',
          'unsupported_artifact',
        ])
        if (manifest !== undefined) checkManifest(manifest, text)
      }
    },
  ),
  property('manifests that were written', fc.oneof(images, indexes), (json) => {
    const mediaType = 'manifests' in json ? ociIndex : ociManifest
    const manifest = parseManifest({ mediaType, digest, bytes: Buffer.from(JSON.stringify(json)) })
    same(
      childrenOf(manifest).map((child) => child.digest),
      'manifests' in json
        ? json.manifests.map((one) => one.digest)
        : [json.config, ...json.layers].map((one) => one.digest),
    )
  }),
]
