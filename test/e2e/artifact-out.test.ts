import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { buildBundle } from '../../src/artifact/build.ts'
import { packPush } from '../../src/artifact/push.ts'
import { loadWithOpa } from '../../src/opa/program.ts'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { opaVersions, startOpa } from '../support/opa.ts'
import { startDistributionV3 } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { folder, push, serveArtifact, serveFile } from './artifact-support.ts'

const sources = {
  'authz/policy.rego': 'package authz\n\nallow if input.user in data.users.names\n',
  'users/data.json': '{"names":["ann"]}',
  'deep/er/data.yaml': 'x: 1\n',
}

async function built(files: Record<string, string>): Promise<string> {
  const output = join(tempDir('build'), 'bundle.tar.gz')
  await buildBundle({ dirs: [folder(files)], output })
  return output
}

/** Its own home, so that nobody's login or cache is touched. */
const home = () => ({ HOME: tempDir('home'), DOCKER_CONFIG: tempDir('docker') })

for (const version of opaVersions) {
  needs(`opa-${version}`)(`OPA ${version}`, () => {
    test('activates what build makes, and reports its revision', async () => {
      const server = await serveFile(await built(sources))
      const opa = await startOpa({
        version,
        config: { services: { s: { url: server.url } }, bundles: { authz: { service: 's', resource: 'authz' } } },
      })
      await waitFor('the bundle', () => opa.isReady())
      expect(await opa.query('authz/allow', { user: 'ann' })).toBe(true)
      expect(await opa.query('deep/er/x')).toBe(1)
      await opa.activated('authz', /^sha256-[0-9a-f]{16}$/)
      await opa.stop()
      server.close()
    })

    test.each([
      ['a policy that cannot be parsed', { 'a.rego': 'package a\nx {\n' }, 'a.rego'],
      ['an unsafe variable', { 'sub/a.rego': 'package a\nx := y\n' }, 'sub/a.rego'],
      ['a rule where there is data', { 'a.rego': 'package a\nb := 1\n', 'data.json': '{"a":{"b":2}}' }, 'a.rego'],
      ['a recursive rule', { 'a.rego': 'package a\nx if y\ny if x\n' }, 'a.rego'],
      ['an unknown function', { 'a.rego': 'package a\nx := nope(1)\n' }, 'a.rego'],
    ])('is asked, and refuses %s', async (_what, files, file) => {
      const promise = built(files).then((path) => loadWithOpa(component(`opa-${version}`), path))
      await expect(promise).rejects.toMatchObject({ code: 'bad_bundle', file })
    })

    test('is asked, and takes what a running one takes although `opa check` does not', async () => {
      const schema = '{type: object, properties: {foo: {type: string}}, additionalProperties: false}'
      const policy = `package a\n# METADATA\n# schemas:\n#   - input: ${schema}\nx := input.bar.baz\n`
      await loadWithOpa(component(`opa-${version}`), await built({ 'a.rego': policy }))
    })
  })
}

for (const version of opaVersions) {
  needs(`opa-${version}`, 'distribution')(`OPA ${version}, over OCI`, () => {
    const activate = async (url: string, host: string) => {
      const resource = `${host}/policies/authz:v1`
      const opa = await startOpa({
        version,
        config: { services: { s: { url, type: 'oci' } }, bundles: { authz: { service: 's', resource } } },
      })
      await waitFor('the bundle', () => opa.isReady())
      expect(await opa.query('authz/allow', { user: 'ann' })).toBe(true)
      await opa.stop()
    }

    test('activates what push makes', async () => {
      const packed = await packPush([folder(sources)])
      const server = await serveArtifact(packed)
      await activate(server.url, server.host)
      server.close()
      await packed.close()
    })

    // 1.17 sends no Accept, and distribution then answers 404 for OCI manifests.
    if (version === '1.17.1') return
    test('activates it from another registry', async () => {
      const registry = await startDistributionV3()
      await push(registry.host, 'policies/authz', 'v1', [folder(sources)])
      await activate(registry.url, registry.host)
    })
  })
}

needs('distribution', 'oras')('oras', () => {
  test('unpacks a bundle that was pushed, deep folders too', async () => {
    const registry = await startDistributionV3()
    await push(registry.host, 'policies/authz', 'v1', [folder(sources)])
    const into = tempDir('pulled')
    await execOk(component('oras'), ['pull', '--plain-http', `${registry.host}/policies/authz:v1`, '-o', into], {
      env: home(),
    })
    for (const [path, content] of Object.entries(sources)) expect(readFileSync(join(into, path), 'utf8')).toBe(content)
    expect(readFileSync(join(into, '.manifest'), 'utf8')).toMatch(/revision/)
  })

  test('unpacks what `opa build` made and longshore pushed', async () => {
    const registry = await startDistributionV3()
    const bundle = join(tempDir('opa'), 'bundle.tar.gz')
    await execOk(component('opa-1.22.0'), ['build', '-b', folder(sources), '-o', bundle])
    await push(registry.host, 'policies/authz', 'v1', [bundle])
    const into = tempDir('pulled')
    await execOk(component('oras'), ['pull', '--plain-http', `${registry.host}/policies/authz:v1`, '-o', into], {
      env: home(),
    })
    expect(readdirSync(into)).toContain('data.json')
  })

  test('gets files and folders that were pushed', async () => {
    const registry = await startDistributionV3()
    const dir = folder({ 'zones/db.a': 'a', 'zones/sub/db.b': 'b' })
    writeFileSync(join(dir, 'one.txt'), 'one')
    await push(registry.host, 'some/files', 'v1', [join(dir, 'one.txt'), join(dir, 'zones')])
    const into = tempDir('pulled')
    await execOk(component('oras'), ['pull', '--plain-http', `${registry.host}/some/files:v1`, '-o', into], {
      env: home(),
    })
    expect(readFileSync(join(into, 'one.txt'), 'utf8')).toBe('one')
    expect(readFileSync(join(into, 'zones/sub/db.b'), 'utf8')).toBe('b')
  })
})

needs('distribution', 'conftest')('conftest', () => {
  test('pulls a bundle that was pushed, and tests with it', async () => {
    const registry = await startDistributionV3()
    const policy = {
      'main/main.rego': 'package main\n\ndeny contains "no ann" if not input.user in data.users.names\n',
    }
    await push(registry.host, 'policies/authz', 'v1', [folder({ ...policy, 'users/data.json': '{"names":["ann"]}' })])
    const cwd = tempDir('conftest')
    mkdirSync(join(cwd, 'policy'))
    writeFileSync(join(cwd, 'input.json'), '{"user":"ann"}')
    const env = home()
    await execOk(component('conftest'), ['pull', `oci://${registry.host}/policies/authz:v1`], { cwd, env })
    const { stdout } = await execOk(component('conftest'), ['test', 'input.json', '--data', 'policy'], { cwd, env })
    expect(stdout).toContain('1 passed')
  })
})

needs('distribution', 'regctl')('regctl', () => {
  test('gets the bundle that was pushed', async () => {
    const registry = await startDistributionV3()
    await push(registry.host, 'policies/authz', 'v1', [folder(sources)])
    const env = home()
    await execOk(component('regctl'), ['registry', 'set', '--tls', 'disabled', registry.host], { env })
    const into = tempDir('pulled')
    await execOk(component('regctl'), ['artifact', 'get', `${registry.host}/policies/authz:v1`, '--output', into], {
      env,
    })
    expect(readdirSync(into).length).toBeGreaterThan(0)
  })
})
