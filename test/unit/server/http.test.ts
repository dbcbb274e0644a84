import { hashSync } from 'bcryptjs'
import { once } from 'node:events'
import { copyFileSync } from 'node:fs'
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { maxPipelined } from '../../../src/server/head.ts'
import { answerClientError } from '../../../src/server/listen.ts'
import type { Route } from '../../../src/server/types.ts'
import { createCertificates } from '../../support/certs.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { adminToken, ask, basic, release, startServer, type TestServer } from './support.ts'

const text = (current: string) => ({ current: () => current })

describe('the dispatcher', () => {
  it('hands the registry its requests, with who asks and an id', async () => {
    const server = await startServer()
    const answer = await ask(
      `${server.url}/v2/a/b/blobs/uploads/?digest=x`,
      { 'X-Request-Id': 'abc' },
      { method: 'POST' },
    )
    expect(answer.body).toBe('the registry')
    const [exchange] = server.v2
    expect(exchange).toMatchObject({ requestId: 'abc', caller: { name: 'loopback' } })
    expect(exchange?.url.pathname).toBe('/v2/a/b/blobs/uploads/')
    expect(exchange?.url.searchParams.get('digest')).toBe('x')
  })

  it('makes an id of its own where the client sends none, or none that is sane', async () => {
    const server = await startServer()
    const ids = await Promise.all(
      [{}, {}, { 'X-Request-Id': 'a b' }, { 'X-Request-Id': 'x'.repeat(200) }].map(
        async (headers) => (await ask(`${server.url}/nothing`, headers)).headers['x-request-id'],
      ),
    )
    expect(new Set(ids).size).toBe(4)
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{10}-\w+$/)
  })

  it.each([
    ['/nothing', 'text/plain; charset=utf-8', /nothing at \/nothing[^]*request/],
    ['/api/v1/nothing', 'application/problem+json', /"status":404.*"request_id"/],
  ])('answers 404 at %s in words', async (path, type, body) => {
    const server = await startServer()
    const answer = await ask(`${server.url}${path}`)
    expect(answer).toMatchObject({ status: 404, body })
    expect(answer.headers['content-type']).toBe(type)
  })

  it('answers 405 with what there is', async () => {
    const server = await startServer()
    expect(await ask(`${server.url}/metrics`, {}, { method: 'POST' })).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
    expect(await ask(`${server.url}/api/v1/bundles/team/a/look`)).toMatchObject({
      status: 405,
      headers: { allow: 'POST' },
    })
  })

  it('refuses in the form that the path has', async () => {
    const server = await startServer({ guard: { access: { anonymous: [], tokens: [], users: [] } } })
    const v2 = await ask(`${server.url}/v2/`, { Authorization: 'Bearer wrong' })
    expect(v2).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': expect.stringMatching(/^Basic realm="longshore"/) },
    })
    expect(JSON.parse(v2.body)).toMatchObject({ errors: [{ code: 'UNAUTHORIZED' }] })
    const api = await ask(`${server.url}/api/v1/bundles`)
    expect(JSON.parse(api.body)).toMatchObject({ status: 401, code: 'unauthorized', title: 'Unauthorized' })
    const bundle = await ask(`${server.url}/bundles/authz`)
    expect(bundle).toMatchObject({
      status: 401,
      body: expect.stringMatching(/credentials are needed to read bundles\/authz/),
    })
    expect(bundle.headers['www-authenticate']).not.toMatch(/Bearer/)
  })

  it('tells a client of the registry that it may log in, whenever somebody may', async () => {
    const hash = hashSync('correct horse', 4)
    const users = [{ name: 'alice', passwordHash: text(hash), allow: [] }]
    const anonymous = [{ action: 'read' as const, pattern: null }]
    const server = await startServer({ guard: { access: { anonymous, tokens: [], users } } })
    expect(await ask(`${server.url}/v2/`)).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': expect.stringMatching(/^Basic /) },
    })
    expect(await ask(`${server.url}/v2/`, { Authorization: basic('', '') })).toMatchObject({ status: 200 })
    expect(await ask(`${server.url}/v2/`, { Authorization: basic('alice', 'correct horse') })).toMatchObject({
      status: 200,
    })
    expect(await ask(`${server.url}/v2/a/manifests/latest`)).toMatchObject({ status: 200 })
    server.guard.setAccess({ anonymous, tokens: [], users: [] })
    expect(await ask(`${server.url}/v2/`)).toMatchObject({ status: 200 })
  })

  it('takes tokens on every route, as they are and as OPA encodes them', async () => {
    const server = await startServer({
      guard: {
        access: {
          anonymous: [],
          tokens: [
            {
              name: 'opa',
              token: text('opa-token-of-this-test'),
              allow: [{ action: 'read', pattern: 'bundles/authz' }],
            },
          ],
          users: [],
        },
      },
    })
    release(server, 'authz', 'one')
    const encoded = Buffer.from('opa-token-of-this-test').toString('base64')
    for (const Authorization of [
      'Bearer opa-token-of-this-test',
      `Bearer ${encoded}`,
      basic('x', 'opa-token-of-this-test'),
    ]) {
      expect((await ask(`${server.url}/bundles/authz`, { Authorization })).status).toBe(200)
      expect((await ask(`${server.url}/api/v1/bundles/authz`, { Authorization })).status).toBe(200)
      expect((await ask(`${server.url}/v2/`, { Authorization })).status).toBe(200)
      expect((await ask(`${server.url}/bundles/other`, { Authorization })).status).toBe(403)
      expect((await ask(`${server.url}/metrics`, { Authorization })).status).toBe(403)
    }
  })

  it('leaves open what says nothing: ping, health, and what this is', async () => {
    const server = await startServer({ guard: { access: { anonymous: [], tokens: [], users: [] } } })
    for (const path of ['/ping', '/ping/', '/health/live', '/health/ready', '/'])
      expect((await ask(`${server.url}${path}`, { 'X-Forwarded-For': '1.2.3.4' })).status).toBe(200)
  })

  it('refuses a foreign Host, a foreign Origin and what came through a proxy', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    expect(await ask(`${server.url}/bundles/authz`, { Host: 'evil.example' })).toMatchObject({
      status: 403,
      body: expect.stringMatching(/public_url/),
    })
    expect(await ask(`${server.url}/v2/`, { Host: 'evil.example' })).toMatchObject({
      status: 403,
      body: expect.stringMatching(/DENIED/),
    })
    expect(await ask(`${server.url}/bundles/authz`, { 'X-Forwarded-For': '1.2.3.4' })).toMatchObject({ status: 403 })
    const reload = { method: 'POST' }
    expect(await ask(`${server.url}/api/v1/config/reload`, { Origin: 'http://evil.example' }, reload)).toMatchObject({
      status: 403,
    })
    expect(await ask(`${server.url}/api/v1/config/reload`, { 'Sec-Fetch-Site': 'cross-site' }, reload)).toMatchObject({
      status: 403,
    })
    expect(await ask(`${server.url}/api/v1/config/reload`, {}, reload)).toMatchObject({ status: 200 })
  })

  it('answers a route that fails with 500, an id, and nothing of the reason', async () => {
    const server = await startServer({
      v2: async () => {
        throw new Error('the secret reason')
      },
    })
    const answer = await ask(`${server.url}/v2/`)
    expect(answer.status).toBe(500)
    expect(answer.body).not.toContain('secret')
  })

  it('cuts the connection where a route fails in the middle of its answer', async () => {
    const server = await startServer({
      v2: async ({ response }) => {
        response.writeHead(200, { 'Content-Length': '10' })
        response.write('some')
        throw new Error('the disk')
      },
    })
    await expect(ask(`${server.url}/v2/`)).rejects.toThrow(/aborted|hang up/)
  })

  it('slows who guesses, and nobody at another address', async () => {
    const clock = new FakeClock()
    const server = await startServer({ guard: { access: { anonymous: [], tokens: [], users: [] }, clock } })
    const wrong = (localAddress: string) =>
      ask(`${server.url}/v2/`, { Authorization: 'Bearer guess' }, { localAddress })
    for (let index = 0; index < 3; index++) expect((await wrong('127.0.0.2')).status).toBe(401)
    const slowed = wrong('127.0.0.2')
    await waitFor('the attempt to wait', () => clock.nextInMs() === 200)
    expect((await wrong('127.0.0.3')).status).toBe(401)
    expect(
      (
        await ask(
          `${server.url}/api/v1/bundles`,
          { Authorization: `Bearer ${adminToken}` },
          { localAddress: '127.0.0.2' },
        )
      ).status,
    ).toBe(200)
    await clock.advance(200)
    expect((await slowed).status).toBe(401)
  })

  it('counts what it answers', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    await ask(`${server.url}/bundles/authz`)
    await ask(`${server.url}/bundles/other`)
    await ask(`${server.url}/v2/`)
    await waitFor('the counts', async () => {
      const metrics = await server.metrics.text()
      return [
        'longshore_http_requests_total{route="bundles",status="200"} 1',
        'longshore_http_requests_total{route="bundles",status="404"} 1',
        'longshore_http_requests_total{route="v2",status="200"} 1',
        'longshore_served_bytes_total{bundle="authz"} 3',
        'longshore_http_request_duration_seconds_count{route="bundles"} 1',
      ].every((line) => metrics.includes(line))
    })
  })

  it('tells a route when its client went away', async () => {
    const started = Promise.withResolvers<AbortSignal>()
    const server = await startServer({
      v2: async ({ signal }) => {
        started.resolve(signal)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      },
    })
    const leaving = new AbortController()
    const answer = ask(`${server.url}/v2/`, {}, { signal: leaving.signal })
    const signal = await started.promise
    expect(signal.aborted).toBe(false)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await waitFor('the signal', () => signal.aborted)
  })
})

