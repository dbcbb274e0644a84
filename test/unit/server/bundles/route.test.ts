import { once } from 'node:events'
import { createConnection } from 'node:net'
import { describe, expect, it } from 'vitest'
import { silentLogger, type Logger } from '../../../../src/lib/logger.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { createSlots } from '../../../../src/server/slots.ts'
import { FakeClock } from '../../../support/clock.ts'
import { waitFor } from '../../../support/wait.ts'
import { ask, release, releaseOf, startServer, type TestServer } from '../support.ts'

const waiting = { Prefer: 'modes=snapshot,delta;wait=30' }

async function held(server: TestServer, count: number): Promise<void> {
  await waitFor(`${count} held requests`, async () =>
    (await server.metrics.text()).includes(`longshore_waiting_clients ${count}\n`),
  )
}

describe('a bundle over HTTP', () => {
  it('is served with the digest of its bytes as ETag', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    for (const path of ['/bundles/authz', '/bundles/authz.tar.gz', '/v1/bundles/authz', '/bundles/authz?x=1']) {
      const answer = await ask(`${server.url}${path}`)
      expect(answer).toMatchObject({ status: 200, body: 'one' })
      expect(answer.headers).toMatchObject({
        etag,
        'content-length': '3',
        'content-type': 'application/gzip',
        'cache-control': 'no-cache',
        vary: 'Prefer',
      })
    }
  })

  it.each([15 * 1024, 15 * 1024 + 1])('has exactly its bytes, whatever they are, with %i of them', async (size) => {
    const server = await startServer()
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 256))
    server.table.activate({ release: releaseOf('authz', bytes), bytes })
    for (const headers of [{}, waiting]) {
      const answer = await fetch(`${server.url}/bundles/authz`, { headers })
      expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true)
    }
  })

  it('is never said to be encoded, whatever the client accepts', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    const { headers } = await ask(`${server.url}/bundles/authz`, { 'Accept-Encoding': 'gzip, br' })
    expect(headers['content-encoding']).toBeUndefined()
  })

  it.each([
    ['modes=snapshot,delta', 'application/gzip'],
    ['modes=snapshot,delta;wait=0', 'application/vnd.openpolicyagent.bundles'],
    ['modes=snapshot,delta;wait=30', 'application/vnd.openpolicyagent.bundles'],
    ['wait=30', 'application/vnd.openpolicyagent.bundles'],
  ])('has exactly the type that Prefer: %s asks for', async (prefer, type) => {
    const server = await startServer()
    release(server, 'authz', 'one')
    expect((await ask(`${server.url}/bundles/authz`, { Prefer: prefer })).headers['content-type']).toBe(type)
  })

  it('answers HEAD as GET without a body', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = await ask(`${server.url}/bundles/authz`, waiting, { method: 'HEAD' })
    expect(answer).toMatchObject({ status: 200, body: '' })
    expect(answer.headers).toMatchObject({ etag, 'content-length': '3' })
    const same = await ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, ...waiting }, { method: 'HEAD' })
    expect(same.status).toBe(304)
  })

  it('is found under names with slashes, dots and escapes, and under its aliases', async () => {
    const alias = '/service/v1/authz/bundle.tar.gz'
    const server = await startServer({ bundles: [{ name: 'team/a.b' }, { name: 'x.tar.gz', aliases: [alias] }] })
    release(server, 'team/a.b', 'a')
    release(server, 'x.tar.gz', 'x')
    for (const path of ['team/a.b', 'team/a.b.tar.gz', 'team%2Fa.b'])
      expect((await ask(`${server.url}/bundles/${path}`)).body).toBe('a')
    expect((await ask(`${server.url}/bundles/x.tar.gz`)).body).toBe('x')
    expect((await ask(`${server.url}${alias}`)).body).toBe('x')
    expect((await ask(`${server.url}${alias}?v=1`)).body).toBe('x')
    expect((await ask(`${server.url}/service/v1/authz`)).status).toBe(404)
  })

  it.each(['/bundles/other', '/bundles/', '/bundles/%zz', '/v1/bundles/other'])('knows nothing at %s', async (path) => {
    const server = await startServer()
    const answer = await ask(`${server.url}${path}`)
    expect(answer.status).toBe(404)
    expect(answer.body).toMatch(/no bundle is configured[^]*request \S+/)
  })

  it('takes GET and HEAD only', async () => {
    const server = await startServer()
    const answer = await ask(`${server.url}/bundles/authz`, {}, { method: 'PUT' })
    expect(answer).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } })
  })

  it('is 503 with Retry-After before the first release, then there', async () => {
    const server = await startServer()
    const early = await ask(`${server.url}/bundles/authz`)
    expect(early).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    release(server, 'authz', 'one')
    expect((await ask(`${server.url}/bundles/authz`)).status).toBe(200)
  })

  it('is 404 when it is watched only', async () => {
    const server = await startServer({ bundles: [{ name: 'authz', pull: false }] })
    const watched = { status: 404, body: expect.stringMatching(/nothing is pulled for bundle authz .*only watched/) }
    expect(await ask(`${server.url}/bundles/authz`)).toMatchObject(watched)
    server.table.activate({ release: { ...releaseOf('authz', Buffer.from('')), bundleDigest: null }, bytes: undefined })
    expect(await ask(`${server.url}/bundles/authz`)).toMatchObject(watched)
    release(server, 'authz', 'one')
    expect(await ask(`${server.url}/bundles/authz`)).toMatchObject(watched)
    expect(await ask(`${server.url}/bundles/authz@${digestOf('one')}`)).toMatchObject(watched)
  })

  it('is 503 where it is to be pulled from now on, until it was', async () => {
    const server = await startServer({ bundles: [{ name: 'authz', pull: false }] })
    server.table.activate({ release: { ...releaseOf('authz', Buffer.from('')), bundleDigest: null }, bytes: undefined })
    server.table.configure([{ name: 'authz', aliases: [], pull: true }])
    expect((await ask(`${server.url}/bundles/authz`)).status).toBe(503)
    release(server, 'authz', 'one')
    expect((await ask(`${server.url}/bundles/authz`)).status).toBe(200)
  })

  it('tells those who wait that it is only watched from now on', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const poll = ask(`${server.url}/bundles/authz`, { ...waiting, 'If-None-Match': etag })
    await held(server, 1)
    server.table.configure([{ name: 'authz', aliases: [], pull: false }])
    expect((await poll).status).toBe(404)
  })

  it('goes when it leaves the config', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    server.table.configure([])
    expect((await ask(`${server.url}/bundles/authz`)).status).toBe(404)
  })

  it('comes from disk when it is not in memory', async () => {
    const server = await startServer()
    const bytes = Buffer.alloc(300_000, 'x')
    const { etag } = release(server, 'authz', bytes, 'disk')
    const answer = await ask(`${server.url}/bundles/authz`, waiting)
    expect(answer).toMatchObject({ status: 200, body: bytes.toString() })
    expect(answer.headers).toMatchObject({
      etag,
      'content-length': '300000',
      'content-type': 'application/vnd.openpolicyagent.bundles',
    })
    const head = await ask(`${server.url}/bundles/authz`, {}, { method: 'HEAD' })
    expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '300000' } })
  })

  it('is told to have been asked for while it is not in memory: its current release, not another, and not by HEAD', async () => {
    const missed: string[] = []
    const server = await startServer({
      bundles: [{ name: 'authz' }, { name: 'other' }],
      route: { missed: (name) => missed.push(name) },
    })
    const { digest } = release(server, 'authz', 'one')
    await ask(`${server.url}/bundles/authz`)
    const current = release(server, 'authz', 'two', 'disk')
    await ask(`${server.url}/bundles/authz`, {}, { method: 'HEAD' })
    await ask(`${server.url}/bundles/authz`, { 'If-None-Match': current.etag })
    await ask(`${server.url}/bundles/authz@${digest}`)
    expect(missed).toEqual([])
    expect((await ask(`${server.url}/bundles/authz`)).body).toBe('two')
    expect(missed).toEqual(['authz'])
  })

  it('is 500 with a request id when its bytes cannot be read', async () => {
    const server = await startServer()
    const { digest } = release(server, 'authz', 'one', 'disk')
    server.stored.delete(digest)
    const answer = await ask(`${server.url}/bundles/authz`, { 'X-Request-Id': 'mine-7' })
    expect(answer).toMatchObject({
      status: 500,
      headers: { 'x-request-id': 'mine-7' },
      body: expect.stringMatching(/request mine-7/),
    })
    expect(answer.headers.etag).toBeUndefined()
  })

  it('lets go of the file when its client goes away, which is nothing to complain of', async () => {
    let [opened, closed] = [0, 0]
    const complaints: unknown[] = []
    const logger = Object.assign(Object.create(silentLogger) as Logger, {
      error: (...said: unknown[]) => complaints.push(said),
    })
    const server = await startServer({
      logger,
      route: {
        async *readBlob() {
          opened++
          try {
            for (;;) yield Buffer.alloc(65_536)
          } finally {
            closed++
          }
        },
      },
    })
    release(server, 'authz', Buffer.alloc(1_000_000_000), 'disk')
    const leaving = new AbortController()
    const answer = ask(`${server.url}/bundles/authz`, {}, { signal: leaving.signal })
    await waitFor('the file to be opened', () => opened === 1)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await waitFor('it to be closed', () => closed === 1)
    await server.server.close()
    expect(complaints).toEqual([])
  })

  it('cuts the connection rather than end early when fewer bytes come than were said', async () => {
    const server = await startServer()
    const { digest } = release(server, 'authz', Buffer.alloc(200_000), 'disk')
    server.stored.get(digest)!.bytes = Buffer.alloc(100_000)
    await expect(ask(`${server.url}/bundles/authz`)).rejects.toThrow(/aborted|hang up/)
  })

  it('nor takes the next answer on the connection for the rest of that one', async () => {
    const server = await startServer()
    const { digest } = release(server, 'authz', Buffer.alloc(200_000), 'disk')
    server.stored.get(digest)!.bytes = Buffer.alloc(100_000)
    const { port, host } = new URL(server.url)
    const socket = createConnection(Number(port), '127.0.0.1')
    const asked = `GET /bundles/authz HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    socket.write(`${asked}${asked}`)
    let answer = ''
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
    await once(socket, 'close')
    expect(answer.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 200'])
  })

  it('is 503 when too many are read from disk already, and none ends in time', async () => {
    const clock = new FakeClock()
    const downloads = createSlots({ max: 1, waitMs: 30_000, clock })
    const server = await startServer({ route: { downloads } })
    release(server, 'authz', 'one', 'disk')
    const leave = await downloads.enter('127.0.0.1')
    const answer = ask(`${server.url}/bundles/authz`)
    await waitFor('it to wait', () => clock.nextInMs() === 30_000)
    await clock.advance(30_000)
    expect(await answer).toMatchObject({ status: 503, headers: { 'retry-after': expect.stringMatching(/^\d+$/) } })
    expect(await server.metrics.text()).toContain('longshore_limited_total{limit="max_downloads"} 1\n')
    leave!()
    expect(await ask(`${server.url}/bundles/authz`)).toMatchObject({ status: 200, body: 'one' })
  })
})

describe('If-None-Match', () => {
  it.each([
    ['the ETag', (own: string) => own],
    ['the weak form', (own: string) => `W/${own}`],
    ['the first of a list', (own: string) => `${own}, "sha256:other"`],
    ['anything', () => '*'],
  ])('with %s is 304 with the same ETag', async (_, header) => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = await ask(`${server.url}/bundles/authz`, { 'If-None-Match': header(etag) })
    expect(answer).toMatchObject({ status: 304, body: '', headers: { etag, 'cache-control': 'no-cache' } })
    expect(answer.headers['content-length']).toBeUndefined()
  })

  it('with something unknown is the whole bundle', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    for (const header of ['"sha256:other"', 'W/"x", "y"', 'sha256:unquoted', '""'])
      expect((await ask(`${server.url}/bundles/authz`, { 'If-None-Match': header })).status).toBe(200)
  })

  it('that names ours second, after one that we never had, is 304 without an ETag: we lag', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const newer = `"${digestOf('two')}"`
    const answer = await ask(`${server.url}/bundles/authz`, { 'If-None-Match': `${newer}, ${etag}` })
    expect(answer.status).toBe(304)
    expect(answer.headers.etag).toBeUndefined()
  })

  it('that names ours second, after one that we had, is 200: somebody rolled back', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    const two = release(server, 'authz', 'two')
    const { etag } = release(server, 'authz', 'one')
    const answer = await ask(`${server.url}/bundles/authz`, { 'If-None-Match': `W/${two.etag}, ${etag}` })
    expect(answer).toMatchObject({ status: 200, body: 'one', headers: { etag } })
  })

  it('tells a rollback from history that was loaded at the start, too', async () => {
    const server = await startServer()
    const two = digestOf('two')
    server.table.remember('authz', [two])
    const { etag } = release(server, 'authz', 'one')
    expect((await ask(`${server.url}/bundles/authz`, { 'If-None-Match': `"${two}", ${etag}` })).status).toBe(200)
  })
})

describe('one release by its digest', () => {
  it('is served from memory while current, from disk afterwards', async () => {
    const server = await startServer()
    const one = release(server, 'authz', 'one')
    const url = `${server.url}/bundles/authz@${one.digest}`
    expect(await ask(url)).toMatchObject({ status: 200, body: 'one' })
    release(server, 'authz', 'two')
    expect(await ask(url)).toMatchObject({ status: 200, body: 'one', headers: { etag: one.etag } })
    expect((await ask(url, { 'If-None-Match': one.etag })).status).toBe(304)
    expect((await ask(url.replace('@', '%40').replace('sha256:', 'sha256%3A'))).status).toBe(200)
  })

  it('is 410 once its bytes are gone, 404 when it never was', async () => {
    const server = await startServer()
    const { digest } = release(server, 'authz', 'one')
    server.stored.get(digest)!.release.kept = false
    expect(await ask(`${server.url}/bundles/authz@${digest}`)).toMatchObject({
      status: 410,
      body: expect.stringMatching(/not kept/),
    })
    expect((await ask(`${server.url}/bundles/authz@${digestOf('no')}`)).status).toBe(404)
    expect((await ask(`${server.url}/bundles/other@${digest}`)).status).toBe(404)
    expect((await ask(`${server.url}/bundles/authz@sha256:short`)).status).toBe(404)
  })

  it('is 404 where nothing of that release was ever pulled', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    const watched = { ...releaseOf('authz', Buffer.from('watched')), bundleDigest: null }
    server.stored.set(watched.manifestDigest, { release: watched, bytes: Buffer.alloc(0) })
    expect((await ask(`${server.url}/bundles/authz@${watched.manifestDigest}`)).status).toBe(404)
  })

  it('is waited for until the time is over, since it never changes', async () => {
    const server = await startServer()
    const one = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz@${one.digest}`, { 'If-None-Match': one.etag, ...waiting })
    await held(server, 1)
    release(server, 'authz', 'two')
    await server.clock.advance(29_000)
    await held(server, 1)
    await server.clock.advance(1_500)
    expect((await answer).status).toBe(304)
  })
})

