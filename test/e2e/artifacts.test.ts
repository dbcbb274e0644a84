// What may be pushed, through the whole server: the bytes have one digest, whichever way they are asked for.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { component, needs, type ComponentName } from '../support/components.ts'
import { createContainerStorage } from '../support/containers.ts'
import { execOk, type ExecOptions } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startOpa } from '../support/opa.ts'
import { decides, policyFiles, writeFiles } from '../support/policy.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const env = { HOME: writeFiles({ 'config.json': '{}' }), DOCKER_CONFIG: writeFiles({ 'config.json': '{}' }) }

const opaBundles = ['archive', 'image', 'conftest', 'titled', 'index', 'pushed']

needs(
  'oras',
  'regctl',
  'crane',
  'buildah',
  'conftest',
  'opa-1.22.0',
)('what is served for', () => {
  let server: Longshore

  beforeAll(async () => {
    const bundles = opaBundles.map((name) => [name, { store: { type: 'local', repository: `from/${name}` } }])
    const files = { kind: 'files', store: { type: 'local', repository: 'from/files' } }
    server = await startLongshore({ config: { bundles: { ...Object.fromEntries(bundles), files } } })
  })

  afterAll(() => server?.stop())

  const run = async (tool: ComponentName, args: string[], options: ExecOptions = {}) =>
    (await execOk(component(tool), args, { ...options, env: { ...env, ...options.env } })).stdout.trim()
  const oras = (args: string[], cwd: string) => run('oras', args, { cwd })
  const reference = (name: string, tag = 'latest') => `${server.host}/from/${name}:${tag}`

  /** The served bytes, after it was seen that there is one digest for them: by HTTP, in our manifest, and by three clients. */
  async function served(name: string): Promise<{ bytes: Buffer; form: string }> {
    const { current } = await waitFor(`a release of ${name}`, async () => {
      const status = await server.bundle(name)
      if (status.look?.outcome === 'refused') throw new Error(status.look.message ?? 'refused')
      return status.current !== null && status
    })
    const response = await server.fetch(`/bundles/${name}`)
    const bytes = Buffer.from(await response.arrayBuffer())
    const digest = digestOf(bytes)
    expect(response.headers.get('etag')).toBe(`"${digest}"`)
    expect(current).toMatchObject({ bundleDigest: digest, size: bytes.length })

    const repository = `${server.host}/bundles/${name}`
    const answer = await server.fetch(`/v2/bundles/${name}/manifests/latest`)
    const manifest = Buffer.from(await answer.arrayBuffer())
    expect(answer.headers.get('content-type')).toBe(manifestType)
    expect(answer.headers.get('docker-content-digest')).toBe(digestOf(manifest))
    const { layers } = JSON.parse(manifest.toString()) as {
      layers: { digest: string; size: number; mediaType: string }[]
    }
    const layer = layers.find(({ mediaType }) => mediaType === layerType)
    expect(layer).toMatchObject({ digest, size: bytes.length })

    expect(await run('crane', ['--insecure', 'digest', `${repository}:latest`])).toBe(digestOf(manifest))
    const out = join(tempDir('blob'), 'blob')
    await run('oras', ['blob', 'fetch', '--plain-http', '--output', out, `${repository}@${digest}`])
    expect(digestOf(readFileSync(out))).toBe(digest)
    await run('regctl', ['--host', `reg=${server.host},tls=disabled`, 'blob', 'head', repository, digest])
    const pulled = join(tempDir('pulled'), 'bundle')
    const ours = await longshore(['pull', `${repository}:latest`, '-o', pulled, '--json'], { env })
    expect(ours.code, ours.stderr).toBe(0)
    return { bytes, form: current!.form }
  }

  function filesIn(bytes: Buffer): string[] {
    const tar = gunzipSync(bytes)
    const names: string[] = []
    for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
      const text = (from: number, to: number) => tar.toString('utf8', at + from, at + to).replace(/\0.*$/s, '')
      if (text(156, 157) !== '5') names.push(text(0, 100).replace(/^\.?\//, ''))
      at += 512 + Math.ceil(parseInt(text(124, 136), 8) / 512) * 512
    }
    return names.sort()
  }

  test('what longshore push brought: the very bytes', async () => {
    await longshore(['push', writeFiles(policyFiles('pushed', 'pushed')), reference('pushed')], { env })
    const { form, bytes } = await served('pushed')
    expect(form).toBe('original')
    expect(filesIn(bytes)).toEqual(['.manifest', 'policy.rego'])
  })

  test('an archive that opa build made and oras pushed: the very bytes', async () => {
    const folder = writeFiles(policyFiles('archive', 'archive'))
    await run('opa-1.22.0', ['build', '-b', folder, '-o', 'bundle.tar.gz'], { cwd: folder })
    await oras(['push', '--plain-http', reference('archive'), `bundle.tar.gz:${layerType}`], folder)
    const { form, bytes } = await served('archive')
    expect(form).toBe('original')
    expect(bytes.equals(readFileSync(join(folder, 'bundle.tar.gz')))).toBe(true)
  })

  test('an image of several layers: one archive, without what an upper layer took away', async () => {
    const storage = createContainerStorage()
    const folder = writeFiles({
      'one/.manifest': policyFiles('image', 'image')['.manifest']!,
      'one/policy.rego': policyFiles('of-the-first-layer', 'image')['policy.rego']!,
      'one/gone.rego': 'package image\n\ngone := true\n',
      'two/policy.rego': policyFiles('image', 'image')['policy.rego']!,
    })
    const buildah = async (...args: string[]) => (await storage.buildah(args, { env, cwd: folder })).stdout.trim()
    const [base, image] = [`${server.host}/from/image:base`, reference('image')]
    const first = await buildah('from', 'scratch')
    await buildah('add', first, 'one', '/')
    await buildah('commit', first, base)
    const second = await buildah('from', '--pull-never', base)
    await buildah('add', second, 'two', '/')
    await execOk('rm', [join(await buildah('mount', second), 'gone.rego')])
    await buildah('commit', second, image)
    await buildah('push', '--tls-verify=false', image)
    const pushed = JSON.parse(await run('crane', ['--insecure', 'manifest', image])) as { layers: unknown[] }
    expect(pushed.layers).toHaveLength(2)

    const { form, bytes } = await served('image')
    expect(form).toBe('repacked')
    expect(filesIn(bytes)).toEqual(['.manifest', 'policy.rego'])
  })

  test('what conftest pushed: one bundle of its policies and data', async () => {
    const folder = writeFiles({
      'policy/policy.rego': policyFiles('conftest', 'conftest')['policy.rego']!,
      'data/conftest/limits.yaml': 'most: 3\n',
    })
    await run('conftest', ['push', '--tls=false', '--policy', 'policy', '--data', 'data', reference('conftest')], {
      cwd: folder,
    })
    expect((await served('conftest')).form).toBe('assembled')
  })

  test('titled files: one bundle of them', async () => {
    const folder = writeFiles({
      ...policyFiles('titled', 'titled'),
      'titled/data.json': '{"most":3}',
      'README.md': 'hi',
    })
    const files = ['.manifest', 'policy.rego', 'titled/data.json', 'README.md']
    await oras(['push', '--plain-http', reference('titled'), ...files], folder)
    const { form, bytes } = await served('titled')
    expect(form).toBe('assembled')
    expect(filesIn(bytes)).toEqual(['.manifest', 'policy.rego', 'titled/data.json'])
  })

  test('an index: its member for the platform, whatever attestation is beside it', async () => {
    const members = []
    for (const architecture of ['arm64', 'amd64', 'unknown']) {
      const name = architecture === 'amd64' ? 'index' : `not-${architecture}`
      const folder = writeFiles(policyFiles(name, 'index'))
      await execOk('tar', ['-czf', 'bundle.tar.gz', '.manifest', 'policy.rego'], { cwd: folder })
      const member = reference('index', architecture)
      await oras(['push', '--plain-http', member, `bundle.tar.gz:${layerType}`], folder)
      const text = await run('oras', ['manifest', 'fetch', '--plain-http', '--descriptor', member])
      const { digest, size } = JSON.parse(text) as { digest: string; size: number }
      const platform = { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture }
      members.push({ mediaType: manifestType, digest, size, platform })
    }
    const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests: members.reverse() })
    await run('oras', ['manifest', 'push', '--plain-http', reference('index'), '-'], { stdin: index })
    expect((await served('index')).form).toBe('original')
    expect((await server.bundle('index')).current).toMatchObject({
      revision: 'index',
      sourceDigest: members.find(({ platform }) => platform.architecture === 'amd64')!.digest,
    })
  })

  test('files that are no bundle: one archive of them', async () => {
    const folder = writeFiles({ 'zones/example.org': 'a zone', 'notes.txt': 'notes' })
    await oras(['push', '--plain-http', reference('files'), 'zones/example.org', 'notes.txt'], folder)
    const { bytes } = await served('files')
    const unpacked = tempDir('unpacked')
    await execOk('tar', ['-xzf', '-', '-C', unpacked], { stdin: bytes })
    expect(readFileSync(join(unpacked, 'zones/example.org'), 'utf8')).toBe('a zone')
    expect(readdirSync(unpacked).sort()).toEqual(['notes.txt', 'zones'])
  })

  // conftest writes no manifest: its bundle owns everything, and has an OPA of its own.
  test.each([
    ['http', opaBundles.filter((name) => name !== 'conftest')],
    ['oci', opaBundles.filter((name) => name !== 'conftest')],
    ['http', ['conftest']],
  ])('all of it is decided by, by an OPA that asks by %s (%j)', async (type, names) => {
    const isImage = type === 'oci'
    const resource = (name: string) => (isImage ? `${server.host}/bundles/${name}:latest` : `bundles/${name}.tar.gz`)
    const opa = await startOpa({
      config: {
        services: { longshore: { url: server.url, ...(isImage && { type }) } },
        bundles: Object.fromEntries(names.map((name) => [name, { service: 'longshore', resource: resource(name) }])),
      },
    })
    for (const name of names) await decides(opa, `${name}/version`, name)
    const facts = { image: ['gone', undefined], titled: ['most', 3], conftest: ['most', 3] } as const
    for (const [name, [fact, value]] of Object.entries(facts)) {
      if (names.includes(name)) expect(await opa.query(`${name}/${fact}`)).toBe(value)
    }
    await opa.stop()
  })

  test('what can be nothing of the kind: the last good one, and a reason with the layer in it', async () => {
    const before = await served('titled')
    const folder = writeFiles({ 'picture.png': 'no policy' })
    await oras(['push', '--plain-http', reference('titled'), 'picture.png:image/png'], folder)
    const { look } = await waitFor('the refusal', async () => {
      const status = await server.bundle('titled')
      return status.look?.outcome === 'refused' && status
    })
    expect(look!.message).toContain('picture.png')
    const after = Buffer.from(await (await server.fetch('/bundles/titled')).arrayBuffer())
    expect(after.equals(before.bytes)).toBe(true)
    expect((await server.fetch('/v2/bundles/titled/manifests/latest')).status).toBe(200)
  })
})