describe('limits', () => {
  async function sendRaw(server: TestServer, sent: string): Promise<string> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString()))
    socket.write(sent)
    await new Promise((resolve) => socket.once('close', resolve))
    return received
  }

  it('answers what is no HTTP, or too much of it, in words', async () => {
    const server = await startServer()
    expect(await sendRaw(server, 'hello\r\n\r\n')).toMatch(/^HTTP\/1.1 400 [^]*no HTTP request/)
    const large = `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`
    expect(await sendRaw(server, large)).toMatch(/^HTTP\/1.1 431 /)
    expect(await sendRaw(server, 'GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 [^]*no proxy/,
    )
  })

  it('cuts an upload on which less moves than has to', async () => {
    const server = await startServer({
      http: { limits: { stallMs: 1_500, minBytesPerSecond: 1_000 } },
      v2: async ({ request }) => void request.resume(),
    })
    const upload = httpRequest(`${server.url}/v2/`, { method: 'PUT', agent: false })
    const ended = new Promise<string>((resolve) => {
      upload.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    const drip = setInterval(() => upload.write('x'), 50)
    expect(await ended).toMatch(/ECONNRESET|EPIPE|hang up/)
    clearInterval(drip)
    expect(await server.metrics.text()).toContain('longshore_limited_total{limit="min_rate"} 1')
  })

  it('refuses more header lines than anybody needs, however short they are, and however many Node would leave out', async () => {
    const server = await startServer()
    const lines = (count: number) => `GET /ping HTTP/1.1\r\nHost: localhost\r\n${'a:\r\n'.repeat(count)}`
    expect(await sendRaw(server, `${lines(190)}Connection: close\r\n\r\n`)).toMatch(/^HTTP\/1.1 200 /)
    for (const count of [201, 1_000, 2_100, 4_000]) {
      // Seen or not, the proxy that stands at the end must not be taken for this machine.
      expect(await sendRaw(server, `${lines(count)}X-Forwarded-For: 203.0.113.1\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /)
    }
  })

  it('refuses a request with two hosts', async () => {
    const server = await startServer()
    const twice = 'GET /ping HTTP/1.1\r\nHost: localhost\r\nhOST: elsewhere\r\n\r\n'
    expect(await sendRaw(server, twice)).toMatch(/^HTTP\/1.1 400 [^]*one Host header/)
    const once = 'GET /ping HTTP/1.1\r\nHost: localhost\r\nFrom: ann\r\nConnection: close\r\n\r\n'
    expect(await sendRaw(server, once)).toMatch(/^HTTP\/1.1 200 /)
  })

  it('lets a connection send some requests ahead, not any number', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const held = `GET /bundles/authz HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ${etag}\r\nPrefer: wait=30\r\n\r\n`
    const plain = 'GET /bundles/authz HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const answers = sendRaw(server, `${held.repeat(6)}${plain.repeat(100)}`)
    await waitFor('the first to be held', async () => (await server.metrics.text()).includes('waiting_clients 1'))
    release(server, 'authz', 'two')
    const text = await answers
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      ...new Array<string>(5).fill('HTTP/1.1 304'),
      ...new Array<string>(11).fill('HTTP/1.1 200'),
      'HTTP/1.1 429',
    ])
    expect(text).toMatch(/too_many_pipelined|requests that wait/)
  })

  it('lets it do so again and again', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    const pair = 'GET /bundles/authz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(2)
    for (let round = 1; round <= maxPipelined + 2; round++) {
      socket.write(pair)
      await waitFor('both answers', () => (text.match(/HTTP\/1.1 200/g)?.length ?? 0) === 2 * round)
    }
    socket.destroy()
  })

  it('does not wait long for a client that was told off to go, and says nothing more', async () => {
    // Nothing else would ever end it.
    const server = createServer({ headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 0 })
    server.on('clientError', answerClientError)
    const came = once(server, 'connection') as Promise<[Socket]>
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const { port } = server.address() as AddressInfo
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    socket.resume()
    socket.write('hello\r\n\r\n')
    const [ours] = await came
    await once(ours, 'close')
    socket.destroy()
    server.close()
  })

  it.each([
    ['in the middle of an answer', { writable: true, writableLength: 1 }, 'HPE_INVALID_METHOD'],
    ['to who is gone', { writable: false, writableLength: 0 }, 'HPE_INVALID_METHOD'],
    ['to who has reset it', { writable: true, writableLength: 0 }, 'ECONNRESET'],
  ])('says nothing about what is no HTTP %s', (_, state, code) => {
    const done: string[] = []
    const socket = { ...state, end: () => done.push('end'), destroy: () => done.push('destroy') }
    answerClientError(Object.assign(new Error('no HTTP'), { code }), socket as unknown as Duplex)
    expect(done).toEqual(['destroy'])
  })

  it('cuts an upload on which nothing moves, not one that does', async () => {
    let [sent, received] = [0, 0]
    // Long beside the pauses below, which a busy machine makes longer.
    const stallMs = 1_500
    const server = await startServer({
      http: { limits: { stallMs, minBytesPerSecond: 1 } },
      v2: async ({ request, response }) => {
        for await (const chunk of request) received += (chunk as Buffer).length
        response.end('done')
      },
    })
    const upload = httpRequest(`${server.url}/v2/`, { method: 'PUT', agent: false })
    const ended = new Promise<string>((resolve) => {
      upload.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    })
    const startedMs = systemClock.monotonic()
    while (systemClock.monotonic() - startedMs < 1.5 * stallMs) {
      upload.write('x')
      sent += 1
      await systemClock.sleep(60)
    }
    expect(received).toBeGreaterThanOrEqual(sent - 1)
    expect(await ended).toMatch(/ECONNRESET|EPIPE|hang up/)
  })

  it('does not take our own work for a stall of who waits for it', async () => {
    const v2: Route = async ({ request, response }) => {
      request.resume()
      await once(request.socket, 'timeout')
      response.end('done')
    }
    const { url } = await startServer({ v2, http: { limits: { stallMs: 100 } } })
    const answer = await ask(`${url}/v2/a/blobs/uploads/`, {}, { method: 'POST', body: 'all of it' })
    expect(answer).toMatchObject({ status: 200, body: 'done' })
  })

  it('sets no timer for a request that is over soon', async () => {
    const timeouts: (number | undefined)[] = []
    const v2: Route = async ({ request, response }) => {
      timeouts.push(request.socket.timeout)
      response.end()
    }
    const { url } = await startServer({ v2 })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let count = 0; count < 3; count++) {
      const [response] = (await once(httpRequest(`${url}/v2/`, { agent }).end(), 'response')) as [IncomingMessage]
      await once(response.resume(), 'end')
    }
    agent.destroy()
    expect(timeouts).toEqual([undefined, 0, 0])
  })

  it('does not take being held for a stall', async () => {
    const server = await startServer({ http: { limits: { stallMs: 200 } } })
    const { etag } = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, Prefer: 'wait=30' })
    await systemClock.sleep(600)
    release(server, 'authz', 'two')
    expect((await answer).body).toBe('two')
  })

  it('lets idle connections go after a short while', async () => {
    const server = await startServer({ http: { limits: { keepAliveMs: 100 } } })
    const agent = new Agent({ keepAlive: true })
    const closed = Promise.withResolvers<void>()
    httpRequest(`${server.url}/ping`, { agent }, (response) => response.resume())
      .on('socket', (socket) => socket.once('close', () => closed.resolve()))
      .end()
    await closed.promise
    agent.destroy()
  })
})

describe('starting', () => {
  it('says plainly that the port is taken', async () => {
    const { url } = await startServer()
    const port = Number(new URL(url).port)
    await expect(startServer({ http: { listen: { host: '127.0.0.1', port } } })).rejects.toMatchObject({
      name: 'ConfigError',
      code: 'cannot_listen',
      message: `cannot listen on 127.0.0.1:${port}: the port is taken`,
      hint: expect.stringMatching(/server.listen/),
    })
  })

  it('says plainly that there is no such address', async () => {
    await expect(startServer({ http: { listen: { host: '203.0.113.7', port: 0 } } })).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/no such address/),
    })
  })
})

describe('closing', () => {
  it('is not ready while draining, and still answers', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    server.server.drain()
    const ready = await ask(`${server.url}/health/ready`)
    expect(ready.status).toBe(503)
    expect(JSON.parse(ready.body)).toEqual({ ready: false, reasons: ['shutting down'], warnings: [] })
    const bundle = await ask(`${server.url}/bundles/authz`, { Connection: 'keep-alive' })
    expect(bundle).toMatchObject({ status: 200, headers: { connection: 'close' } })
  })

  it('finishes what is under way, and takes nothing new', async () => {
    const go = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const server = await startServer({
      v2: async ({ response }) => {
        arrived.resolve()
        response.write('begun, ')
        await go.promise
        response.end('and done')
      },
    })
    const answer = ask(`${server.url}/v2/`)
    await arrived.promise
    const closed = server.server.close()
    await waitFor('the door to close', () =>
      ask(`${server.url}/ping`).then(
        () => false,
        () => true,
      ),
    )
    go.resolve()
    expect((await answer).body).toBe('begun, and done')
    await closed
  })

  it('does not wait for ever', async () => {
    const arrived = Promise.withResolvers<void>()
    const server = await startServer({
      http: { limits: { closeMs: 200 } },
      v2: async ({ response }) => {
        response.write('begun')
        arrived.resolve()
      },
    })
    const answer = ask(`${server.url}/v2/`)
    const failed = expect(answer).rejects.toThrow(/aborted|hang up/)
    await arrived.promise
    await server.server.close()
    await failed
  })

  it('leaves no timer behind', async () => {
    const clock = new FakeClock()
    const server = await startServer({ http: { clock } })
    expect(clock.nextInMs()).toBeDefined()
    await server.server.close()
    expect(clock.nextInMs()).toBeUndefined()
  })

  it('closes connections that are idle', async () => {
    // Longer than the test may take: nothing but the idle connection could hold it up.
    const server = await startServer({ http: { limits: { closeMs: 3_600_000, keepAliveMs: 3_600_000 } } })
    const agent = new Agent({ keepAlive: true })
    await new Promise((resolve) =>
      httpRequest(`${server.url}/ping`, { agent }, (response) => response.resume().on('end', resolve)).end(),
    )
    await server.server.close()
    agent.destroy()
  })
})

describe('TLS', () => {
  const agents: { destroy: () => void }[] = []
  afterEach(() => agents.splice(0).forEach((agent) => agent.destroy()))

  function askTls(url: string, options: RequestOptions): Promise<{ status: number; serial: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; serial: string }>()
    httpsRequest(`${url}/ping`, { agent: false, ...options }, (response) => {
      const serial = (response.socket as TLSSocket).getPeerX509Certificate()!.fingerprint256
      response.resume().on('end', () => resolve({ status: response.statusCode!, serial }))
    })
      .on('error', reject)
      .end()
    return promise
  }

  it('takes up certificates that are renewed, and keeps the old ones while the files do not fit', async () => {
    const [first, second] = await Promise.all([createCertificates(), createCertificates(tempDir('certs-2'))])
    const folder = tempDir()
    const tls = { cert: join(folder, 'tls.pem'), key: join(folder, 'tls.key') }
    copyFileSync(first.server.cert, tls.cert)
    copyFileSync(first.server.key, tls.key)
    const clock = new FakeClock()
    const server = await startServer({ http: { tls, clock } })
    expect(server.url).toMatch(/^https:/)
    const before = await askTls(server.url, { ca: readFileSync(first.ca) })
    expect(before.status).toBe(200)

    copyFileSync(second.server.cert, tls.cert)
    await turnTime(clock)
    expect(await askTls(server.url, { ca: readFileSync(first.ca) })).toEqual(before)

    copyFileSync(second.server.key, tls.key)
    await waitFor('the new certificate', async () => {
      await turnTime(clock)
      return askTls(server.url, { ca: readFileSync(second.ca) }).then(
        ({ serial }) => serial !== before.serial,
        () => false,
      )
    })
    await expect(askTls(server.url, { ca: readFileSync(first.ca) })).rejects.toThrow()
    const closed = server.server.close()
    await clock.advance(20_000)
    await closed
  })

  it('lets in only who has a certificate of client_ca', async () => {
    const certificates = await createCertificates()
    const server = await startServer({ http: { tls: { ...certificates.server, clientCa: certificates.ca } } })
    const ca = readFileSync(certificates.ca)
    await expect(askTls(server.url, { ca })).rejects.toThrow()
    const client = { cert: readFileSync(certificates.client.cert), key: readFileSync(certificates.client.key) }
    expect((await askTls(server.url, { ca, ...client })).status).toBe(200)
  })

  it('says which file is no good', async () => {
    const { server } = await createCertificates()
    const missing = { cert: '/nowhere/tls.pem', key: server.key }
    await expect(startServer({ http: { tls: missing } })).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/server.tls.cert.*nowhere/),
    })
    const swapped = { cert: server.key, key: server.key }
    await expect(startServer({ http: { tls: swapped } })).rejects.toMatchObject({
      name: 'ConfigError',
      message: expect.stringMatching(/TLS/),
    })
  })

  /** Past one poll, and until the files of it are read. */
  async function turnTime(clock: FakeClock): Promise<void> {
    await waitFor('the poll to be armed', () => clock.nextInMs() !== undefined)
    await clock.advance(10_000)
    await waitFor('the poll to be armed again', () => clock.nextInMs() !== undefined)
  }
})
