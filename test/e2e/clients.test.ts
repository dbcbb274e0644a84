// The clients that people have, against our /v2/.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { component, needs, type ComponentName } from '../support/components.ts'
import { createContainerStorage, skopeo as runSkopeo } from '../support/containers.ts'
import { exec, execOk, type ExecOptions } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { policyFiles, writeFiles } from '../support/policy.ts'
import { tempDir } from '../support/temp.ts'

let server: Longshore
const home = writeFiles({ 'config.json': '{}' })
const env = { HOME: home, DOCKER_CONFIG: home, XDG_RUNTIME_DIR: home }

beforeAll(async () => {
  server = await startLongshore()
})

afterAll(() => server?.stop())

/** Its standard output, without line ends around it. */
async function run(tool: ComponentName, args: string[], options: ExecOptions = {}): Promise<string> {
  return (await execOk(component(tool), args, { ...options, env: { ...env, ...options.env } })).stdout.trim()
}

const mountedInto = (repository: string) => server.logged({ action: 'mount', repository })

needs('oras')('oras', () => {
  const oras = (args: string[], options?: ExecOptions) => {
    const [command, ...rest] = args
    const at = ['repo', 'manifest', 'blob'].includes(command!) ? 2 : 1
    return run('oras', [command!, ...rest.slice(0, at - 1), '--plain-http', ...rest.slice(at - 1)], options)
  }
  const folder = writeFiles({ 'notes.txt': 'notes', 'sub/more.txt': 'more', 'note.sig': 'signed' })
  let reference: string

  beforeAll(async () => {
    reference = `${server.host}/by-oras/files:1`
    await oras(['push', reference, 'notes.txt', 'sub'], { cwd: folder })
  })

  test('pulls what it pushed, by tag and by digest', async () => {
    const digest = await oras(['resolve', reference])
    for (const name of [reference, `${server.host}/by-oras/files@${digest}`]) {
      const pulled = tempDir('pulled')
      await oras(['pull', name, '-o', pulled])
      expect(readFileSync(join(pulled, 'notes.txt'), 'utf8')).toBe('notes')
      expect(readFileSync(join(pulled, 'sub/more.txt'), 'utf8')).toBe('more')
    }
  })

  test('attaches, discovers, and copies what refers along, by mounting', async () => {
    const type = 'application/vnd.acme.signature'
    await oras(['attach', reference, '--artifact-type', type, 'note.sig'], { cwd: folder })
    await oras(['attach', reference, '--artifact-type', 'application/vnd.acme.other', 'note.sig'], { cwd: folder })
    const discover = async (from: string, ...more: string[]) => {
      const found = JSON.parse(await oras(['discover', from, '--format', 'json', ...more])) as Discovered
      return (found.referrers ?? found.manifests ?? []).map(({ artifactType }) => artifactType).sort()
    }
    expect(await discover(reference)).toEqual(['application/vnd.acme.other', type])
    expect(await discover(reference, '--artifact-type', type)).toEqual([type])

    const copy = `${server.host}/by-oras/copied:1`
    await run('oras', ['cp', '-r', '--from-plain-http', '--to-plain-http', reference, copy])
    expect(await discover(copy)).toEqual(['application/vnd.acme.other', type])
    expect(await oras(['resolve', copy])).toBe(await oras(['resolve', reference]))
    await mountedInto('by-oras/copied')
  })

  test('tags, lists tags and repositories, and deletes', async () => {
    await oras(['tag', reference, '2', 'stable'])
    expect(await oras(['repo', 'tags', `${server.host}/by-oras/files`])).toBe('1\n2\nstable')
    expect((await oras(['repo', 'ls', server.host])).split('\n')).toContain('by-oras/files')

    const doomed = `${server.host}/by-oras/doomed:1`
    await oras(['push', doomed, 'notes.txt'], { cwd: folder })
    await oras(['manifest', 'delete', '--force', doomed])
    const gone = await exec(component('oras'), ['resolve', '--plain-http', doomed], { env })
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain('not found')
  })

  test('pushes and fetches blobs and manifests by themselves', async () => {
    const bytes = Buffer.from('just bytes')
    const blob = `${server.host}/by-oras/raw@${digestOf(bytes)}`
    await oras(['blob', 'push', blob, '--size', String(bytes.length), '-'], { stdin: bytes })
    expect(await oras(['blob', 'fetch', '--output', '-', blob])).toBe('just bytes')
    const manifest = await oras(['manifest', 'fetch', reference])
    expect(digestOf(Buffer.from(manifest))).toBe(await oras(['resolve', reference]))
  })
})

interface Discovered {
  referrers?: { artifactType: string }[]
  manifests?: { artifactType: string }[]
}

