// A bit that the disk flips in a stored blob is noticed when the blob is read, by whichever way, never handed out as the whole,
// and fetched again where that is possible.
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { digestOf, type Digest } from '../../src/oci/digest.ts'
import { needs } from '../support/components.ts'
import { digestAt } from '../support/digest-at.ts'
import { longshore, startLongshore, type Longshore, type LongshoreOptions } from '../support/longshore.ts'
import { policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { startOlareg, type Registry } from '../support/registries.ts'
import { waitFor } from '../support/wait.ts'

const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()))
})

async function start(options: LongshoreOptions): Promise<Longshore> {
  const server = await startLongshore(options)
  running.push(server)
  return server
}

async function startRegistry(): Promise<Registry> {
  const registry = await startOlareg()
  running.push(registry)
  return registry
}

const fileOf = ({ folder }: Longshore, digest: Digest) => join(folder, 'data/blobs/sha256', digest.slice(7))

function flip(server: Longshore, digest: Digest, at: number): void {
  const bytes = readFileSync(fileOf(server, digest))
  bytes[at < 0 ? bytes.length + at : at]! ^= 1
  writeFileSync(fileOf(server, digest), bytes)
}

/** The answer's bytes; undefined where it was cut, or was an error. */
async function take(server: Longshore, path: string, headers = {}): Promise<Buffer | undefined> {
  try {
    const answer = await server.fetch(path, { headers })
    const bytes = Buffer.from(await answer.arrayBuffer())
    return answer.ok ? bytes : undefined
  } catch {
    return undefined
  }
}

async function pushBlob(server: Longshore, bytes: Buffer): Promise<void> {
  const answer = await server.fetch(`/v2/acme/blobs/blobs/uploads/?digest=${digestOf(bytes)}`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: bytes,
  })
  expect(answer.status).toBe(201)
}

const head = async (server: Longshore, path: string) => (await server.fetch(path, { method: 'HEAD' })).status

describe('a flipped bit in a blob', () => {
  let server: Longshore

  beforeAll(async () => {
    server = await startLongshore()
  })

  afterAll(() => server.stop())

  test.each([
    ['small, but larger than what memory holds', 70_000, 5_000],
    ['large, at its beginning', 3_000_000, 10],
    ['large, at its end', 3_000_000, -1],
  ])('(%s) ends no answer as it should, and the blob can be pushed again', async (_, size, at) => {
    const bytes = randomBytes(size)
    const path = `/v2/acme/blobs/blobs/${digestOf(bytes)}`
    await pushBlob(server, bytes)
    expect((await take(server, path))?.equals(bytes)).toBe(true)
    flip(server, digestOf(bytes), at)
    expect(await take(server, path)).toBeUndefined()
    // From here on it is asked for.
    expect(await head(server, path)).toBe(404)
    await pushBlob(server, bytes)
    expect(await head(server, path)).toBe(200)
    expect((await take(server, path))?.equals(bytes)).toBe(true)
  })

  test('reaches nobody from a small one that memory holds, and is noticed in one that it does not hold', async () => {
    const [held, unread] = [randomBytes(10_000), randomBytes(10_000)]
    for (const bytes of [held, unread]) await pushBlob(server, bytes)
    const pathOf = (bytes: Buffer) => `/v2/acme/blobs/blobs/${digestOf(bytes)}`
    expect((await take(server, pathOf(held)))?.equals(held)).toBe(true)
    for (const bytes of [held, unread]) flip(server, digestOf(bytes), 5_000)
    expect((await take(server, pathOf(held)))?.equals(held)).toBe(true)
    expect(await take(server, pathOf(unread))).toBeUndefined()
    expect(await head(server, pathOf(unread))).toBe(404)
    await pushBlob(server, unread)
    expect((await take(server, pathOf(unread)))?.equals(unread)).toBe(true)
  })

  test.each(['bytes=0-99', 'bytes=2999900-'])('is noticed where only %s are asked for', async (range) => {
    const bytes = randomBytes(3_000_000)
    await pushBlob(server, bytes)
    const path = `/v2/acme/blobs/blobs/${digestOf(bytes)}`
    expect((await take(server, path, { range }))?.length).toBe(100)
    flip(server, digestOf(bytes), 1_000_000)
    expect(await take(server, path, { range })).toBeUndefined()
    expect(await head(server, path)).toBe(404)
  })

  test('that nobody has noticed yet is mended by the same push', async () => {
    const bytes = randomBytes(10_000)
    await pushBlob(server, bytes)
    flip(server, digestOf(bytes), 5_000)
    await pushBlob(server, bytes)
    expect((await take(server, `/v2/acme/blobs/blobs/${digestOf(bytes)}`))?.equals(bytes)).toBe(true)
  })
})

