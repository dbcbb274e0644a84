// build, push, pull and inspect: what other tools make of what we write, and we of what they do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { component, needs } from '../support/components.ts'
import { exec, execOk } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startOpa, type OpaVersion } from '../support/opa.ts'
import { startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const env = { DOCKER_CONFIG: '/nonexistent' }
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

const policy = {
  '.manifest': '{"revision":"r1","roots":["authz","people"]}',
  'authz/authz.rego': 'package authz\n\nallow := input.name == data.people.boss\n',
  'people/data.json': '{"boss":"ann"}',
}

function writeFiles(files: Record<string, string>, folder = tempDir('policy')): string {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

function listFiles(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort()
}

async function run(args: string[], cwd?: string): Promise<Record<string, unknown>> {
  const result = await longshore([...args, '--json'], { env, ...(cwd !== undefined && { cwd }) })
  expect(result.code, result.stderr).toBe(0)
  return JSON.parse(result.stdout) as Record<string, unknown>
}

describe('build', () => {
  test('gives the same bytes whatever the folder, the order, the times, the umask and the place', async () => {
    const first = writeFiles(policy)
    const second = writeFiles(Object.fromEntries(Object.entries(policy).reverse()))
    for (const name of Object.keys(policy)) {
      utimesSync(join(second, name), 1, 1)
      chmodSync(join(second, name), 0o600)
    }
    const one = join(tempDir('out'), 'bundle.tar.gz')
    const made = await run(['build', first, '-o', one])
    const command = `umask 077; exec ${process.execPath} ${resolve('bin/longshore.js')} build . -o ../second-${process.pid}.tar.gz`
    await execOk('sh', ['-c', command], { cwd: second, env })
    const two = join(dirname(second), `second-${process.pid}.tar.gz`)
    expect(readFileSync(two).equals(readFileSync(one))).toBe(true)
    expect(made).toMatchObject({ digest: digestOf(readFileSync(one)), revision: 'r1', roots: ['authz', 'people'] })
    await execOk('rm', [two])
  })

  test('takes revision and roots, merges folders, and warns of what OPA would ignore', async () => {
    const [a, b] = [
      writeFiles({ 'a/a.rego': 'package a\n', 'README.md': 'read me' }),
      writeFiles({ 'b/data.json': '{"n":1}' }),
    ]
    const file = join(tempDir('out'), 'bundle.tar.gz')
    const built = await longshore(['build', a, b, '-o', file, '--revision', '1.4.2', '--root', 'a', '--root', 'b'], {
      env,
    })
    expect(built.code, built.stderr).toBe(0)
    expect(built.stderr).toContain('README.md')
    expect(await run(['inspect', file])).toMatchObject({
      bundle: { revision: '1.4.2', roots: ['a', 'b'], packages: ['a'], ignored: ['README.md'] },
    })
  })

  test.each([
    ['broken data', { 'data.json': '{ broken' }, 'data.json'],
    ['a policy outside of the roots', { '.manifest': '{"roots":["a"]}', 'b.rego': 'package b\n' }, 'b.rego'],
  ])('refuses %s with 4 and leaves nothing', async (_what, files, named) => {
    const file = join(tempDir('out'), 'bundle.tar.gz')
    const built = await longshore(['build', writeFiles(files), '-o', file], { env })
    expect(built.code).toBe(4)
    expect(built.stderr).toContain(named)
    expect(readdirSync(dirname(file))).toEqual([])
  })
})

describe('pull that is interrupted', () => {
  test('leaves everything as it was', async () => {
    const bytes = Buffer.alloc(64 * 1024, 'x')
    const layer = { mediaType: 'text/plain', digest: digestOf(bytes), size: bytes.length }
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 }
    const annotations = { 'org.opencontainers.image.title': 'data.txt' }
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config,
      layers: [{ ...layer, annotations }],
    })
    // Sends half of the layer, and then nothing more.
    const stalling = createServer((request, answer) => {
      const isBlob = request.url?.includes('/blobs/') === true
      answer.writeHead(200, isBlob ? { 'content-length': bytes.length } : { 'content-type': manifestType })
      if (isBlob) answer.write(bytes.subarray(0, 1000))
      else answer.end(manifest)
    }).listen(0, '127.0.0.1')
    await once(stalling, 'listening')
    const folder = writeFiles({ 'out/data.txt': 'what was there' })
    const reference = `127.0.0.1:${(stalling.address() as AddressInfo).port}/acme/files:1`
    const args = [resolve('bin/longshore.js'), 'pull', reference, '-o', join(folder, 'out')]
    const pulling = spawn(process.execPath, args, { env: { ...process.env, ...env } })
    let shown = ''
    pulling.stderr.on('data', (chunk) => (shown += chunk))
    await waitFor('the download to begin', () => readdirSync(join(folder, 'out')).length > 1)
    pulling.kill('SIGINT')
    const [code] = (await once(pulling, 'exit')) as [number]
    expect({ code, shown }).toEqual({ code: 1, shown: '' })
    expect(listFiles(folder)).toEqual(['out/data.txt'])
    expect(readFileSync(join(folder, 'out/data.txt'), 'utf8')).toBe('what was there')
    stalling.closeAllConnections()
    stalling.close()
  })
})

