import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAssembler } from '../../src/artifact/assemble.ts'
import { defaultLimits } from '../../src/artifact/limits.ts'
import { unpackArtifact } from '../../src/artifact/unpack.ts'
import { component, needs } from '../support/components.ts'
import { createContainerStorage } from '../support/containers.ts'
import { execOk } from '../support/exec.ts'
import { startDistributionV3, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { assembleFrom, evaluate, folder, openRepository } from './artifact-support.ts'

const sources = {
  'authz/policy.rego': 'package authz\n\nallow := data.users.names\n',
  'users/data.json': '{"names":["ann"]}',
}
const repository = 'policies/authz'

needs(
  'distribution',
  'oras',
  'conftest',
  'buildah',
  'opa-1.22.0',
)('what other tools push', () => {
  const assembler = createAssembler()
  let registry: Registry
  let reference: string

  beforeAll(async () => {
    registry = await startDistributionV3()
    reference = `${registry.host}/${repository}`
  })
  afterAll(() => assembler.close())

  const env = { HOME: tempDir('home'), DOCKER_CONFIG: tempDir('docker') }
  const oras = (cwd: string, tag: string, ...paths: string[]) =>
    execOk(component('oras'), ['push', '--plain-http', `${reference}:${tag}`, ...paths], { cwd, env })
  const assemble = (tag: string) => assembleFrom(assembler, registry.host, repository, tag)

  test('oras, a folder', async () => {
    await oras(folder(sources), 'folder', './')
    const assembled = await assemble('folder')
    expect(assembled.form).toBe('original')
    expect(await evaluate(assembled.path, 'data.authz.allow')).toEqual(['ann'])
  })

  test('oras, two folders', async () => {
    await oras(folder(sources), 'folders', 'authz', 'users')
    const assembled = await assemble('folders')
    expect(assembled.form).toBe('repacked')
    expect(await evaluate(assembled.path, 'data.authz.allow')).toEqual(['ann'])
  })

  test('oras, single files', async () => {
    await oras(folder(sources), 'files', 'authz/policy.rego', 'users/data.json')
    const assembled = await assemble('files')
    expect(assembled.form).toBe('assembled')
    expect(await evaluate(assembled.path, 'data.authz.allow')).toEqual(['ann'])
  })

  test('oras, what `opa build` made', async () => {
    const dir = folder(sources)
    await execOk(component('opa-1.22.0'), ['build', '-b', '.', '-o', 'bundle.tar.gz'], { cwd: dir })
    await oras(dir, 'typed', 'bundle.tar.gz:application/vnd.oci.image.layer.v1.tar+gzip')
    await oras(dir, 'untyped', 'bundle.tar.gz')
    const [typed, untyped] = [await assemble('typed'), await assemble('untyped')]
    expect([typed.form, untyped.form]).toEqual(['original', 'repacked'])
    expect(readFileSync(typed.path).equals(readFileSync(join(dir, 'bundle.tar.gz')))).toBe(true)
    for (const { path } of [typed, untyped]) expect(await evaluate(path, 'data.authz.allow')).toEqual(['ann'])
  })

  test('oras, a wasm module and policies of different Rego versions, that `opa build` made', async () => {
    const dir = folder({
      '.manifest': '{"rego_version":1,"file_rego_versions":{"*/old.rego":0}}',
      'a/new.rego': 'package a\n\nx if true\n',
      'b/old.rego': 'package b\n\ny { true }\n',
    })
    const opa = (...args: string[]) => execOk(component('opa-1.22.0'), ['build', ...args], { cwd: dir })
    await opa('-b', '.', '-o', 'versions.tar.gz')
    await opa('a/new.rego', '-t', 'wasm', '-e', 'a/x', '-o', 'wasm.tar.gz')
    await oras(dir, 'versions', 'versions.tar.gz')
    await oras(dir, 'wasm', 'wasm.tar.gz')
    const versions = await assemble('versions')
    expect(versions.form).toBe('repacked')
    expect(await evaluate(versions.path, 'data.b.y')).toBe(true)
    // The opa that tests run has no wasm engine, so it can only say where a module is missed.
    const facts = await assembler.check((await assemble('wasm')).path, { limits: defaultLimits })
    expect(facts.manifest.wasm).toEqual([{ entrypoint: 'a/x', module: 'policy.wasm' }])
  })

  test.each([
    [
      'one folder',
      ['--policy', 'policy'],
      {
        'policy/a.rego': 'package a\n\nx := data.teams.ann\n',
        'policy/teams/t.yaml': 'ann: 1\n',
        'policy/teams/u.json': '{"bob":2}',
      },
    ],
    [
      'two folders',
      ['--policy', 'policy', '--data', 'data'],
      { 'policy/a.rego': 'package a\n\nx := data.teams.ann\n', 'data/teams/t.yaml': 'ann: 1\n' },
    ],
  ])('conftest, %s: its references find the data', async (what, args, files: Record<string, string>) => {
    const tag = what.replace(' ', '-')
    await execOk(component('conftest'), ['push', `${reference}:${tag}`, ...args], { cwd: folder(files), env })
    const assembled = await assemble(tag)
    expect(assembled.form).toBe('assembled')
    expect(await evaluate(assembled.path, 'data.a.x')).toBe(1)
  })

  test('buildah, an image of one layer and one of several', async () => {
    const dir = folder({
      ...Object.fromEntries(Object.entries(sources).map(([path, text]) => [`policy/${path}`, text])),
    })
    writeFileSync(join(dir, 'more.json'), '{"names":["robert"]}')
    const storage = createContainerStorage()
    const image = async (tag: string, file: string, ...flags: string[]) => {
      writeFileSync(join(dir, 'Dockerfile'), file)
      await storage.buildah(['bud', '--layers', ...flags, '-t', `${reference}:${tag}`, dir])
      await storage.buildah(['push', '--tls-verify=false', `${reference}:${tag}`])
    }
    await image('one', 'FROM scratch\nCOPY policy /\n', '--format', 'oci')
    await image('docker', 'FROM scratch\nCOPY policy /\n', '--format', 'docker')
    await image('several', 'FROM scratch\nCOPY policy /\nCOPY more.json /users/data.json\n', '--format', 'oci')
    const [one, docker, several] = [await assemble('one'), await assemble('docker'), await assemble('several')]
    expect([one.form, docker.form, several.form]).toEqual(['original', 'repacked', 'repacked'])
    for (const { path } of [one, docker]) expect(await evaluate(path, 'data.authz.allow')).toEqual(['ann'])
    expect(await evaluate(several.path, 'data.authz.allow')).toEqual(['robert'])
  })

  test('a policy that OPA refuses is refused, the file named', async () => {
    await oras(folder({ 'a/x.rego': 'package a\n\nx := y\n' }), 'broken', './')
    await expect(assemble('broken')).rejects.toMatchObject({
      code: 'bad_bundle',
      file: expect.stringMatching(/a\/x\.rego$/),
    })
  })

  test('what is pulled is what oras pushed', async () => {
    await oras(folder({ ...sources, 'zones/db.a': 'a' }), 'mixed', 'authz/policy.rego', 'zones')
    const from = openRepository(registry.host, repository)
    const into = join(tempDir('pull'), 'out')
    const paths = await unpackArtifact(await from.manifest('mixed'), from, into)
    await from.close()
    expect(paths).toEqual(['authz/policy.rego', 'zones/db.a'])
    expect(readFileSync(join(into, 'zones/db.a'), 'utf8')).toBe('a')
  })
})
