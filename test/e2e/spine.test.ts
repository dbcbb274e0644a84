import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startOpa, type Opa } from '../support/opa.ts'
import { startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

needs(
  'opa-1.22.0',
  'opa-1.17.1',
  'oras',
  'podman',
  'buildah',
  'distribution',
  'olareg',
)('from a push to an enforced policy', () => {
  let upstream: Registry
  let downstream: Registry
  let server: Longshore
  let polling: Opa
  let pulling: Opa

  beforeAll(async () => {
    upstream = await startDistributionV3()
    downstream = await startOlareg()
    await push('mirrored-1', `${upstream.host}/acme/mirrored:stable`)
    server = await startLongshore({ config: config() })
    await push('pushed-1', `${server.host}/policies/authz:latest`)
    polling = await startOpa({
      config: {
        services: { longshore: { url: server.url } },
        bundles: {
          authz: {
            service: 'longshore',
            resource: 'bundles/authz',
            polling: { min_delay_seconds: 60, max_delay_seconds: 120, long_polling_timeout_seconds: 30 },
          },
          mirrored: {
            service: 'longshore',
            resource: 'bundles/mirrored',
            polling: { min_delay_seconds: 60, max_delay_seconds: 120, long_polling_timeout_seconds: 30 },
          },
        },
      },
    })
    pulling = await startOpa({
      version: '1.17.1',
      config: {
        services: { longshore: { url: server.url, type: 'oci' } },
        bundles: {
          authz: {
            service: 'longshore',
            resource: `${server.host}/bundles/authz:latest`,
            polling: { min_delay_seconds: 1, max_delay_seconds: 1 },
          },
        },
      },
    })
    await decides(polling, 'authz/version', 'pushed-1')
  })

  afterAll(async () => {
    await Promise.all([polling, pulling].map((opa) => opa?.stop()))
    await server?.stop()
    await Promise.all([upstream, downstream].map((registry) => registry?.stop()))
  })

  it('serves what was pushed to both kinds of client', async () => {
    await decides(polling, 'mirrored/version', 'mirrored-1')
    await decides(pulling, 'authz/version', 'pushed-1')
  })

  it('enforces what longshore push brought', async () => {
    await push('by-longshore', `${server.host}/policies/authz:latest`)
    await decides(polling, 'authz/version', 'by-longshore')
    await decides(pulling, 'authz/version', 'by-longshore')
  })

  it('enforces what oras push brought', async () => {
    const folder = policyFolder('by-oras', 'authz')
    await execOk(component('opa-1.22.0'), ['build', '-b', folder, '-o', 'bundle.tar.gz'], { cwd: folder })
    const file = `bundle.tar.gz:${layerType}`
    await execOk(component('oras'), ['push', '--plain-http', `${server.host}/policies/authz:latest`, file], {
      cwd: folder,
    })
    await decides(polling, 'authz/version', 'by-oras')
    await decides(pulling, 'authz/version', 'by-oras')
  })

  it('enforces an image that podman push brought', async () => {
    const folder = tempDir('image')
    mkdirSync(join(folder, 'policy'))
    writePolicy(join(folder, 'policy'), 'by-podman', 'authz')
    writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY policy /\n')
    const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs']
    const image = `${server.host}/policies/authz:latest`
    await execOk(component('buildah'), [...storage, 'bud', '--isolation', 'chroot', '-t', image, '.'], { cwd: folder })
    await execOk(component('podman'), [...storage, 'push', '--tls-verify=false', image], { cwd: folder })
    await decides(polling, 'authz/version', 'by-podman')
    await decides(pulling, 'authz/version', 'by-podman')
  })

  it('mirrors what moves in another registry', async () => {
    await push('mirrored-2', `${upstream.host}/acme/mirrored:stable`)
    await decides(polling, 'mirrored/version', 'mirrored-2')
  })

  it('copies both on to a third registry', async () => {
    for (const [name, version] of [
      ['authz', 'by-podman'],
      ['mirrored', 'mirrored-2'],
    ] as const) {
      await waitFor(`${version} at the third registry`, async () => (await deployedVersion(name)) === version)
    }
  })

  it('goes on after a restart, before any registry answers', async () => {
    await server.stop()
    await upstream.stop()
    server = await startLongshore({ config: config(), folder: server.folder, port: server.port })
    expect((await fetch(`${server.url}/bundles/mirrored`)).status).toBe(200)
    await push('after-restart', `${server.host}/policies/authz:latest`)
    await decides(polling, 'authz/version', 'after-restart')
  })

  it('keeps the last good release when something bad is pushed', async () => {
    const folder = policyFolder('bad', 'authz')
    writeFileSync(join(folder, 'data.json'), '{ broken')
    const pushed = await execOk('tar', ['-czf', 'bad.tar.gz', 'data.json', 'policy.rego'], { cwd: folder }).then(() =>
      execOk(
        component('oras'),
        ['push', '--plain-http', `${server.host}/policies/authz:latest`, `bad.tar.gz:${layerType}`],
        {
          cwd: folder,
        },
      ),
    )
    expect(pushed.code).toBe(0)
    await waitFor('the refusal to be shown', async () => {
      const status = await longshore(['status', '--json', '--server', server.url])
      return status.stdout.includes('data.json')
    })
    expect(await polling.query('authz/version')).toBe('after-restart')
  })

  async function deployedVersion(name: string): Promise<string | undefined> {
    const folder = tempDir('deployed')
    const reference = `${downstream.host}/prod/${name}:latest`
    const pulled = await longshore(['pull', reference, '-o', folder])
    if (pulled.code !== 0) return undefined
    const evaluated = await execOk(component('opa-1.22.0'), ['eval', '-b', folder, '-f', 'raw', `data.${name}.version`])
    return evaluated.stdout.trim()
  }

  function config() {
    return {
      bundles: {
        authz: { store: { type: 'local', repository: 'policies/authz' }, deploy: [{ to: 'authz' }] },
        mirrored: {
          store: { type: 'oci', repository: `${upstream.host}/acme/mirrored` },
          follow: 'stable',
          schedule: '5s',
          deploy: [{ to: 'mirrored' }],
        },
      },
      deployers: {
        authz: { type: 'oci', repository: `${downstream.host}/prod/authz` },
        mirrored: { type: 'oci', repository: `${downstream.host}/prod/mirrored` },
      },
    }
  }
})

async function push(version: string, reference: string): Promise<void> {
  const folder = policyFolder(version, reference.includes('mirrored') ? 'mirrored' : 'authz')
  const pushed = await longshore(['push', folder, reference])
  expect(pushed.code, pushed.stderr).toBe(0)
}

function policyFolder(version: string, name: string): string {
  const folder = tempDir('policy')
  writePolicy(folder, version, name)
  return folder
}

function writePolicy(folder: string, version: string, name: string): void {
  writeFileSync(join(folder, '.manifest'), JSON.stringify({ revision: version, roots: [name] }))
  writeFileSync(join(folder, 'policy.rego'), `package ${name}\n\nversion := "${version}"\n`)
}

async function decides(opa: Opa, path: string, expected: string): Promise<void> {
  await waitFor(
    `${opa.process.name} to decide ${path} by ${expected}`,
    async () => (await opa.query(path)) === expected,
  )
}
