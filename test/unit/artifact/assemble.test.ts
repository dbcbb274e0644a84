import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { readArchive } from '../../../src/artifact/archive.ts'
import { createAssembler } from '../../../src/artifact/assemble.ts'
import type { Assembled, AssembleOptions } from '../../../src/artifact/types.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociIndex } from '../../../src/oci/media.ts'
import type { Descriptor, RawManifest } from '../../../src/oci/target.ts'
import { tempDir } from '../../support/temp.ts'
import { entry, file, image, limits, read, refusal, save, tar, tarGz, TestBlobs } from './support.ts'

const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
const docker = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
const rego = 'application/vnd.cncf.openpolicyagent.policy.layer.v1+rego'
const data = 'application/vnd.cncf.openpolicyagent.data.layer.v1+json'
const assembler = createAssembler({ threads: 1 })
const blobs = new TestBlobs()
const scratch = tempDir('scratch')

afterAll(() => assembler.close())

function assemble(layers: Descriptor[] | RawManifest, options: Partial<AssembleOptions> = {}): Promise<Assembled> {
  const manifest = Array.isArray(layers) ? image(layers) : layers
  return assembler.assemble(manifest, blobs, { kind: 'opa', limits, scratch, ...options })
}

/** The files of what was packed, and nothing else of it. */
async function filesOf({ packed, layer }: Assembled): Promise<Record<string, string | null>> {
  const bytes = readFileSync(packed!)
  expect(layer).toMatchObject({ digest: digestOf(bytes), size: bytes.length })
  const all = await read(bytes)
  return Object.fromEntries(Object.entries(all).filter(([, content]) => content !== null))
}

const policy = file('authz/policy.rego', 'package authz\n\nallow := data.users.ann\n')
const users = file('users/data.json', '{"ann":true}')
const manifest = (content: object) => file('.manifest', JSON.stringify(content))

describe('what OPA can load as it came', () => {
  it.each([
    ['untitled', blobs.layer(tarGz(manifest({ revision: 'r1' }), policy, users), gzip)],
    ['marked for unpacking', blobs.unpackable('.', tarGz(manifest({ revision: 'r1' }), policy))],
    [
      'a folder that oras packed, names with its title in front',
      blobs.unpackable('p', tarGz(file('p/.manifest', '{"revision":"r1"}'), file('p/a.rego', 'package a'))),
    ],
    [
      'as `opa build` writes it, with leading slashes',
      blobs.layer(tarGz(file('/.manifest', '{"revision":"r1"}'), file('/a.rego', 'package a')), gzip),
    ],
    [
      'as GNU tar writes it',
      blobs.layer(
        gzipSync(
          Buffer.concat([
            tar(file('./.manifest', '{"revision":"r1"}'), file('./a.rego', 'package a')),
            Buffer.alloc(7168),
          ]),
        ),
        gzip,
      ),
    ],
  ])('stays byte for byte: %s', async (_what, layer) => {
    const source = image([layer])
    expect(await assemble(source)).toEqual({ form: 'original', manifest: source, layer, packed: null, revision: 'r1' })
  })

  it('has no revision where it brought none', async () => {
    expect(await assemble([blobs.layer(tarGz(policy), gzip)])).toMatchObject({ form: 'original', revision: null })
  })
})

