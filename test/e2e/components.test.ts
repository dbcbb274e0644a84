import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createCertificates } from '../support/certs.ts'
import { component, needs } from '../support/components.ts'
import { createContainerStorage, skopeo } from '../support/containers.ts'
import { exec, execOk } from '../support/exec.ts'
import { opaVersions, startOpa } from '../support/opa.ts'
import { startProcess } from '../support/process.ts'
import { startDistributionV2, startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const registries = [
  { name: 'distribution', start: startDistributionV3 },
  { name: 'docker-registry', start: startDistributionV2 },
  { name: 'olareg', start: startOlareg },
] as const

for (const { name, start } of registries) {
  needs(name, 'oras')(name, () => {
    test('is pinged and keeps what oras pushes', async () => {
      const registry = await start()
      expect((await fetch(`${registry.url}/v2/`)).status).toBe(200)
      expect(await pushAndPull(registry, ['--plain-http'])).toBe('hello')
      await registry.stop()
      await expect(fetch(`${registry.url}/v2/`)).rejects.toThrow()
    })

    test('keeps its content over a restart on the same port', async () => {
      const first = await start()
      await pushAndPull(first, ['--plain-http'])
      await first.process.kill()
      const second = await start({ storage: first.storage, port: first.port })
      expect(await (await fetch(`${second.url}/v2/some/files/tags/list`)).json()).toMatchObject({ tags: ['v1'] })
    })

    test('speaks TLS', async () => {
      const { ca, server } = await createCertificates()
      const registry = await start({ tls: server })
      expect(await pushAndPull(registry, ['--ca-file', ca])).toBe('hello')
    })
  })
}

const distributions = [
  { name: 'distribution', start: startDistributionV3, events: 'application/vnd.docker.distribution.events.v2+json' },
  { name: 'docker-registry', start: startDistributionV2, events: 'application/vnd.docker.distribution.events.v1+json' },
] as const

for (const { name, start, events } of distributions) {
  needs(name, 'oras')(`${name}, guarded`, () => {
    test('asks for a password', async () => {
      const registry = await start({ users: { ann: 'secret' } })
      expect((await fetch(`${registry.url}/v2/`)).status).toBe(401)
      expect(await pushAndPull(registry, ['--plain-http', '-u', 'ann', '-p', 'secret'])).toBe('hello')
    })

    test('tells a listener of a push', async () => {
      const { promise, resolve } = Promise.withResolvers<string>()
      const listener = createServer((request, response) => {
        resolve(request.headers['content-type'] ?? '')
        request.resume()
        response.end()
      }).listen(0, '127.0.0.1')
      await once(listener, 'listening')
      const { port } = listener.address() as AddressInfo
      const registry = await start({ notify: [`http://127.0.0.1:${port}/`] })
      await pushAndPull(registry, ['--plain-http'])
      expect(await promise).toBe(events)
      await registry.stop()
      listener.close()
    })

    test('deletes only where that is allowed', async () => {
      for (const allowDelete of [true, false]) {
        const registry = await start({ allowDelete })
        await pushAndPull(registry, ['--plain-http'])
        const reference = `${registry.host}/some/files:v1`
        const deleted = await exec(component('oras'), ['manifest', 'delete', '--plain-http', '--force', reference])
        expect(deleted.code === 0, deleted.stderr).toBe(allowDelete)
      }
    })

    test('asks for a client certificate', async () => {
      const { ca, server, client } = await createCertificates()
      const registry = await start({ tls: { ...server, clientCa: ca } })
      const args = ['--ca-file', ca, '--cert-file', client.cert, '--key-file', client.key]
      expect(await pushAndPull(registry, args)).toBe('hello')
      const refused = await exec(component('oras'), ['repo', 'tags', '--ca-file', ca, `${registry.host}/some/files`])
      expect(refused.code).not.toBe(0)
    })
  })
}

needs(
  'distribution',
  'regctl',
  'crane',
  'skopeo',
)('other clients', () => {
  test('regctl, crane and skopeo read what oras pushed', async () => {
    const registry = await startDistributionV3()
    await pushAndPull(registry, ['--plain-http'])
    const reference = `${registry.host}/some/files:v1`
    const env = { HOME: tempDir('home') }
    await execOk(component('regctl'), ['registry', 'set', '--tls', 'disabled', registry.host], { env })
    const [byRegctl, byCrane, bySkopeo] = await Promise.all([
      execOk(component('regctl'), ['manifest', 'head', reference], { env }),
      execOk(component('crane'), ['digest', '--insecure', reference], { env }),
      skopeo(['inspect', '--tls-verify=false', '--raw', `docker://${reference}`]),
    ])
    expect(byRegctl.stdout.trim()).toMatch(/^sha256:/)
    expect(byCrane.stdout.trim()).toBe(byRegctl.stdout.trim())
    expect(JSON.parse(bySkopeo.stdout)).toMatchObject({ schemaVersion: 2 })
  })
})

needs(
  'distribution',
  'buildah',
  'podman',
)('images without a daemon', () => {
  test('buildah builds and pushes, podman pulls', async () => {
    const registry = await startDistributionV3()
    const context = tempDir('image')
    writeFileSync(join(context, 'data.json'), '{"a":1}')
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY data.json /data.json\n')
    const image = `${registry.host}/some/image:v1`
    const builder = createContainerStorage()
    await builder.buildah(['bud', '-t', image, context])
    await builder.buildah(['push', '--tls-verify=false', image])
    const puller = createContainerStorage()
    await puller.podman(['pull', '--tls-verify=false', image])
    expect((await puller.podman(['images', '--format', '{{.Repository}}'])).stdout.trim()).toBe(
      `${registry.host}/some/image`,
    )
  })
})

for (const version of opaVersions) {
  needs(`opa-${version}`)(`OPA ${version}`, () => {
    test('starts with a config and answers', async () => {
      const opa = await startOpa({
        version,
        config: { labels: { place: 'here' } },
        files: { 'policy.rego': 'package greeting\n\nhello := sprintf("hello %s", [input.name])\n' },
      })
      expect(await opa.query('greeting/hello', { name: 'ann' })).toBe('hello ann')
      expect(await opa.query('greeting/nothing')).toBeUndefined()
      expect(await opa.status()).toMatchObject({ labels: { place: 'here', version } })
      expect(await opa.isReady()).toBe(true)
      await opa.stop()
    })

    test('says why it does not start', async () => {
      await expect(startOpa({ version, config: { bundles: { a: { service: 'nobody' } } } })).rejects.toThrow(/nobody/)
    })
  })
}

needs('coredns')('coredns', () => {
  test('runs', async () => {
    expect((await execOk(component('coredns'), ['-version'])).stdout).toMatch(/CoreDNS-1\.15\.0/)
  })
})

needs('conftest')('conftest', () => {
  test('runs', async () => {
    expect((await execOk(component('conftest'), ['--version'])).stdout).toMatch(/Conftest/)
  })
})

describe('a process', () => {
  test('that ends by itself is told with its output', async () => {
    const started = startProcess({ command: 'sh', args: ['-c', 'echo bad option >&2; exit 3'], ready: () => false })
    await expect(started).rejects.toThrow(/exit code 3[^]*bad option/)
  })

  test('that does not get ready is ended', async () => {
    const pidFile = join(tempDir('process'), 'pid')
    const args = ['-c', `echo $$ > ${pidFile}; exec sleep 60`]
    const isUp = () => existsSync(pidFile) && readFileSync(pidFile, 'utf8').endsWith('\n')
    const ready = async () => {
      await waitFor('it to be up', isUp)
      return false
    }
    const started = startProcess({ command: 'sh', args, ready, readyTimeoutMs: 200 })
    await expect(started).rejects.toThrow(/in vain/)
    const pid = Number(readFileSync(pidFile, 'utf8'))
    expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  test('that ignores SIGTERM is killed after the bound', async () => {
    const args = ['-c', 'trap "" TERM; echo up; while :; do sleep 0.05; done']
    const started = await startProcess({ command: 'sh', args, ready: () => true })
    await waitFor('the trap', () => started.output().includes('up'))
    await started.stop({ timeoutMs: 100 })
    expect(await started.exited).toEqual({ code: null, signal: 'SIGKILL' })
  })
})

test('exec ends a command that takes too long', async () => {
  expect((await exec('sleep', ['60'], { timeoutMs: 100 })).code).toBeNull()
})

async function pushAndPull(registry: Registry, args: string[]): Promise<string> {
  const from = tempDir('from')
  const to = join(tempDir('to'), 'pulled')
  mkdirSync(to)
  writeFileSync(join(from, 'hello.txt'), 'hello')
  const reference = `${registry.host}/some/files:v1`
  await execOk(component('oras'), ['push', ...args, reference, 'hello.txt:text/plain'], { cwd: from })
  await execOk(component('oras'), ['pull', ...args, reference, '--output', to])
  return readFileSync(join(to, 'hello.txt'), 'utf8')
}
