import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { parseSchedule, type Schedule } from '../../../src/lib/schedule.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { RequestEvent } from '../../../src/oci/exchange.ts'
import { nextHop } from '../../../src/oci/redirect.ts'
import { retryAfterOf } from '../../../src/oci/retry-after.ts'
import { freePort } from '../../support/ports.ts'
import { scriptedServer, type Reply } from '../../support/scripted-server.ts'
import { waitFor } from '../../support/wait.ts'
import { blobOf, bytesOf, failureOf, manifestOf, manifestReply, testClient } from './setup.ts'

const manifest = manifestOf()
const ok = manifestReply(manifest)
const path = '/v2/acme/app/manifests/v1'

describe('looking for change', () => {
  it('is one HEAD', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: ok })
    await using t = testClient()
    const found = await t.client.repository(`${server.host}/acme/app`).head('v1')
    expect(found).toEqual({ mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length })
    expect(server.asked()).toEqual([`HEAD ${path}`])
    expect(server.requests[0]!.headers).toMatchObject({ 'accept-encoding': 'identity', 'user-agent': 'longshore' })
    expect(server.requests[0]!.headers.accept).toContain('application/vnd.oci.image.index.v1+json, ')
  })

  it('goes on with the connection, and with another one where somebody sends a body with it', async () => {
    const head = `HTTP/1.1 200 OK\r\nContent-Type: ${manifest.mediaType}\r\nDocker-Content-Digest: ${manifest.digest}\r\nContent-Length: ${manifest.bytes.length}\r\n\r\n`
    let body = ''
    let connections = 0
    const server = createServer((socket) => {
      connections += 1
      socket.on('data', () => socket.write(head + body)).on('error', () => undefined)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      await using t = testClient()
      const repository = t.client.repository(`127.0.0.1:${(server.address() as AddressInfo).port}/acme/app`)
      for (let at = 0; at < 10; at++) expect((await repository.head('v1'))?.digest).toBe(manifest.digest)
      // Whoever comes while the first one is being put away gets a second.
      expect(connections).toBeLessThanOrEqual(2)
      body = '{"not":"asked for"}'
      for (let at = 0; at < 4; at++) expect((await repository.head('v1'))?.digest).toBe(manifest.digest)
    } finally {
      server.close()
    }
  })

  it('says undefined for what is not there', async () => {
    await using server = await scriptedServer()
    await using t = testClient()
    expect(await t.client.repository(`${server.host}/acme/app`).head('v1')).toBeUndefined()
  })
})

describe('a deletion whose answer was lost', () => {
  const gone = `DELETE ${path}`

  it.each([{ drop: true }, { status: 502 }])('is done when the next try finds nothing: %j', async (lost) => {
    await using server = await scriptedServer({ [gone]: [lost, { status: 404 }] })
    await using t = testClient()
    await t.run(t.client.repository(`${server.host}/acme/app`).deleteTag('v1'))
    expect(server.asked()).toEqual([gone, gone])
  })

  it.each([[[{ status: 404 }]], [[{ status: 429 }, { status: 404 }]]])(
    'else nothing was there: %j',
    async (replies) => {
      await using server = await scriptedServer({ [gone]: replies })
      await using t = testClient()
      const failed = failureOf(t.run(t.client.repository(`${server.host}/acme/app`).deleteTag('v1')))
      expect(await failed).toMatchObject({ code: 'not_found' })
    },
  )
})

