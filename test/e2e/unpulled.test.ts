// A registry that is watched only: what it has goes on from there, and nothing of it is kept here.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { digestAt } from '../support/digest-at.ts'
import { needs } from '../support/components.ts'
import { startCountingProxy } from '../support/counting-proxy.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { startDistributionV3, startOlareg, type Registry } from '../support/registries.ts'
import { imageOf, indexOf } from '../support/repository.ts'
import { scriptedServer } from '../support/scripted-server.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { folder, openRepository, push } from './artifact-support.ts'

let server: Longshore | undefined
afterEach(() => server?.stop())

/** An image of two platforms, signed, as `docker buildx` and cosign leave it. */
async function pushImage(host: string, text: string, tags: string[]): Promise<string> {
  const repository = openRepository(host, 'shop/web')
  try {
    const members = [
      await imageOf(repository, [`${text} amd64`, 'shared']),
      await imageOf(repository, [`${text} arm64`, 'shared']),
    ]
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }))
    const index = await indexOf(repository, members, { platforms, tags })
    await imageOf(repository, [`signature of ${text}`], { subject: index })
    return index.digest
  } finally {
    await repository.close()
  }
}

async function blobsIn(host: string, name: string, digest: string): Promise<unknown> {
  const repository = openRepository(host, name)
  try {
    const { manifests } = JSON.parse(Buffer.from((await repository.manifest(digest)).bytes).toString()) as {
      manifests: { digest: string }[]
    }
    const members = await Promise.all(manifests.map((member) => repository.manifest(member.digest)))
    const referrers = await repository.referrers(digest as never)
    return { members: members.length, referrers: referrers.length }
  } finally {
    await repository.close()
  }
}

needs('distribution', 'olareg')('a registry that is watched only', () => {
  test('is asked with one HEAD a look; its index goes on whole, by mount and by copy; nothing is kept here', async () => {
    const [registry, other] = await Promise.all([startOlareg(), startDistributionV3()])
    const proxy = await startCountingProxy(registry)
    onTestFinished(() => proxy.stop())
    const hook = await scriptedServer({ 'POST /web/v1.0.0': { status: 204 }, 'POST /web/v1.1.0': { status: 204 } })
    onTestFinished(() => hook[Symbol.asyncDispose]())
    const first = await pushImage(registry.host, 'one', ['v1.0.0'])
    const config = (pull: boolean) => ({
      bundles: {
        web: {
          store: { type: 'oci', repository: `${proxy.host}/shop/web` },
          ...{ follow: { semver: '*' }, schedule: 'off', pull, ...(pull && { kind: 'files' }) },
          deploy: [{ to: 'near' }, { to: 'far' }, { to: 'hook' }],
        },
      },
      deployers: {
        near: { type: 'oci', repository: `${proxy.host}/prod/web` },
        far: { type: 'oci', repository: `${other.host}/prod/web` },
        hook: { type: 'http', url: `${hook.origin}/{bundle}/{version}` },
      },
    })
    server = await startLongshore({ config: config(false) })
    await isAt([registry, other], first)
    for (const { host } of [registry, other]) {
      expect(await blobsIn(host, 'prod/web', first)).toEqual({ members: 2, referrers: 1 })
    }
    expect(JSON.parse(hook.requests[0]!.body.toString())).toMatchObject({ digest: first, bundleDigest: null })
    // Both registries are told by name; near is the same one: not a layer was sent there.
    expect(proxy.asked().filter((line) => line.startsWith('PUT /v2/prod/web/blobs'))).toEqual([])
    expect(proxy.asked().some((line) => line.startsWith('POST /v2/prod/web/blobs/uploads/'))).toBe(true)

    proxy.passed.length = 0
    expect(await server.look('web')).toMatchObject({ outcome: 'unchanged', version: 'v1.0.0' })
    expect(proxy.asked().filter((line) => line.includes('/shop/web/'))).toEqual([
      'GET /v2/shop/web/tags/list',
      'HEAD /v2/shop/web/manifests/v1.0.0',
    ])
    await keepsNothing(server)

    const second = await pushImage(registry.host, 'two', ['v1.1.0'])
    await server.look('web')
    await isAt([registry, other], second)
    const back = await longshore(['rollback', 'web', '--server', server.url])
    expect(back.code, back.stderr).toBe(0)
    await isAt([registry, other], first)
    expect(
      (await server.releases('web')).map(({ number, version, size, kept }) => [number, version, size, kept]),
    ).toEqual([
      [3, 'v1.0.0', 0, true],
      [2, 'v1.1.0', 0, true],
      [1, 'v1.0.0', 0, true],
    ])
    const unpinned = await longshore(['unpin', 'web', '--server', server.url])
    expect(unpinned.code, unpinned.stderr).toBe(0)
    expect(unpinned.stdout).toMatch(/^web: not pinned any more\n/)
    const explained = await longshore(['explain', 'web', '--server', server.url, '--json'])
    expect(JSON.parse(explained.stdout)).toMatchObject({ tags: { verdicts: [{ tag: 'v1.1.0' }, { tag: 'v1.0.0' }] } })
    for (const command of ['gc', 'verify-content']) {
      const done = await longshore([command, '--server', server.url])
      expect(done.code, done.stderr).toBe(0)
    }
    await keepsNothing(server)

    await isRebuilt(server, config(false))
  })

  test('is promoted from one place to the next, and goes there from where it is', async () => {
    const registry = await startOlareg()
    const digest = await pushImage(registry.host, 'one', ['v1.0.0'])
    const schedule = 'off'
    const job = {
      type: 'command',
      command: ['/bin/sh', '-c', 'echo "$LONGSHORE_REPOSITORY@$LONGSHORE_DIGEST" > "$TO"'],
    }
    const told = join(tempDir('told'), 'told')
    server = await startLongshore({
      config: {
        bundles: {
          web: {
            store: { type: 'oci', repository: `${registry.host}/shop/web` },
            ...{ follow: { semver: '*' }, schedule, pull: false, deploy: [{ to: 'staging' }] },
          },
          'web-prod': {
            store: { type: 'bundle', from: 'web', place: 'staging', approval: true },
            ...{ schedule, pull: false, deploy: [{ to: 'prod' }, { to: 'told' }] },
          },
        },
        deployers: {
          staging: { type: 'oci', repository: `${registry.host}/staging/web` },
          prod: { type: 'oci', repository: `${registry.host}/prod/web` },
          told: { ...job, env: { TO: told } },
        },
      },
    })
    await waitFor('the image at staging', async () => (await digestAt(registry, 'staging/web', 'latest')) === digest)
    await waitFor('what waits', async () => {
      const waiting = await longshore(['approve', 'web-prod', '--server', server!.url])
      return waiting.code === 0
    })
    await waitFor('the image in production', async () => {
      const { deployments } = await server!.bundle('web-prod')
      return deployments.every(({ state }) => state === 'done')
    })
    expect(await digestAt(registry, 'prod/web', 'v1.0.0')).toBe(digest)
    expect(await blobsIn(registry.host, 'prod/web', digest)).toEqual({ members: 2, referrers: 1 })
    expect(readFileSync(told, 'utf8').trim()).toBe(`${registry.host}/shop/web@${digest}`)
    await keepsNothing(server, 'web-prod')
  })

  test('is pulled from now on, or no longer, after a reload', async () => {
    const registry = await startOlareg()
    await push(registry.host, 'shop/files', 'latest', [folder({ 'a.txt': 'a file' })])
    const digest = await digestAt(registry, 'shop/files', 'latest')
    const config = (pull: boolean) => ({
      bundles: {
        files: {
          store: { type: 'oci', repository: `${registry.host}/shop/files` },
          ...{ schedule: 'off', pull, ...(pull && { kind: 'files' }) },
        },
      },
    })
    server = await startLongshore({ config: config(false) })
    expect((await server.releases('files'))[0]).toMatchObject({ manifestDigest: digest, bundleDigest: null })
    await switchTo(server, config(true), 200)
    expect((await server.fetch('/v2/bundles/files/tags/list')).status).toBe(200)
    await switchTo(server, config(false), 404)
    await waitFor('the third release', async () => (await server!.releases('files')).length === 3)
    await keepsNothing(server, 'files')
  })
})

