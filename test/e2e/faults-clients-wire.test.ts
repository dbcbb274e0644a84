// What is no HTTP, too much of it, or two requests in one: each answered exactly so, and the server goes on as before.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { waitFor } from '../support/wait.ts'
import { askFrom, digestOf, restOf, whileServed } from './faults-crowd.ts'

const kibibyte = 1024
const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
const paths = ['/bundles/authz', '/v2/policies/authz/manifests/latest']

let server: Longshore

beforeAll(async () => {
  server = await startLongshore({
    config: {
      server: { limits: { max_blob: '64KiB', max_manifest: '32KiB', headers_timeout: '2s', idle_timeout: '1s' } },
      bundles: { authz: { store: { type: 'local', repository: 'policies/authz' } } },
    },
  })
  await pushPolicy('1', `${server.host}/policies/authz:latest`)
  await waitFor('the first release', async () => (await server.fetch('/bundles/authz')).status === 200)
})

afterAll(() => server?.stop())

/** Writes these bytes, and returns all that comes back until the server closes. */
async function raw(...parts: (string | Buffer)[]): Promise<string> {
  const socket = connect(server.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  socket.on('error', () => undefined)
  for (const part of parts) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
  if (!socket.closed) await once(socket, 'close')
  return answer
}

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]))
const host = 'Host: localhost\r\n'
const end = 'Connection: close\r\n\r\n'

describe('a request that is too large', () => {
  test.each([
    ['one header', `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(20 * kibibyte)}\r\n${end}`, 431],
    ['a header that never ends', `GET / HTTP/1.1\r\n${host}X: ${'x'.repeat(40 * kibibyte)}`, 431],
    ['a header name that never ends', `GET / HTTP/1.1\r\n${host}${'x'.repeat(40 * kibibyte)}`, 431],
    ['many header lines', `GET / HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(500)}${end}`, 431],
    ['very many header lines', `GET / HTTP/1.1\r\n${host}${'a:\r\n'.repeat(3_900)}${end}`, 431],
    ['a URL', `GET /bundles/${'x'.repeat(20 * kibibyte)} HTTP/1.1\r\n${host}${end}`, 431],
    ['a query', `GET /bundles/authz?${'a=b&'.repeat(5 * kibibyte)} HTTP/1.1\r\n${host}${end}`, 431],
    ['a method', `${'GET'.repeat(10 * kibibyte)} / HTTP/1.1\r\n${host}${end}`, 400],
    [
      'trailers',
      `POST /v2/policies/other/blobs/uploads/?digest=${digestOf(Buffer.alloc(0))} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n${'T: x\r\n'.repeat(9_000)}\r\n`,
      431,
    ],
    [
      'the extensions of a chunk',
      `POST /api/v1/bundles/authz/look HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;${'e=f;'.repeat(9_000)}\r\nhello\r\n0\r\n\r\n`,
      413,
    ],
    [
      'a body for the API',
      `POST /api/v1/bundles/authz/look HTTP/1.1\r\n${host}Content-Type: application/json\r\nContent-Length: 70000\r\n\r\n${' '.repeat(70_000)}`,
      413,
    ],
  ])('%s', async (_what, sent, status) => {
    const answer = await whileServed(server, paths, () => raw(sent))
    expect(statuses(answer)).toEqual([status])
  })

  test('but what fits is served', async () => {
    const query = `?${'a=b&'.repeat(3 * kibibyte)}`
    expect(statuses(await raw(`GET /bundles/authz${query} HTTP/1.1\r\n${host}${end}`))).toEqual([200])
    expect(statuses(await raw(`GET /v2/policies/authz/tags/list${query} HTTP/1.1\r\n${host}${end}`))).toEqual([200])
    expect(statuses(await raw(`GET /bundles/authz HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(190)}${end}`))).toEqual([200])
  })
})