describe('long polling', () => {
  it('answers at once who has something else, or nothing', async () => {
    const server = await startServer()
    release(server, 'authz', 'one')
    expect((await ask(`${server.url}/bundles/authz`, waiting)).status).toBe(200)
    expect((await ask(`${server.url}/bundles/authz`, { 'If-None-Match': '"x"', ...waiting })).status).toBe(200)
  })

  it('holds who has the current release until the next one', async () => {
    const server = await startServer()
    const one = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': one.etag, ...waiting })
    await held(server, 1)
    const two = release(server, 'authz', 'two')
    expect(await answer).toMatchObject({ status: 200, body: 'two', headers: { etag: two.etag } })
    expect((await answer).headers['content-type']).toBe('application/vnd.openpolicyagent.bundles')
    await held(server, 0)
  })

  it('answers 304 with the same ETag when the time is over, not before', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, ...waiting })
    await held(server, 1)
    await server.clock.advance(29_900)
    await held(server, 1)
    await server.clock.advance(500)
    expect(await answer).toMatchObject({ status: 304, headers: { etag } })
  })

  it('holds nobody longer than its own cap', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, Prefer: 'wait=3600' })
    await held(server, 1)
    await server.clock.advance(54_900)
    await held(server, 1)
    await server.clock.advance(400)
    expect((await answer).status).toBe(304)
  })

  it('wakes only those who wait for what changed', async () => {
    const server = await startServer({ bundles: [{ name: 'a' }, { name: 'b' }] })
    const [a, b] = [release(server, 'a', 'a1'), release(server, 'b', 'b1')]
    const forA = ask(`${server.url}/bundles/a`, { 'If-None-Match': a.etag, ...waiting })
    const forB = ask(`${server.url}/bundles/b`, { 'If-None-Match': b.etag, ...waiting })
    await held(server, 2)
    release(server, 'b', 'b2')
    expect((await forB).body).toBe('b2')
    await held(server, 1)
    release(server, 'a', 'a2')
    expect((await forA).body).toBe('a2')
  })

  it('goes on holding when what was activated is what the client has', async () => {
    const server = await startServer()
    const one = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': one.etag, ...waiting })
    await held(server, 1)
    release(server, 'authz', 'two')
    release(server, 'authz', 'one')
    await server.clock.advance(1_000)
    await held(server, 1)
    release(server, 'authz', 'three')
    expect((await answer).body).toBe('three')
  })

  it('holds a request before the first release until that comes', async () => {
    const server = await startServer()
    const answer = ask(`${server.url}/bundles/authz`, waiting)
    await held(server, 1)
    release(server, 'authz', 'one')
    expect(await answer).toMatchObject({ status: 200, body: 'one' })
  })

  it('is 503 when no first release came in time', async () => {
    const server = await startServer()
    const answer = ask(`${server.url}/bundles/authz`, waiting)
    await held(server, 1)
    await server.clock.advance(31_000)
    expect(await answer).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
  })

  it('holds who is ahead of us, then answers with what is newer', async () => {
    const server = await startServer()
    const one = release(server, 'authz', 'one')
    const header = `"${digestOf('two')}", ${one.etag}`
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': header, ...waiting })
    await held(server, 1)
    release(server, 'authz', 'two')
    await server.clock.advance(1_000)
    release(server, 'authz', 'three')
    expect((await answer).body).toBe('three')
  })

  it('answers 404 when the bundle leaves the config', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, ...waiting })
    await held(server, 1)
    server.table.configure([])
    expect((await answer).status).toBe(404)
  })

  it('forgets a client that goes away', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const leaving = new AbortController()
    const headers = { 'If-None-Match': etag, ...waiting }
    const answer = ask(`${server.url}/bundles/authz`, headers, { signal: leaving.signal })
    await held(server, 1)
    leaving.abort()
    await expect(answer).rejects.toThrow()
    await held(server, 0)
  })

  it('holds no more than it may', async () => {
    const server = await startServer({ route: { limits: { maxWaiters: 1 } } })
    const { etag } = release(server, 'authz', 'one')
    const headers = { 'If-None-Match': etag, ...waiting }
    const first = ask(`${server.url}/bundles/authz`, headers)
    await held(server, 1)
    expect(await ask(`${server.url}/bundles/authz`, headers)).toMatchObject({
      status: 503,
      headers: { 'retry-after': '10' },
    })
    release(server, 'authz', 'two')
    expect((await first).status).toBe(200)
  })

  it('answers 304 to all and closes their connections when the server closes', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const answer = ask(`${server.url}/bundles/authz`, { 'If-None-Match': etag, Connection: 'keep-alive', ...waiting })
    await held(server, 1)
    await server.server.close()
    expect(await answer).toMatchObject({ status: 304, headers: { etag, connection: 'close' } })
  })

  it('answers HEAD at once, whatever it would wait for', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const headers = { 'If-None-Match': etag, ...waiting }
    expect((await ask(`${server.url}/bundles/authz`, headers, { method: 'HEAD' })).status).toBe(304)
  })

  it('holds one request of a connection, not those behind it', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const socket = createConnection(Number(new URL(server.url).port), '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    const asked = `GET /bundles/authz HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: ${etag}\r\nPrefer: wait=30\r\n\r\n`
    socket.write(asked.repeat(3))
    await waitFor('the last to be answered', async () =>
      (await server.metrics.text()).includes('longshore_http_requests_total{route="bundles",status="304"} 2\n'),
    )
    await held(server, 1)
    release(server, 'authz', 'two')
    await waitFor(
      'all answers',
      () => text.match(/HTTP\/1.1 \d+/g)?.join() === 'HTTP/1.1 200,HTTP/1.1 304,HTTP/1.1 304',
    )
    socket.destroy()
  })

  it('answers two requests on one connection in order, the second after the held one', async () => {
    const server = await startServer()
    const { etag } = release(server, 'authz', 'one')
    const socket = createConnection(Number(new URL(server.url).port), '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => (text += chunk.toString()))
    const head = `Host: localhost\r\nIf-None-Match: ${etag}\r\n`
    socket.write(
      `GET /bundles/authz HTTP/1.1\r\n${head}Prefer: wait=30\r\n\r\nGET /bundles/authz HTTP/1.1\r\n${head}\r\n`,
    )
    await held(server, 1)
    expect(text).toBe('')
    release(server, 'authz', 'two')
    // The second was looked at when it came, and keeps its place.
    await waitFor('both answers', () => /^HTTP\/1.1 200[^]*two[^]*HTTP\/1.1 304/.test(text))
    socket.destroy()
  })
})