async function switchTo(to: Longshore, config: Record<string, unknown>, status: number): Promise<void> {
  to.writeConfig(config)
  expect((await to.reload()).status).toBe(200)
  await waitFor(`${status}`, async () => (await to.fetch('/bundles/files')).status === status)
}

async function isAt(registries: Registry[], digest: string): Promise<void> {
  await waitFor(`${digest} at both registries`, async () => {
    const found = await Promise.all(registries.map((registry) => digestAt(registry, 'prod/web', 'latest')))
    const { deployments } = await server!.bundle('web')
    return found.every((one) => one === digest) && deployments.every(({ state }) => state === 'done')
  })
}

async function keepsNothing(of: Longshore, name = 'web'): Promise<void> {
  expect((await of.fetch('/health/ready')).status).toBe(200)
  const served = await of.fetch(`/bundles/${name}`)
  expect([served.status, await served.text()]).toEqual([404, expect.stringMatching(/pull: false/)])
  const listed = await of.fetch(`/v2/bundles/${name}/tags/list`)
  expect([listed.status, await listed.text()]).toEqual([404, expect.stringMatching(/pull: false/)])
  expect(await (await of.fetch('/v2/_catalog')).json()).toEqual({ repositories: [] })
  if (name !== 'web') return
  const blobs = join(of.folder, 'data/blobs')
  expect(readdirSync(blobs, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())).toEqual([])
}

/** Nothing was kept that a state could be made from: it begins anew, and deploys nothing before a person says so. */
async function isRebuilt(old: Longshore, config: Record<string, unknown>): Promise<void> {
  await old.stop()
  const data = join(old.folder, 'data')
  for (const name of readdirSync(data)) if (name.startsWith('state.db')) rmSync(join(data, name))
  server = await startLongshore({ config, folder: old.folder, args: ['--rebuild-state'] })
  await waitFor('the first release', async () => (await server!.releases('web')).length === 1)
  expect((await server.bundle('web')).held).toMatchObject({ reason: 'the state was rebuilt from the folder' })
}