describe('images', () => {
  it('lays layers on each other: later ones win, whiteouts take away', async () => {
    const lower = tarGz(
      policy,
      users,
      file('old/data.json', '{}'),
      file('dir/a.rego', 'package a'),
      file('dir/b.rego', 'package b'),
      file('deep/x/data.json', '{}'),
      file('kept/data.json', '{"k":1}'),
    )
    const upper = tarGz(
      file('users/data.json', '{"ann":false}'),
      file('old/.wh.data.json', ''),
      file('dir/.wh..wh..opq', ''),
      file('dir/c.rego', 'package c'),
      file('.wh.deep', ''),
      file('.wh..wh.plnk', ''),
    )
    const assembled = await assemble([blobs.layer(lower, docker), blobs.layer(upper, docker)])
    expect(assembled.form).toBe('repacked')
    expect(await filesOf(assembled)).toEqual({
      '.manifest': `{"revision":"${assembled.revision}"}\n`,
      'authz/policy.rego': 'package authz\n\nallow := data.users.ann\n',
      'dir/c.rego': 'package c',
      'kept/data.json': '{"k":1}',
      'users/data.json': '{"ann":false}',
    })
  })

  it('a whiteout takes away what lower layers had, not what its own layer brings', async () => {
    const lower = tarGz(file('a.rego', 'package old'), file('d/x.rego', 'package old'))
    const upper = tarGz(
      file('a.rego', 'package a'),
      file('d/y.rego', 'package y'),
      file('.wh.a.rego', ''),
      file('d/.wh..wh..opq', ''),
    )
    const files = await filesOf(await assemble([blobs.layer(lower, gzip), blobs.layer(upper, gzip)]))
    expect(Object.keys(files)).toEqual(['.manifest', 'a.rego', 'd/y.rego'])
    expect(files['a.rego']).toBe('package a')
  })

  it('a file may replace a folder, and a folder a file', async () => {
    const lower = tarGz(file('a/x.rego', 'package x'), file('b', ''), file('c', ''))
    const upper = tarGz(file('a', ''), file('b/y.rego', 'package y'), entry({ name: 'c/', type: '5' }))
    const files = await filesOf(await assemble([blobs.layer(lower, gzip), blobs.layer(upper, gzip)]))
    expect(Object.keys(files)).toEqual(['.manifest', 'a', 'b/y.rego'])
  })

  it.each([
    ['docker', docker, tarGz(policy, users)],
    ['an uncompressed tar', 'application/vnd.oci.image.layer.v1.tar', tar(policy, users)],
    ['zstd', 'application/vnd.oci.image.layer.v1.tar+zstd', zstdCompressSync(tar(policy, users))],
    ['a tar that calls itself gzip', gzip, tar(policy, users)],
    ['a whiteout in the only layer', gzip, tarGz(policy, users, file('.wh.gone', ''))],
  ])('one layer is repacked: %s', async (_what, type, bytes) => {
    const assembled = await assemble([blobs.layer(bytes, type)])
    expect(assembled.form).toBe('repacked')
    expect(Object.keys(await filesOf(assembled))).toEqual(['.manifest', 'authz/policy.rego', 'users/data.json'])
  })

  it('keeps files that OPA does not load', async () => {
    const files = await filesOf(await assemble([blobs.layer(tarGz(policy, file('bin/tool', '#!')), docker)]))
    expect(files).toHaveProperty('bin/tool', '#!')
  })

  it('without anything for OPA is refused', async () => {
    for (const type of [gzip, docker]) {
      const refused = await refusal(assemble([blobs.layer(tarGz(file('bin/nginx', '#!')), type)]))
      expect(refused).toMatchObject({ code: 'unsupported_artifact' })
    }
  })

  it('with links is refused, the file named', async () => {
    const link = entry({ name: 'lib/link', type: '2' })
    const refused = await refusal(assemble([blobs.layer(tarGz(policy, link), docker)]))
    expect(refused).toMatchObject({ code: 'unsafe_path', file: 'lib/link' })
  })

  it('counts all layers together against the limit', async () => {
    const layers = [1, 2, 3].map((fill) => blobs.layer(tar(file(`f${fill}`, Buffer.alloc(1024 * 1024, fill))), docker))
    const refused = await refusal(assemble(layers, { limits: { ...limits, maxUnpackedBytes: 2.5 * 1024 * 1024 } }))
    expect(refused).toMatchObject({ code: 'bad_archive' })
  })
})

describe('revisions', () => {
  it('of what is packed are the same for the same files and others for others', async () => {
    const one = await assemble([blobs.layer(tarGz(policy, users), docker)])
    const same = await assemble([blobs.layer(tarGz(policy), docker), blobs.layer(tarGz(users), docker)])
    const other = await assemble([blobs.layer(tarGz(policy), docker)])
    expect(one.revision).toMatch(/^sha256-[0-9a-f]{16}$/)
    expect(same.revision).toBe(one.revision)
    expect(same.manifest).toEqual(one.manifest)
    expect(other.revision).not.toBe(one.revision)
  })

  it('that the manifest brings stay, and so does all else in it', async () => {
    const own = '{"revision":"v7","roots":["authz"],"metadata":{"n":12345678901234567890}}'
    const assembled = await assemble([blobs.layer(tarGz(file('.manifest', own), policy), docker)])
    expect(assembled.revision).toBe('v7')
    expect(await filesOf(assembled)).toHaveProperty('.manifest', own)
  })

  it('are added to a manifest that has none, and nothing in it changes', async () => {
    const own = '{"roots":["authz"],"metadata":{"n":12345678901234567890,"f":1.50}}'
    const assembled = await assemble([blobs.layer(tarGz(file('.manifest', own), policy), docker)])
    const expected = `{"roots":["authz"],"metadata":{"n":12345678901234567890,"f":1.50},"revision":"${assembled.revision}"}\n`
    expect(await filesOf(assembled)).toHaveProperty('.manifest', expected)
  })

  it('are not added to a signed manifest', async () => {
    const payload = Buffer.from('{"files":[]}').toString('base64url')
    const signatures = file('.signatures.json', JSON.stringify({ signatures: [`e30.${payload}.c2ln`] }))
    const assembled = await assemble([blobs.layer(tarGz(manifest({ roots: ['authz'] }), policy, signatures), docker)])
    expect(assembled.revision).toBeNull()
    expect(await filesOf(assembled)).toHaveProperty('.manifest', '{"roots":["authz"]}')
  })
})