describe('retries', () => {
  it.each([408, 429, 500, 502, 503, 504])('tries again after %i', async (status) => {
    await using server = await scriptedServer({ [`GET ${path}`]: [{ status }, { status }, ok] })
    await using t = testClient()
    expect((await t.run(t.client.repository(`${server.host}/acme/app`).manifest('v1'))).digest).toBe(manifest.digest)
    expect(server.requests).toHaveLength(3)
  })

  it.each([400, 403, 404, 501])('does not try again after %i', async (status) => {
    await using server = await scriptedServer({ [`GET ${path}`]: { status } })
    await using t = testClient()
    expect(await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))).toMatchObject({ status })
    expect(server.requests).toHaveLength(1)
  })

  it('waits 250, 500, 1000 and 2000 ms at the most, then gives up', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { status: 503 } })
    await using t = testClient()
    const started = t.clock.monotonic()
    const error = await failureOf(t.run(t.client.repository(`${server.host}/acme/app`).manifest('v1')))
    expect(error).toMatchObject({ code: 'unavailable', status: 503, host: server.host })
    expect(server.requests).toHaveLength(5)
    expect(t.clock.monotonic() - started).toBe(3750)
  })

  it('tries again after a cut connection and a body that was cut', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: [{ drop: true }, { ...ok, cutAfter: 10 }, ok] })
    await using t = testClient()
    expect((await t.run(t.client.repository(`${server.host}/acme/app`).manifest('v1'))).digest).toBe(manifest.digest)
    expect(server.requests).toHaveLength(3)
  })

  it('honours Retry-After, in seconds and as a date', async () => {
    // By the registry's own clock, which here is years behind ours.
    const date = new Date(Date.UTC(2020, 0, 1)).toUTCString()
    const later = new Date(Date.UTC(2020, 0, 1) + 30_000).toUTCString()
    await using server = await scriptedServer({
      [`GET ${path}`]: [
        { status: 503, headers: { 'retry-after': '7' } },
        { status: 503, headers: { date, 'retry-after': later } },
        ok,
      ],
    })
    await using t = testClient()
    const started = t.clock.monotonic()
    await t.run(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    expect(t.clock.monotonic() - started).toBe(37_000)
    expect(retryAfterOf('12', 0)).toBe(12_000)
    expect(retryAfterOf('nonsense', 0)).toBeUndefined()
    expect(retryAfterOf(new Date(0).toUTCString(), 1000)).toBe(0)
  })

  it('says until when it is limited rather than waiting for an hour', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: { status: 429, headers: { 'retry-after': '3600' } } })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await failureOf(t.run(repository.head('v1')))).toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 3_600_000,
    })
    expect(server.requests).toHaveLength(1)
    // The pause is the host's: another repository does not even ask.
    const other = t.client.repository(`${server.host}/acme/other`)
    expect(await failureOf(t.run(other.head('v1')))).toMatchObject({ code: 'rate_limited' })
    expect(server.requests).toHaveLength(1)
  })

  it('does not count a pause against the time that one request may take', async () => {
    const limited = { status: 429, headers: { 'retry-after': '90' } }
    await using server = await scriptedServer({ [`HEAD ${path}`]: [limited, ok] })
    await using t = testClient({ limits: { tries: 1 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await failureOf(repository.head('v1'))).toMatchObject({ code: 'rate_limited' })
    const waiting = repository.head('v1')
    await t.clock.advance(90_000)
    expect(await waiting).toMatchObject({ digest: manifest.digest })
  })

  it('waits for so long in all, not at each try', async () => {
    const busy = { status: 503, headers: { 'retry-after': '50' } }
    await using server = await scriptedServer({ [`HEAD ${path}`]: busy })
    await using t = testClient()
    const work = failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    const started = t.clock.monotonic()
    while (server.requests.length < 3) await t.clock.advance(1000)
    expect(await work).toMatchObject({ code: 'unavailable', status: 503 })
    expect(t.clock.monotonic() - started).toBeLessThan(120_000)
  })

  it('counts a pause towards what it may wait in all', async () => {
    const limited = { status: 429, headers: { 'retry-after': '90' } }
    const busy = { status: 503, headers: { 'retry-after': '50' } }
    await using server = await scriptedServer({ [`HEAD ${path}`]: [limited, busy] })
    await using t = testClient({ limits: { tries: 2 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    const first = failureOf(repository.head('v1'))
    while (server.requests.length < 1) await t.clock.advance(1)
    const second = failureOf(repository.head('v1'))
    while (server.requests.length < 3) await t.clock.advance(1000)
    expect(await second).toMatchObject({ status: 503 })
    await t.clock.advance(100_000)
    await first
    expect(server.requests.length).toBeLessThanOrEqual(4)
  })

  it('holds back who waits for its turn, when a pause comes meanwhile', async () => {
    const limited = { status: 429, headers: { 'retry-after': '30' } }
    await using server = await scriptedServer({ [`HEAD ${path}`]: [limited, ok] })
    const registries = { [server.host]: { requestsPerSecond: 1 } }
    await using t = testClient({ registries, limits: { tries: 1 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    const first = failureOf(repository.head('v1'))
    const second = repository.head('v1')
    expect(await first).toMatchObject({ code: 'rate_limited' })
    await t.clock.advance(29_000)
    expect(server.requests).toHaveLength(1)
    await t.clock.advance(2_000)
    expect(await second).toMatchObject({ digest: manifest.digest })
  })

  it('says what to do where nothing listens, and each thing once', async () => {
    await using t = testClient({ limits: { tries: 1 } })
    const error = await failureOf(t.client.repository(`127.0.0.1:${await freePort()}/acme/app`).head('v1'))
    expect(error).toMatchObject({ code: 'network', hint: expect.stringContaining('check host and port') })
    expect((error as Error).message.match(/ECONNREFUSED/g)).toHaveLength(1)
  })

  it('leaves a registry alone to which there is no connection', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: { drop: true } })
    await using t = testClient({ limits: { circuitFailures: 2, tries: 2 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await failureOf(t.run(repository.head('v1')))).toMatchObject({ code: 'network' })
    expect(await failureOf(repository.head('v1'))).toMatchObject({ code: 'circuit_open' })
  })

  it('does not try again for who gave up, whatever the reason', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: { hang: true } })
    await using t = testClient()
    const aborter = new AbortController()
    const work = failureOf(t.client.repository(`${server.host}/acme/app`).head('v1', aborter.signal))
    while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const reason = new RemoteError('timeout', 'the deployment took too long', { host: 'x', retryable: true })
    aborter.abort(reason)
    expect(await work).toBe(reason)
    expect(server.requests).toHaveLength(1)
  })

  it('never leaves a registry alone for longer than six hours, whatever it says', async () => {
    const forEver = { status: 429, headers: { 'retry-after': '999999999' } }
    await using server = await scriptedServer({ [`HEAD ${path}`]: [forEver, ok] })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await failureOf(t.run(repository.head('v1')))).toMatchObject({ retryAfterMs: 6 * 3_600_000 })
    await t.clock.advance(6 * 3_600_000)
    expect(await repository.head('v1')).toMatchObject({ digest: manifest.digest })
    const farAway = new Date(Date.UTC(9999, 0, 1)).toUTCString()
    expect(retryAfterOf(farAway, 0)).toBe(6 * 3_600_000)
  })

  it('never falls back to GET when HEAD is limited', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: { status: 429 }, [`GET ${path}`]: ok })
    await using t = testClient()
    expect(await failureOf(t.run(t.client.repository(`${server.host}/acme/app`).head('v1')))).toMatchObject({
      code: 'rate_limited',
    })
    expect(server.asked().every((line) => line.startsWith('HEAD'))).toBe(true)
  })

  it('leaves a registry alone that failed often, and tries it again later', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { status: 500 } })
    await using t = testClient({ limits: { circuitFailures: 3, tries: 3 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await failureOf(t.run(repository.manifest('v1')))).toMatchObject({ code: 'unavailable' })
    expect(await failureOf(repository.manifest('v1'))).toMatchObject({ code: 'circuit_open', retryable: true })
    expect(server.requests).toHaveLength(3)
    server.on(`GET ${path}`, ok)
    await t.clock.advance(4_500)
    await repository.manifest('v1')
    await repository.manifest('v1')
    expect(server.requests).toHaveLength(5)
  })

  it('is asked at each interval of the shortest schedule, however often it failed', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: { status: 500 } })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    const { minMs } = parseSchedule('5s') as Extract<Schedule, { kind: 'interval' }>
    for (let look = 1; look <= 20; look++) {
      const before = server.requests.length
      expect(await failureOf(t.run(repository.head('v1')))).toMatchObject({ code: 'unavailable' })
      expect(server.requests.length, `at look ${look}`).toBeGreaterThan(before)
      await t.clock.advance(minMs)
    }
  })

  it('stops at once when the caller gives up, with the reason of the caller', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { hang: true } })
    await using t = testClient()
    const aborter = new AbortController()
    const work = failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1', aborter.signal))
    setTimeout(() => aborter.abort(new Error('enough')), 20)
    expect((await work).message).toBe('enough')
  })

  it('ends what is under way when it is closed', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { hang: true } })
    const t = testClient()
    const work = failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    setTimeout(() => void t.client.close(), 20)
    expect((await work).name).toBe('AbortError')
  })

  it('says what was tried, where and why', async () => {
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'no\u001b[31m entry' }] })
    await using server = await scriptedServer({ [`GET ${path}`]: { status: 403, body } })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    expect(error.message).toBe(
      `cannot fetch ${server.host}/acme/app:v1: ${server.host} answered 403 (DENIED: no [31m entry)`,
    )
    expect(error).toMatchObject({
      code: 'denied',
      specCodes: ['DENIED'],
      hint: expect.stringContaining('longshore login') as string,
    })
  })
})

