// The disk of a real server runs full: what is pushed, fetched or committed is refused plainly, what is there is served, and
// a collection makes room by itself.
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { startCountingProxy } from '../support/counting-proxy.ts'
import { createClient, policyArtifact } from '../support/kill-client.ts'
import { pushArtifact } from '../support/kill-world.ts'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const folder = tempDir('disk-full-server')
const data = join(folder, 'data')
const mayMount = mount()

/** Mounting needs root, as in CI's container. */
function mount(): boolean {
  mkdirSync(data)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', data], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write('skipped: a server on a full disk: mounting a tmpfs needs root\n')
    return false
  }
}

describe.runIf(mayMount)('a server whose disk is full', () => {
  let upstream: Longshore
  let server: Longshore
  let config: Record<string, unknown>

  beforeAll(async () => {
    upstream = await startLongshore()
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const content = { path: data, gc: { grace: '10ms', schedule: 'off' } }
    await pushVersion('one')
    config = { content, bundles: { authz } }
    server = await startLongshore({ folder, config })
    expect(await server.look('authz')).toMatchObject({ outcome: 'unchanged' })
  })

  afterAll(async () => {
    await server?.stop()
    await upstream?.stop()
    execFileSync('umount', [data])
  })

  const pushVersion = (version: string) =>
    pushArtifact(createClient(upstream.url), 'acme/authz', policyArtifact('authz', version, randomBytes(50)), [
      'latest',
    ])
  const post = async (bytes: Buffer, repository = 'some/where') => {
    const path = `/v2/${repository}/blobs/uploads/?digest=${digestOf(bytes)}`
    const headers = { 'content-type': 'application/octet-stream' }
    const answer = await server.fetch(path, { method: 'POST', headers, body: bytes })
    return { status: answer.status, text: await answer.text() }
  }
  const served = async () => digestOf(Buffer.from(await (await server.fetch('/bundles/authz')).arrayBuffer()))

  /** To the last byte. */
  function fill(): void {
    for (const size of [1024 ** 2, 4096, 1]) {
      try {
        for (;;) writeFileSync(join(data, 'filler'), Buffer.alloc(size), { flag: 'a' })
      } catch {
        // As much as there was.
      }
    }
  }

  it('refuses pushes and looks, serves on, and makes room by a collection though it has not a byte', async () => {
    const before = await served()
    // Nobody names these.
    for (let at = 0; at < 4; at++) expect((await post(randomBytes(1024 ** 2))).status).toBe(201)
    fill()
    for (const size of [1, 100_000]) {
      const refused = await post(randomBytes(size))
      expect(refused).toMatchObject({ status: 507 })
      expect(refused.text).toContain('no space left')
    }
    const manifest = Buffer.from(
      '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    )
    const headers = { 'content-type': 'application/vnd.oci.image.index.v1+json' }
    const put = await server.fetch('/v2/some/where/manifests/v1', { method: 'PUT', headers, body: manifest })
    expect(put.status).toBe(507)
    expect((await server.fetch('/v2/some/where/manifests/v1')).status).toBe(404)
    await pushVersion('two')
    expect(await server.look('authz')).toMatchObject({ outcome: 'failed', code: 'disk_full' })
    expect(await served()).toBe(before)
    expect(readdirSync(join(data, 'ingest'))).toEqual([])
    const done = await longshore(['gc', '--json', '-c', server.configFile])
    expect(done.code, done.stderr).toBe(0)
    expect(JSON.parse(done.stdout)).toMatchObject({ files: 4 })
    // It may have been tried again by itself.
    await server.look('authz')
    await waitFor('what could not be fetched', async () => (await served()) !== before)
    rmSync(join(data, 'filler'))
    expect((await longshore(['verify-content', '-c', server.configFile])).code).toBe(0)
  })

  it('does not download what has no room, look after look', async () => {
    const proxy = await startCountingProxy(upstream)
    const big = policyArtifact('big', 'one', randomBytes(20 * 1024 ** 2))
    await pushArtifact(createClient(upstream.url), 'acme/big', big, ['latest'])
    const store = { type: 'oci', repository: `${proxy.host}/acme/big` }
    server.writeConfig({ ...config, bundles: { ...(config.bundles as object), big: { store, schedule: 'off' } } })
    expect((await server.reload()).status).toBe(200)
    for (let times = 0; times < 2; times++) {
      expect(await server.look('big')).toMatchObject({
        outcome: 'failed',
        code: 'disk_full',
        message: expect.stringMatching(/^there is no room for the 20\.\d MiB of sha256:/) as string,
      })
    }
    expect(proxy.passed.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThan(100_000)
    server.writeConfig(config)
    await server.reload()
    await proxy.stop()
  })

  it.each([
    ['killed', () => server.process.kill()],
    ['stopped', () => server.stop()],
  ])('%s, it starts again without a byte left, and serves', async (_how, end) => {
    const before = await served()
    fill()
    await end()
    fill()
    server = await startLongshore({ folder, port: server.port, config })
    expect(await served()).toBe(before)
    expect((await server.fetch('/v2/bundles/authz/manifests/latest')).status).toBe(200)
    rmSync(join(data, 'filler'))
    expect((await post(randomBytes(10))).status).toBe(201)
  })
})