describe('what is no HTTP', () => {
  test.each<[string, string | Buffer]>([
    ['words', 'hello, is anybody there?\r\n\r\n'],
    ['bytes', Buffer.from([0, 1, 2, 3, 255, 254, 13, 10, 13, 10])],
    ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/9.9', `GET / HTTP/9.9\r\n${host}${end}`],
    ['no version', `GET / \r\n${host}${end}`],
    ['a bare line feed', `GET / HTTP/1.1\nHost: localhost\n\n`],
    ['a bare carriage return in a header', `GET / HTTP/1.1\r\n${host}X: a\rb\r\n${end}`],
    ['a null in a header', `GET / HTTP/1.1\r\n${host}X: a\0b\r\n${end}`],
    ['a header without a colon', `GET / HTTP/1.1\r\n${host}nothing\r\n${end}`],
    ['a blank before the colon', `GET / HTTP/1.1\r\n${host}X : y\r\n${end}`],
    ['a folded header', `GET / HTTP/1.1\r\n${host}X: y\r\n z\r\n${end}`],
    ['a blank before the first header', `GET / HTTP/1.1\r\n X: y\r\n${host}${end}`],
    ['no host', `GET / HTTP/1.1\r\n${end}`],
    ['two hosts', `GET / HTTP/1.1\r\n${host}Host: evil.example\r\n${end}`],
    ['a URL with a host', `GET http://evil.example/bundles/authz HTTP/1.1\r\n${host}${end}`],
    ['a URL with a null', `GET /bundles/\0 HTTP/1.1\r\n${host}${end}`],
  ])('%s is answered with 400 at most', async (_what, sent) => {
    const answer = statuses(await whileServed(server, paths, () => raw(sent)))
    expect(answer.length).toBeLessThanOrEqual(1)
    for (const status of answer) expect(status).toBe(400)
  })
})