describe('hints', () => {
  it.each<[string, Reply, string | undefined]>([
    ['TLS where it was asked without', { status: 400, body: 'Client sent an HTTP request to an HTTPS server.' }, 'ca'],
    ['a size', { status: 413 }, 'limits the size'],
    ['credentials', { status: 403 }, 'longshore login'],
    [
      'a quota that is full',
      { status: 403, body: '{"errors":[{"code":"DENIED","detail":{"reason":"quota_exceeded"}}]}' },
      'quota',
    ],
    ['spelling', { status: 404 }, 'spelling'],
    ['nothing where it is none of these', { status: 400, body: '{"errors":[{"code":"NAME_INVALID"}]}' }, undefined],
  ])('speak of %s', async (_what, reply, hint) => {
    await using server = await scriptedServer({ [`GET ${path}`]: reply })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    expect(error.hint).toEqual(hint === undefined ? undefined : expect.stringContaining(hint))
  })
})

describe('time-outs', () => {
  it('ends a request whose headers do not come', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { hang: true } })
    await using t = testClient({ limits: { headersMs: 50, tries: 1 } })
    expect(await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))).toMatchObject({
      code: 'timeout',
    })
  })

  it('ends a body in which no byte comes', async () => {
    const blob = Buffer.from('0123456789')
    await using server = await scriptedServer({
      [`GET /v2/acme/app/blobs/${digestOf(blob)}`]: { stall: true, headers: { 'content-length': '10' } },
    })
    await using t = testClient({ limits: { stallMs: 50, tries: 1 } })
    const error = await failureOf(bytesOf(t.client.repository(`${server.host}/acme/app`).blob(blobOf(blob))))
    expect(error).toMatchObject({ code: 'timeout' })
  })

  it('has an end for metadata in all', async () => {
    await using server = await scriptedServer({ [`GET ${path}`]: { hang: true } })
    await using t = testClient({ limits: { tries: 1 } })
    const work = failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    await waitFor('the request', () => server.requests.length === 1)
    await t.clock.advance(60_000)
    expect(await work).toMatchObject({ code: 'timeout', message: expect.stringContaining('longer than 1m') as string })
  })
})