needs('regctl', 'oras')('regctl', () => {
  const regctl = (args: string[], options?: ExecOptions) =>
    run('regctl', ['--host', `reg=${server.host},tls=disabled`, ...args], options)
  let reference: string

  beforeAll(async () => {
    reference = `${server.host}/by-regctl/art:1`
    await regctl(['artifact', 'put', '--artifact-type', 'application/vnd.acme.doc', reference], { stdin: 'the text' })
  })

  test('puts, gets and lists artifacts', async () => {
    expect(await regctl(['artifact', 'get', reference])).toBe('the text')
    await regctl(['artifact', 'put', '--artifact-type', 'application/vnd.acme.sbom', '--subject', reference], {
      stdin: 'the bom',
    })
    expect(await regctl(['artifact', 'list', reference])).toContain('application/vnd.acme.sbom')
    const found = await regctl(['artifact', 'get', '--subject', reference])
    expect(found).toBe('the bom')
  })

  test('copies an image with its referrers, lists and removes tags', async () => {
    const copy = `${server.host}/by-regctl/copy`
    await regctl(['image', 'copy', '--referrers', reference, `${copy}:1`])
    expect(await regctl(['artifact', 'list', `${copy}:1`])).toContain('application/vnd.acme.sbom')
    await mountedInto('by-regctl/copy')
    await regctl(['image', 'copy', `${copy}:1`, `${copy}:2`])
    expect(await regctl(['tag', 'ls', copy])).toBe('1\n2')
    await regctl(['tag', 'rm', `${copy}:1`])
    expect(await regctl(['tag', 'ls', copy])).toBe('2')
    expect(await regctl(['artifact', 'get', `${copy}:2`])).toBe('the text')
  })

  test('puts, heads, gets and deletes blobs', async () => {
    const repository = `${server.host}/by-regctl/blobs`
    const digest = digestOf(Buffer.from('a blob'))
    expect(await regctl(['blob', 'put', repository], { stdin: 'a blob' })).toBe(digest)
    await regctl(['blob', 'head', repository, digest])
    expect(await regctl(['blob', 'get', repository, digest])).toBe('a blob')
    await regctl(['blob', 'delete', repository, digest])
    const gone = ['--host', `reg=${server.host},tls=disabled`, 'blob', 'head', repository, digest]
    expect((await exec(component('regctl'), gone, { env })).code).not.toBe(0)
  })
})

needs('crane')('crane', () => {
  const crane = (args: string[]) => run('crane', ['--insecure', ...args])
  const folder = writeFiles({ 'root/policy.rego': 'package a\n' })
  let reference: string

  beforeAll(async () => {
    reference = `${server.host}/by-crane/image:1`
    await execOk('tar', ['-cf', 'layer.tar', '-C', 'root', '.'], { cwd: folder })
    await crane(['append', '--oci-empty-base', '-f', join(folder, 'layer.tar'), '-t', reference])
  })

  test('appends, validates, pulls and pushes an image under one digest', async () => {
    await crane(['validate', '--remote', reference])
    const digest = await crane(['digest', reference])
    const layout = tempDir('layout')
    await crane(['pull', '--format', 'oci', reference, layout])
    await crane(['push', layout, `${server.host}/by-crane/again:1`])
    expect(await crane(['digest', `${server.host}/by-crane/again:1`])).toBe(digest)
  })

  test('copies, lists tags and repositories, and deletes', async () => {
    const copy = `${server.host}/by-crane/copy`
    await crane(['copy', reference, `${copy}:1`])
    await crane(['copy', reference, `${copy}:2`])
    await mountedInto('by-crane/copy')
    expect(await crane(['ls', copy])).toBe('1\n2')
    expect((await crane(['catalog', server.host])).split('\n')).toEqual(
      expect.arrayContaining(['by-crane/image', 'by-crane/copy']),
    )
    await crane(['delete', `${copy}@${await crane(['digest', `${copy}:1`])}`])
    const gone = await exec(component('crane'), ['--insecure', 'digest', `${copy}:1`], { env })
    expect(gone.stderr).toContain('MANIFEST_UNKNOWN')
    await crane(['digest', reference])
  })
})