needs(
  'distribution',
  'olareg',
  'oras',
  'regctl',
  'conftest',
  'opa-1.16.2',
  'opa-1.17.1',
  'opa-1.22.0',
)('push and pull', () => {
  let distribution: Registry
  let olareg: Registry
  let own: Longshore

  beforeAll(async () => {
    ;[distribution, olareg, own] = await Promise.all([startDistributionV3(), startOlareg(), startLongshore()])
  })

  afterAll(async () => {
    await Promise.all([distribution, olareg, own].map((registry) => registry?.stop()))
  })

  describe('a pushed bundle', () => {
    // OPA 1.17 sends no Accept, and others then have no OCI manifests.
    test.each<[OpaVersion, 'distribution' | 'olareg' | 'longshore']>([
      ['1.16.2', 'distribution'],
      ['1.17.1', 'longshore'],
      ['1.22.0', 'distribution'],
      ['1.22.0', 'olareg'],
    ])('is loaded by OPA %s from %s', async (version, kind) => {
      const registry = { distribution, olareg, longshore: own }[kind]
      const reference = `${registry.host}/policies/for-opa:1.0.0`
      await run(['push', writeFiles(policy), reference])
      const opa = await startOpa({
        version,
        config: {
          services: { registry: { url: registry.url, type: 'oci' } },
          bundles: {
            authz: {
              service: 'registry',
              resource: reference,
              polling: { min_delay_seconds: 1, max_delay_seconds: 1 },
            },
          },
        },
      })
      await waitFor('the decision', async () => (await opa.query('authz/allow', { name: 'ann' })) === true)
      await opa.activated('authz', 'r1')
      await opa.stop()
    })

    test('is unpacked by oras and conftest, and read by regctl', async () => {
      const reference = `${distribution.host}/policies/for-others:1.0.0`
      const pushed = await run(['push', writeFiles(policy), reference])
      expect(pushed).toMatchObject({ reference, kind: 'bundle' })
      const [byOras, byConftest] = [tempDir('oras'), tempDir('conftest')]
      await execOk(component('oras'), ['pull', '--plain-http', reference, '-o', byOras])
      await execOk(component('conftest'), ['pull', '--policy', 'pulled', `oci://${reference}`], { cwd: byConftest })
      for (const folder of [byOras, join(byConftest, 'pulled')])
        expect(listFiles(folder)).toEqual(Object.keys(policy).sort())
      const home = { HOME: tempDir('home') }
      await execOk(component('regctl'), ['registry', 'set', '--tls', 'disabled', distribution.host], { env: home })
      const head = await execOk(component('regctl'), ['manifest', 'head', reference], { env: home })
      expect(head.stdout.trim()).toBe(pushed.digest)
    })

    test('has one digest, as a folder, as an archive of it, and pushed again', async () => {
      const folder = writeFiles(policy)
      const archive = join(tempDir('out'), 'bundle.tar.gz')
      await run(['build', folder, '-o', archive])
      const [first, second, third] = [
        await run(['push', folder, `${distribution.host}/policies/same:folder`]),
        await run(['push', archive, `${distribution.host}/policies/same:archive`]),
        await run(['push', '.', `${distribution.host}/policies/same:again`], folder),
      ]
      expect(second.digest).toBe(first.digest)
      expect(third.digest).toBe(first.digest)
      expect(third).toMatchObject({ blobsCopied: 0 })
    })

    test('that OPA would refuse is not pushed, and ends with 4', async () => {
      const refused = await longshore(
        ['push', writeFiles({ 'data.json': '{ broken' }), `${distribution.host}/policies/bad:1`],
        { env },
      )
      expect(refused.code).toBe(4)
      expect((await longshore(['tags', `${distribution.host}/policies/bad`], { env })).code).toBe(3)
    })

    test('comes back as the same files', async () => {
      const reference = `oci-layout:${join(tempDir('layout'), 'l')}:1`
      await run(['push', writeFiles(policy), reference])
      const folder = join(tempDir('out'), 'new', 'folder')
      expect(await run(['pull', reference, '-o', folder])).toMatchObject({ folder, files: Object.keys(policy).sort() })
      for (const [name, text] of Object.entries(policy)) {
        if (name !== '.manifest') expect(readFileSync(join(folder, name), 'utf8')).toBe(text)
      }
    })
  })

  describe('files', () => {
    test('become titled layers that oras pulls, and what oras pushes we pull', async () => {
      const folder = writeFiles({ 'zones/example.org': 'zone', 'notes.txt': 'notes' })
      const reference = `${distribution.host}/files/some:1`
      expect(await run(['push', 'zones/example.org', 'notes.txt', reference], folder)).toMatchObject({ kind: 'files' })
      const byOras = tempDir('oras')
      await execOk(component('oras'), ['pull', '--plain-http', reference, '-o', byOras])
      expect(listFiles(byOras)).toEqual(['notes.txt', 'zones/example.org'])

      const other = `${distribution.host}/files/by-oras:1`
      await execOk(component('oras'), ['push', '--plain-http', other, 'notes.txt', 'zones'], { cwd: folder })
      const byUs = tempDir('ours')
      writeFileSync(join(byUs, 'mine.txt'), 'was there')
      writeFileSync(join(byUs, 'notes.txt'), 'older')
      await run(['pull', other, '-o', byUs])
      expect(listFiles(byUs)).toEqual(['mine.txt', 'notes.txt', 'zones/example.org'])
      expect(readFileSync(join(byUs, 'notes.txt'), 'utf8')).toBe('notes')
    })

    test('of an index come from the member for the platform', async () => {
      const repository = `${olareg.host}/files/index`
      const folder = tempDir('index')
      for (const platform of ['linux/amd64', 'linux/arm64']) {
        writeFileSync(join(folder, 'which.txt'), platform)
        const args = [
          'push',
          '--plain-http',
          '--artifact-platform',
          platform,
          `${repository}:${platform.slice(6)}`,
          'which.txt',
        ]
        await execOk(component('oras'), args, { cwd: folder })
      }
      await execOk(component('oras'), [
        'manifest',
        'index',
        'create',
        '--plain-http',
        `${repository}:all`,
        'amd64',
        'arm64',
      ])
      await run(['pull', `${repository}:all`, '-o', folder, '--platform', 'linux/arm64'])
      expect(readFileSync(join(folder, 'which.txt'), 'utf8')).toBe('linux/arm64')
      const none = await longshore(['pull', `${repository}:all`, '-o', folder, '--platform', 'plan9/386'], { env })
      expect(none.code).toBe(4)
      expect(none.stderr).toContain('linux/amd64, linux/arm64')
      expect(await run(['inspect', `${repository}:all`])).toMatchObject({
        manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'arm64' } }],
      })
    })
  })

  describe('pull writes nothing outside of its folder', () => {
    test.each([
      ['a title with ..', [{ title: '../escaped.txt', bytes: Buffer.from('x'), type: 'text/plain' }]],
      ['an absolute title', [{ title: '/tmp/longshore-escaped.txt', bytes: Buffer.from('x'), type: 'text/plain' }]],
      ['an archive entry with ..', [{ title: '.', bytes: tarOf('../escaped.txt'), type: layerType, unpack: true }]],
      [
        'a good file beside a bad one',
        [
          { title: 'good.txt', bytes: Buffer.from('good'), type: 'text/plain' },
          { title: 'a/../../escaped.txt', bytes: Buffer.from('x'), type: 'text/plain' },
        ],
      ],
    ])('%s is refused with 4', async (_what, layers) => {
      const reference = await pushRaw(distribution, layers)
      const outer = tempDir('outer')
      const refused = await longshore(['pull', reference, '-o', join(outer, 'inner')], { env })
      expect(refused.code, refused.stderr).toBe(4)
      expect(listFiles(outer)).toEqual([])
      expect(existsSync('/tmp/longshore-escaped.txt')).toBe(false)
    })

    test('a link that stands in the way is not followed', async () => {
      const reference = await pushRaw(distribution, [
        { title: 'sub/file.txt', bytes: Buffer.from('x'), type: 'text/plain' },
      ])
      const [folder, elsewhere] = [tempDir('inner'), tempDir('elsewhere')]
      symlinkSync(elsewhere, join(folder, 'sub'))
      const refused = await longshore(['pull', reference, '-o', folder], { env })
      expect(refused.code).toBe(1)
      expect(readdirSync(elsewhere)).toEqual([])
    })
  })

  test('inspect shows layers, annotations, what refers to it, and what is in the bundle', async () => {
    const reference = `${olareg.host}/policies/inspected:1`
    const pushed = await run(['push', writeFiles(policy), reference])
    const note = writeFiles({ 'note.txt': 'signed' })
    await execOk(
      component('oras'),
      ['attach', '--plain-http', '--artifact-type', 'application/vnd.acme.signature', reference, 'note.txt'],
      { cwd: note },
    )
    expect(await run(['inspect', reference])).toMatchObject({
      reference,
      digest: pushed.digest,
      mediaType: manifestType,
      layers: [{ mediaType: layerType }],
      referrers: [{ artifactType: 'application/vnd.acme.signature' }],
      bundle: { revision: 'r1', roots: ['authz', 'people'], packages: ['authz'], signed: false },
    })
    const shown = await longshore(['inspect', reference], { env })
    for (const word of [String(pushed.digest), 'authz/authz.rego', 'vnd.acme.signature', 'r1'])
      expect(shown.stdout).toContain(word)
    const missing = await longshore(['inspect', `${reference}-not-there`, '--json'], { env })
    expect(missing.code).toBe(3)
    expect(JSON.parse(missing.stdout)).toMatchObject({ error: { code: 'not_found' } })
  })

  test('opa reads what build made', async () => {
    const archive = join(tempDir('out'), 'bundle.tar.gz')
    await run(['build', writeFiles(policy), '-o', archive])
    const evaluated = await exec(component('opa-1.22.0'), ['eval', '-b', archive, '-f', 'raw', 'data.people.boss'])
    expect(evaluated.stdout.trim()).toBe('ann')
  })
})