describe('ceilings', () => {
  it('asks a host for no more than so many blobs at a time, and lets manifests pass', async () => {
    const blob = Buffer.from('x'.repeat(100))
    let open = 0
    let most = 0
    const [full, go] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
    await using server = await scriptedServer({
      [`GET /v2/acme/app/blobs/${digestOf(blob)}`]: async () => {
        most = Math.max(most, ++open)
        if (open === 2) full.resolve(undefined)
        await go.promise
        // A third that was sent along would be here by now.
        await new Promise(setImmediate)
        open--
        return { body: blob }
      },
      [`HEAD ${path}`]: ok,
    })
    await using t = testClient({ limits: { concurrency: 2 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    const downloads = Promise.all(Array.from({ length: 6 }, () => bytesOf(repository.blob(blobOf(blob)))))
    await full.promise
    await repository.head('v1')
    expect(open).toBe(2)
    go.resolve(undefined)
    await downloads
    expect(most).toBe(2)
  })

  it('keeps to requests per second', async () => {
    await using server = await scriptedServer({ [`HEAD ${path}`]: ok })
    await using t = testClient({ registries: { [server.host]: { requestsPerSecond: 2 } } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    await t.run(Promise.all([repository.head('v1'), repository.head('v1'), repository.head('v1')]))
    expect(t.clock.monotonic()).toBe(1000)
  })

  it('gives the slot back when a download is left in the middle', async () => {
    const blob = Buffer.alloc(300_000, 'x')
    await using server = await scriptedServer({ [`GET /v2/acme/app/blobs/${digestOf(blob)}`]: { body: blob } })
    await using t = testClient({ limits: { concurrency: 1 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    for await (const _chunk of repository.blob(blobOf(blob))) break
    expect((await bytesOf(repository.blob(blobOf(blob)))).length).toBe(300_000)
  })
})

describe('redirects', () => {
  const blob = Buffer.from('content of a blob')
  const blobPath = `/v2/acme/app/blobs/${digestOf(blob)}`

  it('takes nothing of ours to a stranger (GHSA-whvf-jp7m-59f3, GHSA-h3wm-jjqf-8jm2)', async () => {
    await using storage = await scriptedServer({ 'GET /signed': { body: blob } })
    await using server = await scriptedServer({
      [`GET ${blobPath}`]: [
        { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
        { status: 307, headers: { location: `${storage.origin}/signed?sig=a%2Fb`, 'set-cookie': 'a=b' } },
      ],
    })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'secret' } } })
    expect(await bytesOf(t.client.repository(`${server.host}/acme/app`).blob(blobOf(blob)))).toEqual(blob)
    expect(server.requests[1]!.headers.authorization).toBe(`Basic ${Buffer.from('me:secret').toString('base64')}`)
    expect(storage.requests[0]!.url).toBe('/signed?sig=a%2Fb')
    expect(storage.requests[0]!.headers.authorization).toBeUndefined()
    expect(storage.requests[0]!.headers.cookie).toBeUndefined()
  })

  it('does not get authorized again by a stranger that sends it back (GHSA-h3wm-jjqf-8jm2)', async () => {
    await using storage = await scriptedServer()
    await using server = await scriptedServer({
      [`GET ${blobPath}`]: [
        { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
        { status: 307, headers: { location: `${storage.origin}/away` } },
      ],
      'GET /back': { body: blob },
    })
    storage.on('GET /away', { status: 302, headers: { location: `${server.origin}/back` } })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'secret' } } })
    await bytesOf(t.client.repository(`${server.host}/acme/app`).blob(blobOf(blob)))
    expect(server.requests.at(-1)).toMatchObject({ url: '/back' })
    expect(server.requests.at(-1)!.headers.authorization).toBeUndefined()
  })

  it('does not answer the challenge of a stranger (CVE-2020-15157)', async () => {
    await using storage = await scriptedServer({
      'GET /x': { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
    })
    await using server = await scriptedServer({
      [`GET ${blobPath}`]: { status: 307, headers: { location: `${storage.origin}/x` } },
    })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'secret' } } })
    const error = await failureOf(bytesOf(t.client.repository(`${server.host}/acme/app`).blob(blobOf(blob))))
    expect(error).toMatchObject({ code: 'unauthorized' })
    expect(storage.requests).toHaveLength(1)
  })

  it('does not go to the urls of a descriptor (CVE-2020-15157)', async () => {
    await using stranger = await scriptedServer({ 'GET /layer': { body: blob } })
    await using server = await scriptedServer()
    await using t = testClient()
    const descriptor = { ...blobOf(blob), urls: [`${stranger.origin}/layer`] }
    await failureOf(bytesOf(t.client.repository(`${server.host}/acme/app`).blob(descriptor)))
    expect(stranger.requests).toHaveLength(0)
  })

  it('follows ten, and not eleven', async () => {
    await using server = await scriptedServer({ [`GET ${blobPath}`]: { status: 302, headers: { location: blobPath } } })
    await using t = testClient()
    expect(await failureOf(bytesOf(t.client.repository(`${server.host}/acme/app`).blob(blobOf(blob))))).toMatchObject({
      code: 'redirect',
    })
    expect(server.requests).toHaveLength(11)
  })

  it('does not turn a PUT into something else', async () => {
    await using server = await scriptedServer({ [`PUT ${path}`]: { status: 302, headers: { location: '/else' } } })
    await using t = testClient()
    expect(await failureOf(t.client.repository(`${server.host}/acme/app`).putManifest(manifest, ['v1']))).toMatchObject(
      { code: 'redirect' },
    )
  })

  it.each([
    ['https to http', 'https://reg.example/a', 'http://reg.example/b'],
    ['this machine', 'https://reg.example/a', 'https://127.0.0.1/b'],
    ['this machine by name', 'https://reg.example/a', 'https://localhost/b'],
    ['a metadata service', 'http://reg.example/a', 'http://169.254.169.254/latest'],
    ['the same as IPv6', 'http://reg.example/a', 'http://[::ffff:169.254.169.254]/latest'],
    ['this machine in IPv6', 'https://reg.example/a', 'https://[::ffff:127.0.0.1]/b'],
    ['another protocol', 'https://reg.example/a', 'file:///etc/passwd'],
    ['nowhere', 'https://reg.example/a', undefined],
    ['nonsense', 'https://reg.example/a', 'https://[/'],
  ])('refuses a redirect to %s', (_what, from, to) => {
    expect(() => nextHop(new URL(from), to, { host: 'reg.example', what: 'fetch it' })).toThrow(
      expect.objectContaining({ code: 'redirect' }) as Error,
    )
  })

  it('resolves relative ones, keeps the query as it is, and drops user names', () => {
    const hop = (to: string) => nextHop(new URL('https://reg.example/v2/a?x'), to, { host: 'h', what: 'w' }).href
    expect(hop('../b?sig=%2F+%20')).toBe('https://reg.example/b?sig=%2F+%20')
    expect(hop('https://a:b@cdn.example/c')).toBe('https://cdn.example/c')
  })
})