needs(
  'skopeo',
  'buildah',
  'podman',
)('images', () => {
  const storage = createContainerStorage()
  const skopeo = async (args: string[]) => {
    const result = await runSkopeo(args, { env })
    expect(result.code, result.stderr).toBe(0)
    return result.stdout.trim()
  }
  const folder = writeFiles({ Dockerfile: 'FROM scratch\nCOPY policy /\n', 'policy/a.rego': 'package a\n' })
  let image: string

  beforeAll(async () => {
    image = `${server.host}/by-podman/image:1`
    await storage.buildah(['bud', '-t', image, '.'], { cwd: folder, env })
    await storage.buildah(['push', '--tls-verify=false', image], { env })
  })

  test('that podman and buildah push they pull again', async () => {
    const other = image.replace(/1$/, '2')
    await storage.podman(['tag', image, other], { env })
    await storage.podman(['push', '--tls-verify=false', other], { env })
    const clean = createContainerStorage()
    await clean.podman(['pull', '--tls-verify=false', other], { env })
    expect((await clean.podman(['images', '--format', '{{.Repository}}:{{.Tag}}'], { env })).stdout).toContain(other)
    await clean.buildah(['pull', '--tls-verify=false', image], { env })
    const mounted = (await clean.buildah(['from', image], { env })).stdout.trim()
    const root = (await clean.buildah(['mount', mounted], { env })).stdout.trim()
    expect(readFileSync(join(root, 'a.rego'), 'utf8')).toBe('package a\n')
  })

  test('skopeo inspects, lists, copies out and in under one digest, and deletes', async () => {
    const remote = `docker://${image}`
    const { Digest: digest } = JSON.parse(await skopeo(['inspect', '--tls-verify=false', remote])) as { Digest: string }
    expect(JSON.parse(await skopeo(['list-tags', '--tls-verify=false', remote.replace(/:1$/, '')]))).toMatchObject({
      Tags: expect.arrayContaining(['1']) as string[],
    })
    const out = tempDir('skopeo')
    await skopeo(['copy', '--src-tls-verify=false', remote, `dir:${out}`])
    expect(digestOf(readFileSync(join(out, 'manifest.json')))).toBe(digest)
    const back = `docker://${server.host}/by-skopeo/image:1`
    await skopeo(['copy', '--dest-tls-verify=false', `dir:${out}`, back])
    const between = `docker://${server.host}/by-skopeo/between:1`
    await skopeo(['copy', '--src-tls-verify=false', '--dest-tls-verify=false', back, between])
    for (const copy of [back, between])
      expect(JSON.parse(await skopeo(['inspect', '--tls-verify=false', copy]))).toMatchObject({ Digest: digest })
    await skopeo(['delete', '--tls-verify=false', back])
    expect((await runSkopeo(['inspect', '--tls-verify=false', back], { env })).stderr).toContain('manifest unknown')
    await skopeo(['inspect', '--tls-verify=false', between])
  })
})

needs('conftest')('conftest', () => {
  test('pulls what it pushed, and tests with it', async () => {
    const rule = 'package main\n\ndeny contains msg if {\n  input.bad\n  msg := "it is bad"\n}\n'
    const folder = writeFiles({ 'policy/deny.rego': rule, 'good.json': '{"bad":false}', 'bad.json': '{"bad":true}' })
    const reference = `${server.host}/by-conftest/policy:1`
    await run('conftest', ['push', '--tls=false', reference], { cwd: folder })
    const other = tempDir('conftest')
    await run('conftest', ['pull', '--policy', 'pulled', `oci://${reference}`], { cwd: other })
    const judge = (file: string) =>
      exec(component('conftest'), ['test', '--policy', 'pulled', join(folder, file)], { cwd: other, env })
    expect((await judge('good.json')).code).toBe(0)
    const bad = await judge('bad.json')
    expect(bad.code).toBe(1)
    expect(bad.stdout).toContain('it is bad')
  })
})

describe('longshore', () => {
  const own = async (args: string[]) => {
    const result = await longshore([...args, '--json'], { env })
    expect(result.code, result.stderr).toBe(0)
    return JSON.parse(result.stdout) as Record<string, unknown>
  }

  test('pushes, pulls, copies, lists, untags and deletes', async () => {
    const repository = `${server.host}/by-longshore/policies`
    const pushed = await own(['push', writeFiles(policyFiles('one')), `${repository}:1`])
    const folder = join(tempDir('out'), 'pulled')
    await own(['pull', `${repository}:1`, '-o', folder])
    expect(readdirSync(folder).sort()).toEqual(['.manifest', 'policy.rego'])
    await own(['copy', `${repository}:1`, `${repository}:2`])
    const other = `${server.host}/by-longshore/copy`
    await own(['copy', `${repository}:1`, `${other}:1`])
    await mountedInto('by-longshore/copy')
    expect(await own(['inspect', `${other}:1`])).toMatchObject({ digest: pushed.digest })
    expect((await longshore(['tags', repository], { env })).stdout).toBe('1\n2\n')
    await own(['untag', `${repository}:1`])
    expect((await longshore(['tags', repository], { env })).stdout).toBe('2\n')
    await own(['delete', `${repository}@${String(pushed.digest)}`])
    expect((await longshore(['inspect', `${repository}:2`], { env })).code).toBe(3)
    expect(await own(['inspect', `${other}:1`])).toMatchObject({ digest: pushed.digest })
  })

  test('takes an artifact out to a layout under the same digest', async () => {
    const repository = `${server.host}/by-longshore/kept`
    const pushed = await own(['push', writeFiles(policyFiles('kept')), `${repository}:1`])
    const layout = `oci-layout:${join(tempDir('layout'), 'kept')}:1`
    await own(['copy', `${repository}:1`, layout])
    expect(await own(['inspect', layout])).toMatchObject({ digest: pushed.digest })
  })
})