needs('olareg')('a flipped bit', () => {
  test('in a bundle that is read from disk cuts the answer; the next look fetches it again', async () => {
    const upstream = await startRegistry()
    const source = writeFiles({ 'big.bin': randomBytes(5 * 1024 ** 2) })
    const pushed = await longshore(['push', join(source, 'big.bin'), `${upstream.host}/files/big:latest`])
    expect(pushed.code, pushed.stderr).toBe(0)
    const big = { kind: 'files', store: { type: 'oci', repository: `${upstream.host}/files/big` }, schedule: 'off' }
    const server = await start({ config: { server: { limits: { bundle_memory: '1MiB' } }, bundles: { big } } })
    await server.look('big')
    const { current } = await server.bundle('big')
    const digest = current!.bundleDigest!
    expect(digestOf((await take(server, '/bundles/big'))!)).toBe(digest)

    flip(server, digest, -1)
    expect(await take(server, '/bundles/big')).toBeUndefined()
    expect(await take(server, '/bundles/big')).toBeUndefined()
    expect(await take(server, `/bundles/big@${digest}`)).toBeUndefined()
    await server.look('big')
    expect(digestOf((await take(server, '/bundles/big'))!)).toBe(digest)
    expect(await server.releases('big')).toHaveLength(1)
  })

  test('in a bundle that is held in memory reaches nobody, before and after a restart', async () => {
    const upstream = await startRegistry()
    await pushPolicy('one', `${upstream.host}/acme/authz:latest`)
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const config = { bundles: { authz } }
    const server = await start({ config })
    await server.look('authz')
    const { current } = await server.bundle('authz')
    const digest = current!.bundleDigest!
    flip(server, digest, 20)
    expect(digestOf((await take(server, '/bundles/authz'))!)).toBe(digest)
    await server.stop()
    const again = await start({ config, folder: server.folder, port: server.port })
    const bytes = await waitFor('it to be served again', async () => {
      return (await take(again, '/bundles/authz')) ?? false
    })
    expect(digestOf(bytes)).toBe(digest)
    expect(digestOf(readFileSync(fileOf(again, digest)))).toBe(digest)
  })

  test('is not deployed; what was fetched again is', async () => {
    const [upstream, place] = await Promise.all([startRegistry(), startRegistry()])
    await pushPolicy('one', `${upstream.host}/acme/authz:latest`)
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const deployers = { prod: { type: 'oci', repository: `${place.host}/prod/authz` } }
    const server = await start({ config: { bundles: { authz }, deployers } })
    await server.look('authz')
    const { current } = await server.bundle('authz')
    flip(server, current!.bundleDigest!, 20)
    server.writeConfig({ bundles: { authz: { ...authz, deploy: [{ to: 'prod' }] } }, deployers })
    expect((await server.reload()).status).toBe(200)
    const { lastError } = await waitFor('the attempt to fail', async () => {
      const [row] = (await server.bundle('authz')).deployments
      return row?.state === 'failed' && row
    })
    expect(lastError).toContain(current!.bundleDigest!.slice(7))
    expect(await digestAt(place, 'prod/authz', 'latest')).toBeUndefined()
    await server.look('authz')
    await waitFor('it to be deployed', async () => {
      return (await digestAt(place, 'prod/authz', 'latest')) === current!.manifestDigest
    })
  })

  test('that nobody has read yet is found by verify-content beside the running server, and fetched again', async () => {
    const upstream = await startRegistry()
    await pushPolicy('one', `${upstream.host}/acme/authz:latest`)
    const authz = { store: { type: 'oci', repository: `${upstream.host}/acme/authz` }, schedule: 'off' }
    const server = await start({ config: { bundles: { authz } } })
    await server.look('authz')
    const { current } = await server.bundle('authz')
    const pushed = randomBytes(10_000)
    await pushBlob(server, pushed)
    const verify = () => longshore(['verify-content', '--json', '-c', server.configFile])
    expect((await verify()).code).toBe(0)

    flip(server, current!.bundleDigest!, 20)
    flip(server, digestOf(pushed), 20)
    const found = await verify()
    expect(found.code, found.stderr).toBe(4)
    const { findings, lookingAt } = JSON.parse(found.stdout) as { findings: { digest: Digest }[]; lookingAt: string[] }
    expect(findings.map(({ digest }) => digest).sort()).toEqual([current!.bundleDigest!, digestOf(pushed)].sort())
    expect(lookingAt).toEqual(['authz'])
    expect(await head(server, `/v2/acme/blobs/blobs/${digestOf(pushed)}`)).toBe(404)
    expect(digestOf((await take(server, '/bundles/authz'))!)).toBe(current!.bundleDigest)
    await waitFor('it to be fetched again', () => existsSync(fileOf(server, current!.bundleDigest!)))
    expect(digestOf(readFileSync(fileOf(server, current!.bundleDigest!)))).toBe(current!.bundleDigest)
    await pushBlob(server, pushed)
    expect((await verify()).code).toBe(0)
  })

  test('in what was pushed here and not looked at yet is no refusal: it is taken when it was pushed again', async () => {
    const first = await start({})
    await pushPolicy('one', `${first.host}/policies/authz:latest`)
    const manifest = await first.fetch('/v2/policies/authz/manifests/latest')
    const { layers } = (await manifest.json()) as { layers: { digest: Digest }[] }
    await first.stop()
    flip(first, layers[0]!.digest, 20)
    const { folder, port } = first
    const authz = { store: { type: 'local', repository: 'policies/authz' }, schedule: 'off' }
    const second = await start({ folder, port, config: { bundles: { authz } } })
    expect(await second.look('authz')).toMatchObject({ outcome: 'failed', code: 'corrupt' })
    expect(await take(second, '/bundles/authz')).toBeUndefined()
    const pushed = await longshore(['push', writeFiles(policyFiles('one')), `${second.host}/policies/authz:latest`])
    expect(pushed.code, pushed.stderr).toBe(0)
    await waitFor('the bundle', async () => (await second.fetch('/bundles/authz')).status === 200)
    expect(digestOf((await take(second, '/bundles/authz'))!)).toBe(layers[0]!.digest)
  })
})