describe('the manifest that is made', () => {
  it('is the one that OPA, oras, conftest and policy read, without dates', async () => {
    const { manifest: made, layer } = await assemble([blobs.layer(tarGz(policy), docker)])
    expect(digestOf(made.bytes)).toBe(made.digest)
    expect(JSON.parse(Buffer.from(made.bytes).toString())).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf('{}'), size: 2 },
      layers: [layer],
    })
    expect(layer).toMatchObject({
      mediaType: gzip,
      annotations: {
        'org.opencontainers.image.title': '.',
        'io.deis.oras.content.unpack': 'true',
        'io.deis.oras.content.digest': expect.stringMatching(/^sha256:/),
      },
    })
  })
})

describe('single files', () => {
  it('that oras pushed become a bundle', async () => {
    const assembled = await assemble([
      blobs.titled('authz/policy.rego', 'package authz'),
      blobs.titled('data.json', '{"a":1}'),
    ])
    expect(assembled.form).toBe('assembled')
    expect(Object.keys(await filesOf(assembled))).toEqual(['.manifest', 'authz/policy.rego', 'data.json'])
  })

  it('that conftest pushed become one, data where its references find it', async () => {
    const assembled = await assemble([
      blobs.titled('policy/teams/x.json', '{"ann":1}', data),
      blobs.titled('policy/teams/y.yaml', 'bob: 12345678901234567890\nf: 1.5', data),
      blobs.titled('policy/only.yaml', 'top: true # as it is', data),
      blobs.titled('policy/a.rego', 'package a\n', rego),
    ])
    expect(assembled.form).toBe('assembled')
    expect(await filesOf(assembled)).toEqual({
      '.manifest': `{"revision":"${assembled.revision}"}\n`,
      'data.yaml': 'top: true # as it is',
      'policy/a.rego': 'package a\n',
      'teams/data.json': '{"ann":1,"bob":12345678901234567890,"f":1.5}',
    })
  })

  it('of conftest that contradict each other are refused', async () => {
    const layers = [blobs.titled('p/x.json', '{"a":1}', data), blobs.titled('p/y.json', '{"a":2}', data)]
    expect(await refusal(assemble(layers))).toMatchObject({ code: 'bad_bundle', file: 'p/y.json' })
  })

  it('with the same title are refused', async () => {
    const layers = [blobs.titled('a.rego', 'package a'), blobs.titled('./a.rego', 'package b')]
    expect(await refusal(assemble(layers))).toMatchObject({ code: 'bad_archive', file: 'a.rego' })
  })

  it('in a folder beside single ones are put together', async () => {
    const layers = [
      blobs.unpackable('policy', tarGz(file('policy/a.rego', 'package a'))),
      blobs.titled('data.json', '{}'),
    ]
    expect(Object.keys(await filesOf(await assemble(layers)))).toEqual(['.manifest', 'data.json', 'policy/a.rego'])
  })

  it('outside of the folder that they are marked for are refused', async () => {
    const layers = [
      blobs.unpackable('policy', tarGz(file('elsewhere/a.rego', 'package a'))),
      blobs.titled('data.json', '{}'),
    ]
    expect(await refusal(assemble(layers))).toMatchObject({ code: 'unsafe_path', file: 'elsewhere/a.rego' })
  })
})