describe('connections', () => {
  it('says how to allow plain HTTP where it is not', async () => {
    await using server = await scriptedServer()
    await using t = testClient({ registries: { [server.host]: { plainHttp: false } } })
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error).toMatchObject({ code: 'network', hint: expect.stringContaining('plain_http') as string })
  })

  it('goes through a proxy where one is given, but not to this machine or to what is excepted', async () => {
    await using proxy = await scriptedServer({ 'HEAD http://reg.test/v2/acme/app/manifests/v1': ok })
    await using server = await scriptedServer({ [`HEAD ${path}`]: ok })
    const registries = { 'reg.test': { plainHttp: true }, 'no.test': { plainHttp: true } }
    await using t = testClient({
      registries,
      proxy: { httpProxy: proxy.origin, noProxy: '.test:81,no.test' },
      limits: { tries: 1 },
    })
    expect((await t.client.repository('reg.test/acme/app').head('v1'))?.digest).toBe(manifest.digest)
    expect((await t.client.repository(`${server.host}/acme/app`).head('v1'))?.digest).toBe(manifest.digest)
    expect(await failureOf(t.client.repository('no.test/acme/app').head('v1'))).toMatchObject({ code: 'network' })
    expect(proxy.requests).toHaveLength(1)
  })

  it('says so where the proxy refuses', async () => {
    const proxy = createHttpServer().listen(0, '127.0.0.1')
    proxy.on('connect', (_request, socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
    await once(proxy, 'listening')
    const httpsProxy = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    await using t = testClient({ proxy: { httpsProxy }, limits: { tries: 1 } })
    expect(await failureOf(t.client.repository('reg.test/acme/app').head('v1'))).toMatchObject({
      message: expect.stringMatching(/: no connection to reg\.test: the proxy answered 403$/) as string,
      hint: expect.stringContaining('NO_PROXY') as string,
    })
    proxy.close()
  })

  it.each([
    ['the name of nobody', 'nonsense.invalid', 'https', 'HTTPS_PROXY', '(?:ENOTFOUND|EAI_AGAIN)'],
    ['where nobody listens', 'http://user:hunter22@127.0.0.1:1', 'https', 'HTTPS_PROXY', 'ECONNREFUSED'],
    ['for plain HTTP', '127.0.0.1:1', 'http', 'HTTP_PROXY', 'ECONNREFUSED'],
  ])(
    'names the variable of a proxy that cannot be reached, not the registry: %s',
    async (_what, url, scheme, variable, code) => {
      const registries = { 'reg.test': { plainHttp: scheme === 'http' } }
      await using t = testClient({ registries, proxy: { httpProxy: url, httpsProxy: url }, limits: { tries: 1 } })
      const error = await failureOf(t.client.repository('reg.test/acme/app').head('v1'))
      expect(error).toMatchObject({
        code: 'network',
        message: expect.stringMatching(
          `^cannot .* reg\\.test/acme/app:v1: no connection to the proxy that ${variable} names: .*${code}`,
        ) as string,
        hint: expect.stringMatching(`^Check host and port in ${variable} \\(http://.* name that in NO_PROXY`) as string,
      })
      expect(JSON.stringify([error, error.message, String(error.cause)])).not.toContain('hunter22')
    },
  )

  it('does not blame the proxy for what goes without it', async () => {
    await using proxy = await scriptedServer({})
    const plain = { plainHttp: true }
    const registries = { 'no.invalid': plain }
    const settings = { httpProxy: proxy.origin, noProxy: 'no.invalid' }
    await using t = testClient({ registries, proxy: settings, limits: { tries: 1 } })
    const error = await failureOf(t.client.repository('no.invalid/acme/app').head('v1'))
    expect(error.message).toMatch(/: no connection to no\.invalid: /)
  })

  it('takes a proxy without a scheme for an HTTP one, as curl does', async () => {
    await using proxy = await scriptedServer({ 'HEAD http://registry.test/v2/acme/app/manifests/v1': ok })
    const registries = { 'registry.test': { plainHttp: true } }
    await using t = testClient({ proxy: { httpProxy: proxy.host }, registries })
    expect(await t.client.repository('registry.test/acme/app').head('v1')).toMatchObject({ digest: manifest.digest })
  })

  it.each(['http://', 'ftp://127.0.0.1:21', 'http://user:hunter22@exa mple:1'])(
    'says which proxy is no proxy, without its password: %s',
    async (url) => {
      await using t = testClient({ proxy: { httpsProxy: url } })
      const error = await failureOf(t.client.repository('registry.test/acme/app').head('v1'))
      expect(error).toMatchObject({ name: 'ConfigError', message: expect.stringContaining('HTTPS_PROXY') as string })
      expect(JSON.stringify([error, error.message, String(error.cause)])).not.toContain('hunter22')
    },
  )

  it('reports each request without its query', async () => {
    const events: RequestEvent[] = []
    await using server = await scriptedServer({
      [`HEAD ${path}`]: { ...ok, headers: { ...ok.headers, 'ratelimit-remaining': '76;w=21600' } },
    })
    await using t = testClient({ onRequest: (event) => events.push(event) })
    await t.client.repository(`${server.host}/acme/app`).head('v1')
    expect(events).toEqual([
      { host: server.host, method: 'HEAD', status: 200, bytes: 0, durationMs: 0, rateLimitRemaining: 76 },
    ])
  })
})