describe('two requests in one', () => {
  const inner = `GET /bundles/authz HTTP/1.1\r\n${host}${end}`
  const post = `POST /api/v1/bundles/authz/look HTTP/1.1\r\n${host}Content-Type: application/json\r\n`

  test.each([
    ['a length and chunks', `${post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`],
    [
      'chunks and a length',
      `${post}Transfer-Encoding: chunked\r\nContent-Length: ${inner.length}\r\n\r\n0\r\n\r\n${inner}`,
    ],
    ['two lengths', `${post}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`],
    ['the same length twice', `${post}Content-Length: 0\r\nContent-Length: 0\r\n\r\n${inner}`],
    ['a list of lengths', `${post}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`],
    ['a length with a sign', `${post}Content-Length: +0\r\n\r\n${inner}`],
    ['a negative length', `${post}Content-Length: -1\r\n\r\n${inner}`],
    ['a length in hex', `${post}Content-Length: 0x0\r\n\r\n${inner}`],
    ['a length that is too long', `${post}Content-Length: 99999999999999999999999\r\n\r\n${inner}`],
    ['chunks that are not the last coding', `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${inner}`],
    ['an unknown coding', `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`],
    ['a coding with a blank before the colon', `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`],
    ['two codings', `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`],
    ['a chunk with a size that is none', `${post}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${inner}`],
    ['a chunk with a size beyond all', `${post}Transfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\n${inner}`],
    ['chunks without line ends', `${post}Transfer-Encoding: chunked\r\n\r\n0\n\n${inner}`],
    [
      'chunks to HTTP/1.0',
      `${post.replace('HTTP/1.1', 'HTTP/1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    ],
  ])('%s: the inner one is never answered', async (_what, sent) => {
    const answer = await whileServed(server, paths, () => raw(sent))
    // The bundle would be the inner one's.
    expect(answer).not.toMatch(/gzip|ETag/i)
    expect(statuses(answer).filter((status) => status < 400).length).toBeLessThanOrEqual(1)
  })

  test('are refused outright where the two lengths may be read in two ways', async () => {
    for (const headers of [
      'Content-Length: 4\r\nTransfer-Encoding: chunked',
      'Content-Length: 0\r\nContent-Length: 4',
      'Transfer-Encoding: chunked, identity',
    ]) {
      expect(statuses(await raw(`${post}${headers}\r\n\r\n0\r\n\r\n${inner}`)), headers).toEqual([400])
    }
  })
})

describe('rarer ways to ask', () => {
  test('HTTP/1.0 is answered, and then closed', async () => {
    const answer = await raw(`GET /bundles/authz HTTP/1.0\r\n\r\n`)
    expect(statuses(answer)).toEqual([200])
    expect(answer).toMatch(/content-length: \d+/i)
    expect(answer).not.toMatch(/transfer-encoding/i)
  })

  test('so is what there was before it', async () => {
    expect(statuses(await raw('GET /bundles/authz\r\n\r\n'))).toEqual([200])
  })

  test('an upgrade is ignored', async () => {
    for (const to of ['h2c', 'websocket', 'TLS/1.0']) {
      const asked = `GET /bundles/authz HTTP/1.1\r\n${host}Connection: Upgrade, close\r\nUpgrade: ${to}\r\n\r\n`
      expect(statuses(await raw(asked)), to).toEqual([200])
    }
  })

  test('CONNECT leads nowhere', async () => {
    expect(statuses(await raw(`CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`))).toEqual([])
  })

  test.each(['TRACE', 'OPTIONS', 'PROPFIND', 'PURGE', 'LOCK', 'M-SEARCH'])(
    '%s is told that it is not possible',
    async (method) => {
      for (const path of ['/bundles/authz', '/v2/', '/api/v1/bundles', '/', '/nothing']) {
        const [status, ...more] = statuses(await raw(`${method} ${path} HTTP/1.1\r\n${host}X: secret\r\n${end}`))
        expect([404, 405], path).toContain(status)
        expect(more).toEqual([])
      }
      expect(statuses(await raw(`OPTIONS * HTTP/1.1\r\n${host}${end}`))).toEqual([400])
    },
  )

  test('an expectation is met, or refused', async () => {
    const body = 'a blob'
    const target = `/v2/policies/other/blobs/uploads/?digest=${digestOf(Buffer.from(body))}`
    const head = `POST ${target} HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\nExpect: 100-continue\r\n${end}`
    expect(statuses(await raw(head, body))).toEqual([100, 201])
    expect(statuses(await raw(head.replace('100-continue', 'the-spanish-inquisition')))).toEqual([417])
  })

  test('requests that are sent ahead are answered in order, up to some', async () => {
    const one = (path: string) => `GET ${path} HTTP/1.1\r\n${host}\r\n`
    const few = await raw(`${one('/ping')}${one('/nothing')}${one('/bundles/authz')}GET /v2/ HTTP/1.1\r\n${host}${end}`)
    expect(statuses(few)).toEqual([200, 404, 200, 200])
    const many = await raw(one('/v2/policies/authz/manifests/latest').repeat(5_000))
    expect(statuses(many).at(-1)).toBe(429)
    expect(statuses(many).length).toBeLessThan(200)
  })
})

describe('a body that is too large', () => {
  const chunked = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`
  const put = `PUT /v2/policies/other/manifests/v1 HTTP/1.1\r\n${host}Content-Type: ${ociManifest}\r\n`

  test('as a manifest, said or not', async () => {
    const said = await raw(`${put}Content-Length: 40000\r\n${end}${'x'.repeat(40_000)}`)
    expect(statuses(said)).toEqual([413])
    const unsaid = `${put}Transfer-Encoding: chunked\r\n${end}${chunked(20_000)}${chunked(20_000)}`
    expect(statuses(await raw(`${unsaid}0\r\n\r\n`))).toEqual([413])
    // Nor does it help to go on for ever.
    expect(statuses(await raw(`${unsaid}${chunked(20_000).repeat(50)}0\r\n\r\n`))).toEqual([413])
  })

  test('as a blob, at once or in pieces; and the session stays where it was', async () => {
    const digest = digestOf(Buffer.alloc(70_000))
    const at = `${server.url}/v2/policies/other/blobs/uploads/`
    const headers = { 'content-type': 'application/octet-stream' }
    const whole = await askFrom('127.0.0.1', `${at}?digest=${digest}`, {
      method: 'POST',
      headers,
      body: Buffer.alloc(70_000),
    })
    expect(whole.status).toBe(413)
    const started = await askFrom('127.0.0.1', at, { method: 'POST', headers: { 'content-length': '0' } })
    const session = `${server.url}${started.headers.location as string}`
    const patch = (bytes: number) =>
      askFrom('127.0.0.1', session, { method: 'PATCH', headers, body: Buffer.alloc(bytes) })
    expect((await patch(60_000)).status).toBe(202)
    expect((await patch(10_000)).status).toBe(413)
    expect((await askFrom('127.0.0.1', session)).headers.range).toBe('0-59999')
    expect((await patch(5_000)).status).toBe(202)
    const unsaid = `PATCH ${new URL(session).pathname} HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n${end}${chunked(9_000)}0\r\n\r\n`
    expect(statuses(await raw(unsaid))).toEqual([413])
    expect((await askFrom('127.0.0.1', session)).headers.range).toBe('0-64999')
    expect((await askFrom('127.0.0.1', session, { method: 'DELETE' })).status).toBe(204)
  })
})

test('none of it is logged as a fault of ours, and nothing is left open', async () => {
  await restOf(server).until()
  expect(server.log().filter(({ level }) => (level as number) >= 50)).toEqual([])
})