describe('what OPA would refuse is refused, the file named', () => {
  it.each([
    ['JSON', [file('a/data.json', '{')], 'a/data.json'],
    ['YAML', [file('a/data.yaml', 'a: [')], 'a/data.yaml'],
    ['the manifest', [manifest({ roots: [1] }), policy], '.manifest'],
    ['roots that overlap', [manifest({ roots: ['a', 'a/b'] }), policy], '.manifest'],
    ['a package outside of the roots', [manifest({ roots: ['other'] }), policy], 'authz/policy.rego'],
    ['data outside of the roots', [manifest({ roots: ['authz'] }), policy, users], 'users/data.json'],
    ['a policy without a package', [file('x.rego', 'allow := true')], 'x.rego'],
    ['a delta', [file('patch.json', '{"data":[{"op":"upsert","path":"/a","value":1}]}')], 'patch.json'],
  ])('%s', async (_what, entries, at) => {
    for (const type of [gzip, docker]) {
      expect(await refusal(assemble([blobs.layer(tarGz(...entries), type)]))).toMatchObject({
        code: 'bad_bundle',
        file: at,
      })
    }
  })

  it('by the opa program, where there is one, whatever form is served', async () => {
    const opaPath = join(tempDir('opa'), 'opa')
    writeFileSync(
      opaPath,
      '#!/bin/sh\necho "error: load error: bundle $7: x/p.rego:3: rego_parse_error: bad" >&2\nexit 1\n',
      { mode: 0o755 },
    )
    const own = tempDir('scratch')
    for (const type of [gzip, docker]) {
      const refused = await refusal(assemble([blobs.layer(tarGz(policy), type)], { opaPath, scratch: own }))
      expect(refused).toMatchObject({ code: 'bad_bundle', file: 'x/p.rego' })
      expect(refused.message).toBe('OPA refuses it: x/p.rego:3: rego_parse_error: bad')
    }
    expect(readdirSync(own)).toEqual([])
  })
})

describe('files', () => {
  it('in one tar.gz stay byte for byte, whatever they are', async () => {
    const layer = blobs.layer(tarGz(file('data.json', 'not json')), gzip)
    expect(await assemble([layer], { kind: 'files' })).toMatchObject({ form: 'original', layer, revision: null })
  })

  it('with titles are packed', async () => {
    const assembled = await assemble([blobs.titled('zones/db.a', 'a'), blobs.titled('b', 'b')], { kind: 'files' })
    expect(assembled).toMatchObject({ form: 'assembled', revision: null })
    expect(await filesOf(assembled)).toEqual({ b: 'b', 'zones/db.a': 'a' })
  })

  it('stay executable', async () => {
    const run = entry({ name: 'bin/run', content: '#!', mode: 0o755 })
    const layers = [blobs.unpackable('bin', tarGz(run)), blobs.titled('b', 'b')]
    const { packed } = await assemble(layers, { kind: 'files' })
    const entries = await Array.fromAsync(readArchive(packed!, { limits, leadingSlash: 'refuse' }))
    expect(entries.filter(({ executable }) => executable).map(({ path }) => path)).toEqual(['bin/run'])
  })

  it.each([
    ['an absolute name', file('/etc/passwd')],
    ['a link', entry({ name: 'l', type: '2' })],
  ])('with %s are refused', async (_what, hostile) => {
    const refused = refusal(assemble([blobs.layer(tarGz(hostile), gzip)], { kind: 'files' }))
    expect(await refused).toMatchObject({ code: 'unsafe_path' })
  })
})

describe('the work', () => {
  it('leaves nothing in scratch when it fails', async () => {
    const own = tempDir('scratch')
    await refusal(assemble([blobs.layer(tarGz(policy, file('data.json', '{')), docker)], { scratch: own }))
    expect(readdirSync(own)).toEqual([])
  })

  it('leaves one file when it is done', async () => {
    const own = tempDir('scratch')
    const { packed } = await assemble([blobs.layer(tarGz(policy), docker)], { scratch: own })
    expect(readdirSync(own).map((name) => join(own, name))).toEqual([packed])
  })

  it('ends when it is aborted, with the reason, and others go on', async () => {
    const own = tempDir('scratch')
    const controller = new AbortController()
    const layers = Array.from({ length: 40 }, (_, at) =>
      blobs.layer(tar(file(`f${at}`, Buffer.alloc(1024 * 1024, at))), docker),
    )
    const aborted = assemble([...layers, blobs.layer(tarGz(policy), docker)], {
      scratch: own,
      signal: controller.signal,
    })
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toThrow('enough')
    expect(await assemble([blobs.layer(tarGz(policy), docker)])).toMatchObject({ form: 'repacked' })
  })

  it('is not begun when it is aborted already', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(assemble([blobs.layer(tarGz(policy), docker)], { signal })).rejects.toThrow('enough')
  })

  it('refuses an index: a member must be chosen first', async () => {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [] }))
    const refused = await refusal(assemble({ mediaType: ociIndex, digest: digestOf(bytes), bytes }))
    expect(refused).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('checks an archive alone', async () => {
    const facts = await assembler.check(save(tarGz(manifest({ revision: 'r' }), policy)), { limits })
    expect(facts).toMatchObject({ packages: ['authz'], manifest: { revision: 'r' }, signed: false })
    expect(await refusal(assembler.check(save(tar(policy)), { limits }))).toMatchObject({ code: 'bad_archive' })
    expect(existsSync(scratch)).toBe(true)
  })
})