interface RawLayer {
  title: string
  bytes: Buffer
  type: string
  unpack?: boolean
}

let pushes = 0

/** As no decent tool would. */
async function pushRaw(registry: Registry, layers: RawLayer[]): Promise<string> {
  const repository = `hostile/number-${++pushes}`
  const upload = async (bytes: Buffer) => {
    const begun = await fetch(`${registry.url}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
    const location = new URL(begun.headers.get('location') ?? '', registry.url)
    location.searchParams.set('digest', digestOf(bytes))
    expect((await fetch(location, { method: 'PUT', body: new Uint8Array(bytes) })).status).toBe(201)
    return { digest: digestOf(bytes), size: bytes.length }
  }
  const descriptors = []
  for (const { title, bytes, type, unpack } of layers) {
    const annotations = {
      'org.opencontainers.image.title': title,
      ...(unpack === true && { 'io.deis.oras.content.unpack': 'true' }),
    }
    descriptors.push({ mediaType: type, ...(await upload(bytes)), annotations })
  }
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...(await upload(Buffer.from('{}'))) }
  const manifest = { schemaVersion: 2, mediaType: manifestType, config, layers: descriptors }
  const put = await fetch(`${registry.url}/v2/${repository}/manifests/1`, {
    method: 'PUT',
    headers: { 'content-type': manifestType },
    body: JSON.stringify(manifest),
  })
  expect(put.status).toBe(201)
  return `${registry.host}/${repository}:1`
}

/** A tar.gz of one file of one byte. https://www.gnu.org/software/tar/manual/html_node/Standard.html */
function tarOf(name: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0)
  for (const [text, offset] of [['0000644\0', 100], ['0000000\0', 108], ['0000000\0', 116], ['00000000001\0', 124], ['00000000000\0', 136], ['        ', 148], ['0', 156], ['ustar\u000000', 257]] as const) header.write(text, offset) // prettier-ignore
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const content = Buffer.alloc(512)
  content.write('x')
  return gzipSync(Buffer.concat([header, content, Buffer.alloc(1024)]))
}
