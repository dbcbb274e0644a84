import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { buildBundle } from '../../../src/artifact/build.ts'
import { packPush as openPush, type Push } from '../../../src/artifact/push.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { tempDir } from '../../support/temp.ts'
import { file, folder, read, refusal, save, tarGz } from './support.ts'

const sources = { 'authz/policy.rego': 'package authz\n', 'users/data.json': '{"ann":true}' }

async function packPush(...given: Parameters<typeof openPush>): Promise<Push> {
  const push = await openPush(...given)
  onTestFinished(() => push.close())
  return push
}

interface Layer {
  mediaType: string
  digest: string
  annotations: Record<string, string>
}

/** Checks that every blob is what its descriptor says, and gives the layers with their bytes. */
async function layersOf(push: Push): Promise<{ layer: Layer; bytes: Buffer }[]> {
  const manifest = JSON.parse(Buffer.from(push.manifest.bytes).toString()) as { config: Layer; layers: Layer[] }
  expect(push.manifest.digest).toBe(digestOf(push.manifest.bytes))
  const found = new Map<string, Buffer>()
  for (const { descriptor, open } of push.blobs) {
    const bytes = Buffer.concat(await Array.fromAsync(open()))
    expect(descriptor).toMatchObject({ digest: digestOf(bytes), size: bytes.length })
    found.set(descriptor.digest, bytes)
  }
  expect([...found.keys()].sort()).toEqual([manifest.config, ...manifest.layers].map(({ digest }) => digest).sort())
  return manifest.layers.map((layer) => ({ layer, bytes: found.get(layer.digest)! }))
}

describe('pushing a bundle', () => {
  it('of a folder makes the artifact that OPA and oras read, of the bytes that build makes', async () => {
    const dir = folder(sources)
    const push = await packPush([dir])
    const [only, ...others] = await layersOf(push)
    const { packed } = await buildBundle({ dirs: [dir], output: join(tempDir('build'), 'b.tar.gz') })
    expect(push.kind).toBe('bundle')
    expect(others).toEqual([])
    expect(only!.layer).toMatchObject({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: packed.digest,
      annotations: {
        'org.opencontainers.image.title': '.',
        'io.deis.oras.content.unpack': 'true',
        'io.deis.oras.content.digest': packed.uncompressedDigest,
      },
    })
    await push.close()
  })

  it('gives the same digest every time', async () => {
    const [one, other] = [await packPush([folder(sources)]), await packPush([folder(sources)])]
    expect(one.manifest.digest).toBe(other.manifest.digest)
  })

  it('of an archive keeps what build made', async () => {
    const output = join(tempDir('build'), 'bundle.tar.gz')
    await buildBundle({ dirs: [folder(sources)], output })
    const push = await packPush([output])
    expect((await layersOf(push))[0]!.bytes.equals(readFileSync(output))).toBe(true)
  })

  it('of an archive by `opa build` gives names that oras unpacks, in the manifest too', async () => {
    const manifest = {
      revision: 'r',
      roots: [''],
      wasm: [{ entrypoint: 'a/x', module: '/policy.wasm' }],
      file_rego_versions: { '/a.rego': 0 },
    }
    const bytes = tarGz(
      file('/data.json', '{}'),
      file('/a.rego', 'package a'),
      file('/policy.wasm', 'wasm'),
      file('/.manifest', JSON.stringify(manifest)),
    )
    const [only] = await layersOf(await packPush([save(bytes, 'bundle.tar.gz')]))
    const files = await read(only!.bytes)
    expect(Object.keys(files)).toEqual(['.manifest', 'a.rego', 'data.json', 'policy.wasm'])
    expect(JSON.parse(files['.manifest']!)).toEqual({
      ...manifest,
      wasm: [{ entrypoint: 'a/x', module: 'policy.wasm' }],
      file_rego_versions: { 'a.rego': 0 },
    })
  })

  it('of a signed archive whose names would have to change sends it as it is', async () => {
    const payload = Buffer.from('{"files":[]}').toString('base64url')
    const bytes = tarGz(
      file('/policy.wasm', 'wasm'),
      file('/.signatures.json', JSON.stringify({ signatures: [`e30.${payload}.c2ln`] })),
      file('/.manifest', JSON.stringify({ wasm: [{ entrypoint: 'a/x', module: '/policy.wasm' }] })),
    )
    const push = await packPush([save(bytes, 'bundle.tar.gz')])
    const [only] = await layersOf(push)
    expect(push.kind).toBe('bundle')
    expect(only!.bytes.equals(bytes)).toBe(true)
    expect(only!.layer.annotations).toEqual({ 'org.opencontainers.image.title': 'bundle.tar.gz' })
  })

  it('warns of files that OPA will not load', async () => {
    const push = await packPush([folder({ ...sources, 'README.md': '' })])
    expect(push.warnings).toEqual(['README.md is in the bundle, but OPA does not load it'])
  })

  it('refuses what OPA would', async () => {
    expect(await refusal(packPush([folder({ 'data.json': '{' })]))).toMatchObject({
      code: 'bad_bundle',
      file: 'data.json',
    })
    const bytes = tarGz(file('data.json', '{'))
    expect(await refusal(packPush([save(bytes, 'b.tgz')]))).toMatchObject({ code: 'bad_bundle', file: 'data.json' })
  })

  it('removes what it packed when it is closed', async () => {
    const push = await packPush([folder(sources)])
    await push.close()
    await expect(layersOf(push)).rejects.toThrow('ENOENT')
  })
})

