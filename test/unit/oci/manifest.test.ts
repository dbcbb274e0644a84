import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  artifactTypeOf,
  childrenOf,
  parseManifest,
  selectPlatform,
  type IndexManifest,
} from '../../../src/oci/manifest.ts'
import { dockerList, dockerManifest, dockerSchema1Signed, ociIndex, ociManifest } from '../../../src/oci/media.ts'
import type { RawManifest } from '../../../src/oci/target.ts'

const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }
const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: digestOf('layer'), size: 5 }
const image = { schemaVersion: 2, mediaType: ociManifest, config, layers: [layer] }
const member = { mediaType: ociManifest, digest: digestOf('member'), size: 6 }

function raw(json: unknown, mediaType = ociManifest): RawManifest {
  const bytes = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json))
  return { mediaType, bytes, digest: digestOf(bytes) }
}

function index(...manifests: unknown[]): IndexManifest {
  return parseManifest(raw({ schemaVersion: 2, mediaType: ociIndex, manifests }, ociIndex)) as IndexManifest
}

const badManifest = expect.objectContaining({ name: 'IntegrityError', code: 'bad_manifest' }) as Error

describe('parseManifest', () => {
  it('reads an image manifest with everything it may carry', () => {
    const manifest = parseManifest(
      raw({ ...image, subject: member, artifactType: 'application/x.test', annotations: { a: 'b' }, unknown: [1] }),
    )
    expect(manifest).toEqual({
      kind: 'image',
      mediaType: ociManifest,
      config,
      layers: [layer],
      subject: member,
      artifactType: 'application/x.test',
      annotations: { a: 'b' },
    })
    expect(childrenOf(manifest)).toEqual([config, layer])
    expect(artifactTypeOf(manifest)).toBe('application/x.test')
  })

  it('takes the type of the config for the artifact type where none is stated', () => {
    expect(artifactTypeOf(parseManifest(raw(image)))).toBe(config.mediaType)
  })

  it('reads Docker schema 2 and its list', () => {
    expect(parseManifest(raw({ ...image, mediaType: dockerManifest }, dockerManifest)).kind).toBe('image')
    const list = { schemaVersion: 2, mediaType: dockerList, manifests: [member] }
    expect(parseManifest(raw(list, dockerList))).toMatchObject({ kind: 'index', manifests: [member] })
  })

  it('ignores parameters of the Content-Type', () => {
    expect(parseManifest(raw(image, `${ociManifest}; charset=utf-8`)).mediaType).toBe(ociManifest)
  })

  it('takes a manifest without mediaType for what it came as', () => {
    expect(parseManifest(raw({ schemaVersion: 2, config, layers: null })).mediaType).toBe(ociManifest)
  })

  it('refuses schema 1 and says what to do', () => {
    const old = raw({ schemaVersion: 1, fsLayers: [] }, dockerSchema1Signed)
    expect(() => parseManifest(old)).toThrow(expect.objectContaining({ code: 'unsupported_artifact' }) as Error)
  })

  it('refuses what is no manifest by its type', () => {
    expect(() => parseManifest(raw(image, 'text/html'))).toThrow(/no manifest/)
  })

  it.each([
    ['a mediaType that differs from the Content-Type', raw({ ...image, mediaType: ociIndex })],
    ['both manifests and layers (CVE-2021-41190)', raw({ ...image, manifests: [member] })],
    ['both, in an index (CVE-2021-41190)', raw({ schemaVersion: 2, manifests: [], layers: [] }, ociIndex)],
    ['an index sent as an image (CVE-2021-41190)', raw({ schemaVersion: 2, manifests: [member] })],
    ['an image sent as an index (CVE-2021-41190)', raw({ schemaVersion: 2, config, layers: [] }, ociIndex)],
    ['a layer digest that is a path (CVE-2024-3727)', raw({ ...image, layers: [{ ...layer, digest: '../../etc' }] })],
    ['a digest of the wrong length (CVE-2024-3727)', raw({ ...image, config: { ...config, digest: 'sha256:00' } })],
    [
      'a member digest that is no string (CVE-2024-3727)',
      raw({ schemaVersion: 2, manifests: [{ ...member, digest: 1 }] }, ociIndex),
    ],
    ['a subject with a bad digest (CVE-2024-3727)', raw({ ...image, subject: { ...member, digest: 'sha256:..' } })],
    ['a negative size', raw({ ...image, layers: [{ ...layer, size: -1 }] })],
    ['a size that is no integer', raw({ ...image, layers: [{ ...layer, size: 1.5 }] })],
    ['no config', raw({ schemaVersion: 2, layers: [] })],
    ['schemaVersion 1', raw({ ...image, schemaVersion: 1 })],
    ['an annotation that is no string', raw({ ...image, annotations: { a: 1 } })],
    ['a media type that is none', raw({ ...image, layers: [{ ...layer, mediaType: 'x\r\ny: z' }] })],
    ['a list', raw('[]')],
    ['no JSON', raw('<html>')],
    ['invalid UTF-8', { mediaType: ociManifest, digest: digestOf('x'), bytes: Buffer.from([0x7b, 0xff, 0x7d]) }],
    ['JSON nested too deep', raw(`{"a":${'['.repeat(100)}${']'.repeat(100)}}`)],
    ['more than 4 MiB', raw(`{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`)],
  ])('refuses %s', (_what, manifest) => {
    expect(() => parseManifest(manifest)).toThrow(badManifest)
  })

  it('does not take brackets inside of strings for depth', () => {
    expect(parseManifest(raw({ ...image, annotations: { a: '\\"[[['.repeat(100) } })).kind).toBe('image')
  })
})

