// Crashes, outages and restarts: what was good goes on being served, and what was begun is brought to its end, once.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { needs } from '../support/components.ts'
import { digestAt } from '../support/digest-at.ts'
import { longshore, startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { startDistributionV3, startOlareg, type DistributionOptions, type Registry } from '../support/registries.ts'
import { waitFor } from '../support/wait.ts'

const authz = { store: { type: 'local', repository: 'policies/authz' } }
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

async function start(options: LongshoreOptions): Promise<Longshore> {
  const server = await startLongshore(options)
  running.push(server)
  return server
}

async function startRegistry(options: DistributionOptions = {}): Promise<Registry> {
  const registry = await startDistributionV3(options)
  running.push(registry)
  return registry
}

async function bytesOf(server: Longshore, name: string): Promise<string> {
  const response = await server.fetch(`/bundles/${name}`)
  expect(response.status).toBe(200)
  const digest = digestOf(Buffer.from(await response.arrayBuffer()))
  expect(response.headers.get('etag')).toBe(`"${digest}"`)
  return digest
}

const deployment = async (server: Longshore) => (await server.bundle('authz')).deployments[0]!

/** Told by distribution of each manifest that is pushed to it. */
async function countPushes(): Promise<{ url: string; tags: (string | undefined)[] }> {
  const tags: (string | undefined)[] = []
  const heard = new Set<string>()
  const server = createServer((request: IncomingMessage, response) => {
    void readJson(request).then(({ events }) => {
      for (const { id, action, target } of events.filter((event) => !heard.has(event.id))) {
        heard.add(id)
        if (action === 'push' && target.mediaType.includes('manifest')) tags.push(target.tag)
      }
      response.end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.push({ stop: async () => void server.close() })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, tags }
}

interface Notification {
  events: { id: string; action: string; target: { mediaType: string; tag?: string } }[]
}

async function readJson(request: IncomingMessage): Promise<Notification> {
  return JSON.parse(Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString()) as Notification
}

needs('distribution', 'olareg')('after kill -9', () => {
  test('the last good release is served at once, with its registry down', async () => {
    const upstream = await startRegistry()
    await pushPolicy('one', `${upstream.host}/acme/policies:stable`)
    const config = {
      bundles: {
        mirrored: { store: { type: 'oci', repository: `${upstream.host}/acme/policies` }, follow: 'stable' },
      },
    }
    const first = await start({ config })
    await waitFor('the first release', async () => (await first.bundle('mirrored')).current !== null)
    const digest = await bytesOf(first, 'mirrored')
    const [release] = await first.releases('mirrored')
    await first.process.kill()
    await upstream.stop()

    const { folder, port } = first
    const second = await start({ config, folder, port })
    expect(await bytesOf(second, 'mirrored')).toBe(digest)
    expect(await second.releases('mirrored')).toEqual([release])
    const manifest = await second.fetch('/v2/bundles/mirrored/manifests/latest')
    expect(manifest.headers.get('docker-content-digest')).toBe(release!.manifestDigest)
    expect(await second.look('mirrored')).toMatchObject({ outcome: 'failed', code: 'network' })
    expect((await second.bundle('mirrored')).health).toBe('stale')

    const again = await startRegistry({ port: upstream.port, storage: upstream.storage })
    await pushPolicy('two', `${again.host}/acme/policies:stable`)
    await waitFor('what came meanwhile', async () => {
      return (await second.look('mirrored')).outcome !== 'failed' && (await second.releases('mirrored')).length === 2
    })
    expect(await bytesOf(second, 'mirrored')).not.toBe(digest)
  })

  test('what was acknowledged is there, and all of it is whole', async () => {
    const first = await start({ config: { bundles: { authz } } })
    const acknowledged: string[] = []
    let pushing = true
    const pushes = Array.from({ length: 4 }, async (_, writer) => {
      for (let at = 0; pushing; at++) {
        const tag = `w${writer}-${at}`
        if (await putManifest(first, tag).catch(() => false)) acknowledged.push(tag)
        else return
      }
    })
    await waitFor('some pushes', () => acknowledged.length > 50)
    await first.process.kill()
    pushing = false
    await Promise.all(pushes)

    const verified = await longshore(['verify-content', '-c', first.configFile])
    expect(verified.code, verified.stdout + verified.stderr).toBe(0)
    const { folder, port } = first
    const second = await start({ folder, port, config: { bundles: { authz } } })
    const listed = (await (await second.fetch('/v2/policies/written/tags/list')).json()) as { tags: string[] }
    expect(listed.tags).toEqual(expect.arrayContaining(acknowledged))
  })

  /** An artifact of its own under the tag, as a client pushes it: blob, then manifest. */
  async function putManifest(server: Longshore, tag: string): Promise<boolean> {
    const config = Buffer.from(JSON.stringify({ tag }))
    const digest = digestOf(config)
    const blob = await server.fetch(`/v2/policies/written/blobs/uploads/?digest=${digest}`, {
      method: 'POST',
      body: config,
      headers: { 'content-type': 'application/octet-stream' },
    })
    if (blob.status !== 201) return false
    const mediaType = 'application/vnd.oci.image.manifest.v1+json'
    const described = { mediaType: 'application/vnd.acme.config+json', digest, size: config.length }
    const put = await server.fetch(`/v2/policies/written/manifests/${tag}`, {
      method: 'PUT',
      headers: { 'content-type': mediaType },
      body: JSON.stringify({ schemaVersion: 2, mediaType, config: described, layers: [described] }),
    })
    return put.status === 201
  }
})

needs('distribution', 'olareg')('a place', () => {
  const configFor = ({ host }: { host: string }) => ({
    bundles: { authz: { ...authz, deploy: [{ to: 'prod' }] } },
    deployers: { prod: { type: 'oci', repository: `${host}/prod/authz` } },
  })

  test('that is down gets its release when it is back, also after a restart', async () => {
    const place = await startRegistry()
    const config = configFor(place)
    const first = await start({ config })
    await place.stop()
    await pushPolicy('one', `${first.host}/policies/authz:latest`)
    const failed = await waitFor('the failed attempt', async () => {
      const row = await deployment(first)
      return row.state === 'failed' && row
    })
    expect(failed.lastError).toContain(place.host)
    expect(failed.nextAttemptAt).not.toBeNull()
    // What is deployed and what is served have nothing to do with each other.
    const digest = await bytesOf(first, 'authz')
    await first.process.kill()

    const { folder, port } = first
    const second = await start({ config, folder, port })
    expect(await bytesOf(second, 'authz')).toBe(digest)
    const back = await startRegistry({ port: place.port, storage: place.storage })
    await waitFor('the deployment', async () => (await deployment(second)).state === 'done')
    const { current } = await second.bundle('authz')
    expect(await digestAt(back, 'prod/authz', 'latest')).toBe(current!.manifestDigest)
    expect(await deployment(second)).toMatchObject({ deployed: 1, desired: 1, lastError: null })
  })

  test('that has the digest already does not get it again', async () => {
    const told = await countPushes()
    const place = await startRegistry({ notify: [told.url] })
    const config = configFor(place)
    const first = await start({ config })
    await pushPolicy('one', `${first.host}/policies/authz:latest`)
    await waitFor('the deployment', async () => (await deployment(first)).state === 'done')
    const pushes = () => told.tags.filter((tag) => tag?.startsWith('marker') !== true)
    // Whatever is pushed before, the registry tells before this.
    const hearOut = async (marker: string) => {
      await pushPolicy(marker, `${place.host}/prod/marker:${marker}`, { name: 'marker' })
      await waitFor(`the registry to tell of ${marker}`, () => told.tags.includes(marker))
    }
    await hearOut('marker-1')
    const once = pushes()
    expect(once).toContain('latest')

    await first.process.kill()
    const { folder, port } = first
    const second = await start({ config, folder, port })
    const asked = () => second.metric('longshore_registry_requests_total', { host: place.host })
    await waitFor('the place to be asked', async () => (await asked()) > 0)
    second.writeConfig({ ...config, bundles: { authz: { ...config.bundles.authz, keep: 5 } } })
    expect((await second.reload()).status).toBe(200)
    await hearOut('marker-2')
    expect(pushes()).toEqual(once)
  })

  test('that somebody else has changed is put right again by the next start', async () => {
    const place = await startOlareg()
    running.push(place)
    const config = configFor(place)
    const first = await start({ config })
    await pushPolicy('one', `${first.host}/policies/authz:latest`)
    await waitFor('the deployment', async () => (await deployment(first)).state === 'done')
    const { current } = await first.bundle('authz')
    await first.stop()
    await pushPolicy('meddled', `${place.host}/prod/authz:latest`)
    const second = await start({ config, folder: first.folder, port: first.port })
    await waitFor('ours to be there', async () => {
      return (await digestAt(place, 'prod/authz', 'latest')) === current!.manifestDigest
    })
    expect((await deployment(second)).attempts).toBeGreaterThan(0)
  })
})

describe('a bundle that is larger than bundle_memory', () => {
  test('is served from disk, the right bytes, before and after a restart; smaller ones beside it from memory', async () => {
    const big = { kind: 'files', store: { type: 'local', repository: 'files/big' } }
    const config = { server: { limits: { bundle_memory: '1MiB' } }, bundles: { big, authz } }
    const first = await start({ config })
    await pushPolicy('one', `${first.host}/policies/authz:latest`)
    const folder = writeFiles({ ...policyFiles('big'), 'big.bin': randomBytes(5 * 1024 ** 2) })
    const pushed = await longshore(['push', join(folder, 'big.bin'), `${first.host}/files/big:latest`])
    expect(pushed.code, pushed.stderr).toBe(0)
    await first.look('big')
    await first.look('authz')
    const { current } = await first.bundle('big')

    const check = async (server: Longshore) => {
      expect(await bytesOf(server, 'big')).toBe(current!.bundleDigest)
      const small = (await server.bundle('authz')).current!
      expect(await bytesOf(server, 'authz')).toBe(small.bundleDigest)
      // After a restart, from when it was first asked for.
      await waitFor('the small one to be in memory', async () => {
        return (await server.metric('longshore_bundle_memory_bytes')) === small.size
      })
      const etag = `"${current!.bundleDigest}"`
      expect((await server.fetch('/bundles/big', { headers: { 'if-none-match': etag } })).status).toBe(304)
      const head = await server.fetch('/bundles/big', { method: 'HEAD' })
      expect(head.headers.get('content-length')).toBe(String(current!.size))
      const many = await Promise.all(Array.from({ length: 10 }, () => bytesOf(server, 'big')))
      expect(new Set(many)).toEqual(new Set([current!.bundleDigest]))
    }
    await check(first)
    await first.stop()
    await check(await start({ config, folder: first.folder, port: first.port }))
  })
})
