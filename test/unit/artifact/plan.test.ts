import { describe, expect, it } from 'vitest'
import { placeDocuments } from '../../../src/artifact/conftest.ts'
import { planOf } from '../../../src/artifact/plan.ts'
import type { BundleKind } from '../../../src/model/release.ts'
import { parseManifest, type ImageManifest } from '../../../src/oci/manifest.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { image, refusal, TestBlobs } from './support.ts'

const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'
const tarType = 'application/vnd.oci.image.layer.v1.tar'
const zstd = 'application/vnd.oci.image.layer.v1.tar+zstd'
const docker = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
const blobs = new TestBlobs()

function plan(layers: Descriptor[], kind: BundleKind = 'opa') {
  const { original, parts, form } = planOf(parseManifest(image(layers)) as ImageManifest, kind)
  return {
    original: original?.digest,
    parts: parts.map(({ type, layer: _layer, ...rest }) => ({ type, ...rest })),
    form,
  }
}

const refusedAs = (layers: Descriptor[], kind: BundleKind = 'opa') => refusal((async () => plan(layers, kind))())

describe('an OPA bundle', () => {
  it.each([
    ['without a title, as policy and an image of one layer have it', blobs.layer('1', gzip)],
    ['marked for unpacking, as oras pushes a folder', blobs.unpackable('.', Buffer.from('2'))],
    ['titled, as oras pushes a bundle.tar.gz', blobs.titled('bundle.tar.gz', '3', gzip)],
  ])('one layer of the type that OPA loads, %s, may stay what it is', (_what, layer) => {
    expect(plan([layer])).toMatchObject({ original: layer.digest })
  })

  it.each([docker, tarType, zstd])('one image layer of type %s is repacked', (type) => {
    expect(plan([blobs.layer('1', type)])).toEqual({
      original: undefined,
      parts: [{ type: 'layer' }],
      form: 'repacked',
    })
  })

  it('several image layers are repacked, in order', () => {
    expect(plan([blobs.layer('1', gzip), blobs.layer('2', gzip)])).toEqual({
      original: undefined,
      parts: [{ type: 'layer' }, { type: 'layer' }],
      form: 'repacked',
    })
  })

  it('several folders that are marked for unpacking become one', () => {
    expect(plan([blobs.unpackable('policy', Buffer.from('1')), blobs.unpackable('data', Buffer.from('2'))])).toEqual({
      original: undefined,
      parts: [
        { type: 'archive', within: 'policy' },
        { type: 'archive', within: 'data' },
      ],
      form: 'repacked',
    })
  })

  it('a tar.gz that oras pushed without a type is seen by its name', () => {
    expect(plan([blobs.titled('bundle.tar.gz', '1')])).toMatchObject({
      original: undefined,
      parts: [{ type: 'archive' }],
    })
  })

  it('but not beside a bundle: then it is some other file', () => {
    const bundle = blobs.layer('1', gzip)
    expect(plan([bundle, blobs.titled('sbom.tar.gz', '2')])).toMatchObject({ original: bundle.digest })
  })

  it('titled files are assembled; others beside them, that OPA would not load, are left', () => {
    expect(
      plan([blobs.titled('a/x.rego', '1'), blobs.titled('data.json', '2'), blobs.titled('README.md', '3')]),
    ).toEqual({
      original: undefined,
      parts: [
        { type: 'file', path: 'a/x.rego' },
        { type: 'file', path: 'data.json' },
      ],
      form: 'assembled',
    })
  })

  it('a bundle with a read-me beside it stays what it is; with a policy beside it, it does not', () => {
    const bundle = blobs.layer('1', gzip)
    expect(plan([blobs.titled('README.md', '2'), bundle])).toMatchObject({ original: bundle.digest })
    expect(plan([bundle, blobs.titled('x.rego', '2')])).toMatchObject({ original: undefined, form: 'assembled' })
  })

  it('what conftest pushes is assembled, whatever the order of its layers', () => {
    const policy = blobs.titled('policy/a.rego', '1', 'application/vnd.cncf.openpolicyagent.policy.layer.v1+rego')
    const data = blobs.titled('policy/teams/x.yaml', '2', 'application/vnd.cncf.openpolicyagent.data.layer.v1+json')
    const expected = {
      original: undefined,
      parts: [
        { type: 'file', path: 'policy/a.rego' },
        { type: 'document', path: 'policy/teams/x.yaml', folder: 'teams' },
      ],
      form: 'assembled',
    }
    expect(plan([policy, data])).toEqual(expected)
    expect(plan([data, policy])).toEqual(expected)
  })

  it.each([
    ['no layers', []],
    ['an empty layer', [blobs.layer('{}', 'application/vnd.oci.empty.v1+json')]],
    ['something else', [blobs.layer('1', 'application/vnd.example+thing')]],
    ['a file that OPA does not load', [blobs.titled('README.md', '1')]],
    ['a layer that lies elsewhere', [blobs.layer('1', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')]],
    [
      'one that may not be distributed',
      [blobs.layer('1', 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip')],
    ],
  ])('%s is refused', async (_what, layers) => {
    expect(await refusedAs(layers)).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('an image whose base lies elsewhere is refused, not served without it', async () => {
    const base = blobs.layer('1', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip')
    expect(await refusedAs([base, blobs.layer('2', docker)])).toMatchObject({ code: 'unsupported_artifact' })
  })

  it('says what is in what it refuses', async () => {
    const { message } = await refusedAs([blobs.titled('README.md', '1', 'text/markdown')])
    expect(message).toContain('"README.md"')
    expect(message).toContain('text/markdown')
  })

  it.each(['../x.rego', '/x.rego', 'a/../../x.rego'])(
    'a title that leaves the folder is refused: %s',
    async (title) => {
      expect(await refusedAs([blobs.titled(title, '1')])).toMatchObject({ code: 'unsafe_path' })
      expect(await refusedAs([blobs.unpackable(title, Buffer.from('1'))])).toMatchObject({ code: 'unsafe_path' })
    },
  )
})

describe('files', () => {
  it.each([gzip, docker])('one layer of type %s stays what it is', (type) => {
    const layer = blobs.layer('1', type)
    expect(plan([layer], 'files')).toMatchObject({ original: layer.digest })
  })

  it('titled layers are packed, each under its title', () => {
    expect(plan([blobs.titled('db.example.org', '1'), blobs.titled('sub/b', '2', 'text/plain')], 'files')).toEqual({
      original: undefined,
      parts: [
        { type: 'file', path: 'db.example.org' },
        { type: 'file', path: 'sub/b' },
      ],
      form: 'assembled',
    })
  })

  it('a folder that is marked for unpacking is unpacked, a tar.gz that is not stays a file', () => {
    const layers = [blobs.unpackable('zones', Buffer.from('1')), blobs.titled('a.tar.gz', '2', gzip)]
    expect(plan(layers, 'files').parts).toEqual([
      { type: 'archive', within: 'zones' },
      { type: 'file', path: 'a.tar.gz' },
    ])
  })

  it('a layer without a title is an error that names it', async () => {
    const untitled = blobs.layer('2', 'text/plain')
    const { code, message } = await refusedAs([blobs.titled('a', '1'), untitled], 'files')
    expect(code).toBe('unsupported_artifact')
    expect(message).toContain(untitled.digest.slice(0, 19))
  })

  it('no layers is an error', async () => {
    expect(await refusedAs([], 'files')).toMatchObject({ code: 'unsupported_artifact' })
  })
})

describe('where conftest data goes', () => {
  it.each([
    [
      'pushed with --policy policy',
      ['policy/a.rego', 'policy/sub/b.rego'],
      ['policy/x.json', 'policy/teams/y.yaml'],
      ['', 'teams'],
    ],
    ['pushed from a deeper folder', ['conf/policy/a.rego'], ['conf/policy/x.json', 'conf/policy/t/y.json'], ['', 't']],
    ['pushed with --policy policy --data data', ['policy/a.rego'], ['data/x.json', 'data/teams/y.json'], ['', 'teams']],
    ['both folders in another', ['conf/policy/a.rego'], ['conf/data/teams/y.json'], ['teams']],
    ['pushed from the folder itself', ['a.rego', 'lib/b.rego'], ['x.json', 'teams/y.json'], ['', 'teams']],
    ['policies at the top, data in a folder', ['policy/a.rego'], ['policy/exclusions/x.yaml'], ['exclusions']],
    ['data alone', [], ['data/x.json', 'data/teams/y.json'], ['', 'teams']],
    ['no data', ['policy/a.rego'], [], []],
  ])('%s', (_what, policies, data, folders) => {
    expect(placeDocuments(policies, data)).toEqual(folders)
  })
})
