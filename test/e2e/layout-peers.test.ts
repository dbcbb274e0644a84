import { mkdirSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, expect, it } from 'vitest'
import { createFolderContent } from '../../src/content/folder.ts'
import { contentId } from '../../src/content/files.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { annotationTitle, ociConfig, ociIndex, ociLayerTarGzip, ociManifest } from '../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../src/oci/target.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import type { LocalRepository } from '../../src/registry/types.ts'
import { createSqliteState } from '../../src/state/sqlite/client.ts'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { tempDir } from '../support/temp.ts'

// Repositories that each have a `latest` share one folder of blobs; other tools must read each as the layout it is, with
// nothing of ours running.

const layer = gzipSync(Buffer.alloc(1024))
const config = Buffer.from(
  JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [digestOf(Buffer.alloc(1024))] },
  }),
)
let folder: string
let image: RawManifest
let signature: RawManifest

beforeAll(async () => {
  folder = tempDir('layout-peers')
  const state = await createSqliteState({ path: folder, contentId: await contentId(folder), logger: silentLogger })
  const content = await createFolderContent({ path: folder, logger: silentLogger })
  const { catalog } = state
  const registry = createRegistry({ content, catalog, clock: systemClock, logger: silentLogger, folder })
  for (const name of ['team/policies', 'team', 'team/blobs']) {
    const repository = registry.repository(name)
    image = await push(repository, [layer], ['latest', 'v1.0.0'])
    signature = await push(repository, [], ['signed'], {
      subject: { mediaType: ociManifest, digest: image.digest, size: image.bytes.byteLength },
      artifactType: 'application/vnd.example.signature',
    })
    const member = { mediaType: ociManifest, digest: image.digest, size: image.bytes.byteLength }
    const manifests = [{ ...member, platform: { os: 'linux', architecture: 'amd64' } }]
    await repository.putManifest(raw({ schemaVersion: 2, mediaType: ociIndex, manifests }, ociIndex), ['multi'])
  }
  await registry.close()
  await content.close()
  await state.close()
})

async function push(repository: LocalRepository, layers: Buffer[], tags: string[], more: object = {}) {
  const blobs: [Buffer, string][] = [
    [config, ociConfig],
    ...layers.map((one): [Buffer, string] => [one, ociLayerTarGzip]),
  ]
  const [configDescriptor, ...layerDescriptors] = blobs.map(([bytes, mediaType]) => describeBlob(bytes, mediaType))
  for (const [bytes] of blobs) {
    await repository.ingestBlob(
      (async function* () {
        yield await Promise.resolve(bytes)
      })(),
      {},
    )
  }
  const manifest = raw({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: configDescriptor,
    layers: layerDescriptors.map((one) => ({ ...one, annotations: { [annotationTitle]: 'policy.tar.gz' } })),
    ...more,
  })
  await repository.putManifest(manifest, tags)
  return manifest
}

function describeBlob(bytes: Buffer, mediaType: string): Descriptor {
  return { mediaType, digest: digestOf(bytes), size: bytes.byteLength }
}

function raw(value: object, mediaType = ociManifest): RawManifest {
  const bytes = Buffer.from(JSON.stringify(value))
  return { mediaType, digest: digestOf(bytes), bytes }
}

const names = ['team/policies', 'team', 'team/blobs_']
const layoutOf = (name: string) => join(folder, 'repositories', name)

needs('skopeo')('skopeo', () => {
  it.each(names)('inspects and copies out of %s', async (name) => {
    const { stdout } = await execOk(component('skopeo'), ['inspect', '--raw', `oci:${layoutOf(name)}:latest`])
    expect(digestOf(stdout)).toBe(image.digest)
    const target = tempDir('skopeo')
    const copy = ['copy', '--insecure-policy', `oci:${layoutOf(name)}:v1.0.0`, `dir:${target}`]
    await execOk(component('skopeo'), copy)
    expect(digestOf(readFileSync(join(target, 'manifest.json')))).toBe(image.digest)
    expect(readFileSync(join(target, digestOf(layer).slice(7)))).toEqual(layer)
  })
})

needs('oras')('oras', () => {
  it.each(names)('lists, fetches, pulls and discovers in %s', async (name) => {
    const tags = await execOk(component('oras'), ['repo', 'tags', '--oci-layout', layoutOf(name)])
    expect(tags.stdout.trim().split('\n').sort()).toEqual(['latest', 'multi', 'signed', 'v1.0.0'])
    const fetched = await execOk(component('oras'), ['manifest', 'fetch', '--oci-layout', `${layoutOf(name)}:latest`])
    expect(digestOf(fetched.stdout)).toBe(image.digest)
    const target = tempDir('oras')
    await execOk(component('oras'), ['pull', '--oci-layout', `${layoutOf(name)}:latest`, '-o', target])
    expect(readdirSync(target)).toEqual(['policy.tar.gz'])
    expect(readFileSync(join(target, 'policy.tar.gz'))).toEqual(layer)
    const discovered = await execOk(component('oras'), [
      'discover',
      '--oci-layout',
      `${layoutOf(name)}:latest`,
      '--format',
      'json',
    ])
    expect(discovered.stdout).toContain(signature.digest)
  })
})

needs('regctl')('regctl', () => {
  it.each(names)('lists, reads and copies out of %s', async (name) => {
    const home = tempDir('regctl')
    const regctl = (...args: string[]) => execOk(component('regctl'), args, { env: { HOME: home } })
    const tags = await regctl('tag', 'ls', `ocidir://${layoutOf(name)}`)
    expect(tags.stdout.trim().split('\n').sort()).toEqual(['latest', 'multi', 'signed', 'v1.0.0'])
    const body = await regctl('manifest', 'get', '--format', 'raw-body', `ocidir://${layoutOf(name)}:latest`)
    expect(digestOf(body.stdout)).toBe(image.digest)
    const target = join(tempDir('regctl-copy'), 'copy')
    mkdirSync(target)
    await regctl('image', 'copy', `ocidir://${layoutOf(name)}:multi`, `ocidir://${target}:multi`)
    expect(readFileSync(join(target, 'blobs/sha256', digestOf(layer).slice(7)))).toEqual(layer)
  })
})