describe('pushing files', () => {
  it('makes what oras makes: a titled layer for each, no config', async () => {
    const cwd = folder({ 'zones/db.a': 'a', b: 'b' })
    const push = await packPush(['zones/db.a', './b'], { cwd })
    expect(push.kind).toBe('files')
    expect(await layersOf(push)).toMatchObject([
      {
        layer: {
          mediaType: 'application/vnd.oci.image.layer.v1.tar',
          annotations: { 'org.opencontainers.image.title': 'zones/db.a' },
        },
        bytes: Buffer.from('a'),
      },
      { layer: { annotations: { 'org.opencontainers.image.title': 'b' } }, bytes: Buffer.from('b') },
    ])
    expect(JSON.parse(Buffer.from(push.manifest.bytes).toString())).toMatchObject({
      artifactType: 'application/vnd.unknown.artifact.v1',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, data: 'e30=' },
    })
  })

  it('packs a folder under its own name', async () => {
    const cwd = folder({ 'zones/db.a': 'a', 'zones/.hidden': 'h' })
    const [only] = await layersOf(await packPush(['zones'], { cwd }))
    expect(only!.layer.annotations).toMatchObject({
      'org.opencontainers.image.title': 'zones',
      'io.deis.oras.content.unpack': 'true',
    })
    expect(await read(only!.bytes)).toEqual({ zones: null, 'zones/.hidden': 'h', 'zones/db.a': 'a' })
  })

  it('calls what lies elsewhere by its last name', async () => {
    const dir = folder({ 'x/a.txt': 'a' })
    const [only] = await layersOf(await packPush([join(dir, 'x/a.txt')], { cwd: tempDir('cwd') }))
    expect(only!.layer.annotations).toEqual({ 'org.opencontainers.image.title': 'a.txt' })
  })

  it('says that a file has gone to whoever reads it, and nobody before', async () => {
    const cwd = folder({ b: 'b' })
    const { blobs } = await packPush(['b'], { cwd })
    rmSync(join(cwd, 'b'))
    const contents = blobs.map(({ open }) => open())
    // Longer than it takes to open a file.
    for (let turn = 0; turn < 3; turn++) await stat(cwd)
    const read = contents.map((content) => Array.fromAsync(content))
    const outcomes = (await Promise.allSettled(read)).map(({ status }) => status)
    expect(outcomes.toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  it('takes an archive of something else for a file', async () => {
    const path = save(tarGz(file('bin/tool', '#!')), 'tool.tar.gz')
    const push = await packPush([path], { cwd: dirname(path) })
    expect(push.kind).toBe('files')
    expect((await layersOf(push))[0]!.layer.annotations).toEqual({ 'org.opencontainers.image.title': 'tool.tar.gz' })
  })

  it.each([
    ['nothing', []],
    ['what is not there', ['nowhere']],
    ['two paths of one name', ['a/x', 'a/./x']],
    ['a folder with a link in it', ['linked']],
  ])("is the user's to mend: %s", async (_what, paths) => {
    const cwd = folder({ 'a/x': '1' })
    mkdirSync(join(cwd, 'linked'))
    writeFileSync(join(cwd, 'linked/file'), '')
    symlinkSync('/etc', join(cwd, 'linked/etc'))
    await expect(packPush(paths, { cwd })).rejects.toThrow(ConfigError)
    expect(existsSync(cwd)).toBe(true)
  })
})