describe('selectPlatform', () => {
  const of = (text: string, platform?: unknown, annotations?: unknown) => ({
    ...member,
    digest: digestOf(text),
    platform,
    annotations,
  })
  const amd64 = of('amd64', { os: 'linux', architecture: 'amd64' })
  const arm64 = of('arm64', { os: 'linux', architecture: 'arm64', variant: 'v8' })
  const attestation = of('attestation', { os: 'unknown', architecture: 'unknown' })

  it('finds the member for a machine, whatever the order', () => {
    expect(selectPlatform(index(attestation, arm64, amd64), 'linux/amd64')?.digest).toBe(amd64.digest)
    expect(selectPlatform(index(amd64, arm64), 'linux/arm64')?.digest).toBe(arm64.digest)
    expect(selectPlatform(index(amd64, arm64), 'linux/aarch64')?.digest).toBe(arm64.digest)
  })

  it('gives nothing rather than the wrong machine', () => {
    expect(selectPlatform(index(arm64), 'linux/amd64')).toBeUndefined()
    expect(selectPlatform(index(amd64), 'windows/amd64')).toBeUndefined()
  })

  it('never takes an attestation', () => {
    expect(selectPlatform(index(attestation), 'unknown/unknown')).toBeUndefined()
    const marked = of('marked', undefined, { 'vnd.docker.reference.type': 'attestation-manifest' })
    expect(selectPlatform(index(marked), 'linux/amd64')).toBeUndefined()
  })

  it('takes the variant asked for, and the default one where none is', () => {
    const v6 = of('v6', { os: 'linux', architecture: 'arm', variant: 'v6' })
    const v7 = of('v7', { os: 'linux', architecture: 'arm', variant: 'v7' })
    expect(selectPlatform(index(v6, v7), 'linux/arm')?.digest).toBe(v7.digest)
    expect(selectPlatform(index(v6, v7), 'linux/arm/v6')?.digest).toBe(v6.digest)
    expect(selectPlatform(index(v6), 'linux/arm/v7')).toBeUndefined()
  })

  it('takes a single member that names no platform for all of them', () => {
    expect(selectPlatform(index(of('one'), attestation), 'linux/amd64')?.digest).toBe(digestOf('one'))
    expect(selectPlatform(index(of('one'), of('two')), 'linux/amd64')).toBeUndefined()
  })

  it('refuses a word that is no platform', () => {
    expect(() => selectPlatform(index(), 'amd64')).toThrow(expect.objectContaining({ name: 'ConfigError' }) as Error)
  })
})
