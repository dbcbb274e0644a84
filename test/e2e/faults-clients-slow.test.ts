// Clients that hardly move, or went without a word: each bounded by a limit of docs/limits.md, the others served meanwhile.
import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { longshore, startLongshore, type Longshore } from '../support/longshore.ts'
import { policyFiles, pushPolicy, writeFiles } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'
import { askFrom, digestOf, get, restOf, startCrowd, whileServed, type Crowd } from './faults-crowd.ts'

const mebibyte = 1024 ** 2
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const store = (name: string) => ({ store: { type: 'local', repository: `policies/${name}` } })

let server: Longshore
let crowd: Crowd
let rest: ReturnType<typeof restOf>
let bigLayer: string

/** Does not get smaller by packing, and does not fit into what the network holds by itself. */
async function pushBig(name: string, bytes: number): Promise<void> {
  const folder = writeFiles({ ...policyFiles('1', name), 'ballast.bin': randomBytes(bytes) })
  const pushed = await longshore(['push', folder, `${server.host}/policies/${name}:latest`, '--json'])
  expect(pushed.code, pushed.stderr).toBe(0)
}

beforeAll(async () => {
  server = await startLongshore({
    config: {
      server: {
        limits: {
          headers_timeout: '2s',
          idle_timeout: '1s',
          stall_timeout: '3s',
          // What stands still is cut after the time for one piece (24 MiB at most here) at this rate, and the one above.
          min_rate: '8MiB',
          wait_max: '60s',
          max_downloads: 8,
          max_uploads: 12,
          bundle_memory: '30MiB',
        },
      },
      bundles: { authz: store('authz'), big: store('big'), huge: store('huge') },
    },
  })
  await pushPolicy('1', `${server.host}/policies/authz:latest`)
  await pushBig('big', 24 * mebibyte)
  // Beyond what may be in memory: read from disk.
  await pushBig('huge', 32 * mebibyte)
  for (const name of ['authz', 'big', 'huge']) {
    await waitFor(`a release of ${name}`, async () => {
      const answer = await server.fetch(`/bundles/${name}`, { method: 'HEAD' })
      return answer.status === 200
    })
  }
  bigLayer = (await server.releases('huge'))[0]!.bundleDigest!
})

beforeEach(() => {
  crowd = startCrowd(server.port)
  rest = restOf(server)
})

afterEach(async () => {
  crowd.stop()
  await rest.until()
})

afterAll(() => server?.stop())

test('a head that comes a byte at a time is not waited for', async () => {
  await whileServed(server, ['/bundles/authz', '/bundles/huge'], async () => {
    await crowd.open('slowloris', 500, 'GET /bundles/authz HTTP/1.1\r\nHost: localhost\r\n')
    await crowd.drip('slowloris', 'X', 100)
    await crowd.until('slowloris', 'all to be closed', ({ open }) => open === 0)
  })
  expect((await crowd.stats('slowloris')).statuses).toEqual({ 408: 500 })
})

test('bodies that come a byte at a time are cut; beyond the ceiling uploads are told to come back', async () => {
  const post = `POST /v2/policies/other/blobs/uploads/?digest=${digestOf(Buffer.alloc(9))} HTTP/1.1\r\nHost: localhost\r\n`
  const put = `PUT /v2/policies/other/manifests/slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${ociManifest}\r\n`
  const push = async () =>
    (await longshore(['push', writeFiles(policyFiles('late', 'late')), `${server.host}/policies/late:1`])).code
  await whileServed(server, ['/bundles/authz', '/v2/policies/authz/manifests/latest'], async () => {
    await crowd.open('blobs', 12, `${post}Content-Length: 1000000\r\n\r\n`)
    // What was sent before a question is read before the answer to the second.
    for (let times = 0; times < 2; times++) await server.fetch('/health/live')
    await crowd.open('beyond', 20, `${post}Content-Length: 9\r\n\r\n`)
    const { statuses } = await crowd.until('beyond', 'to be refused', ({ answers }) => answers === 20)
    await crowd.open('manifests', 100, `${put}Content-Length: 1000000\r\n\r\n`)
    for (const group of ['blobs', 'manifests']) await crowd.drip(group, 'x', 200)
    expect(statuses).toEqual({ 429: 20 })
    expect((await crowd.stats('beyond')).retryAfter).toBe(20)
    for (const group of ['blobs', 'manifests']) {
      await crowd.until(group, 'all to be cut', ({ open }) => open === 0)
      expect((await crowd.stats(group)).answers).toBe(0)
    }
  })
  expect(await server.metric('longshore_limited_total', { limit: 'min_rate' })).toBeGreaterThanOrEqual(112)
  expect(await push()).toBe(0)
})

test('sessions that are opened and left use up the ceiling for uploads, and nothing else', async () => {
  const post = 'POST /v2/policies/other/blobs/uploads/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'
  await whileServed(server, ['/bundles/authz', '/bundles/huge'], async () => {
    await crowd.open('sessions', 30, post)
    const { statuses } = await crowd.until('sessions', 'the answers', ({ answers }) => answers === 30)
    expect(statuses).toEqual({ 202: 12, 429: 18 })
  })
})

test('readers that stop are cut, in memory and on disk, and hold neither memory nor the turn of others', async () => {
  await whileServed(server, ['/bundles/authz', '/bundles/huge', '/bundles/big'], async () => {
    await crowd.open('memory', 60, get('/bundles/big'), { paused: true })
    await crowd.open('disk', 60, get('/bundles/huge'), { paused: true })
    await crowd.open('blobs', 60, get(`/v2/policies/huge/blobs/${bigLayer}`), { paused: true })
    // Twelve in memory at once would be more than this, if each had its own.
    expect(rest.grownBytes()).toBeLessThan(250 * mebibyte)
    // They do not notice, since they do not read: the server lets go of them.
    await rest.until()
  })
  for (const group of ['memory', 'disk', 'blobs']) await crowd.close(group)
})

test('long polls whose client is gone are let go: at once where it says so, else with their time', async () => {
  const etag = (await askFrom('127.0.0.1', `${server.url}/bundles/authz`)).headers.etag as string
  const waiting = (seconds: number) => get('/bundles/authz', { 'If-None-Match': etag, Prefer: `wait=${seconds}` })
  const held = (count: number) =>
    waitFor(`${count} to wait`, async () => (await server.metric('longshore_waiting_clients')) === count)
  await whileServed(server, ['/bundles/authz', '/bundles/huge'], async () => {
    await crowd.open('reset', 300, waiting(60))
    await held(300)
    await crowd.reset('reset')
    await held(0)
    await crowd.open('gone', 300, waiting(10), { paused: true })
    await held(300)
    // They neither read nor close: the answer goes into the void, and the connection soon after it.
    await held(0)
    await rest.until()
  })
})
