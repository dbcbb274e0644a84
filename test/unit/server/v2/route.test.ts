import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../../src/oci/digest.ts'
import { ociManifest } from '../../../../src/oci/media.ts'
import { drainBytes, sendRefusal } from '../../../../src/server/v2/answer.ts'
import { createBodyMemory, readBody } from '../../../../src/server/v2/body.ts'
import type { Call } from '../../../../src/server/v2/call.ts'
import { refusal } from '../../../../src/server/v2/refusal.ts'
import { Api, codesOf, jsonOf, locationOf, type Answer } from '../../../conformance/distribution/api.ts'
import { FakeClock } from '../../../support/clock.ts'
import { waitFor } from '../../../support/wait.ts'
import { startV2Server, type V2Server } from '../../../conformance/distribution/server.ts'

const maxBlobBytes = 4 * 1024 * 1024
let server: V2Server
let api: Api

beforeAll(async () => {
  server = await startV2Server({ limits: { maxBlobBytes, maxManifestBytes: 10_000, pageMax: 3 } })
})

beforeEach(() => {
  api = new Api(server)
})

afterAll(() => server.close())

/** What comes back for bytes as they are written. */
async function raw(text: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
  await once(socket, 'close')
  return answer
}

/** The first of what comes back, for a request that is not at its end: it is answered, or nothing ever comes. */
async function early(text: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.write(text)
  const [first] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return first.toString('latin1')
}

/** Sends the head and some of the body, and goes away. */
async function abandon(method: string, path: string, headers: Record<string, string>, sent: Buffer): Promise<void> {
  const { port } = new URL(server.url)
  const request = httpRequest({ host: '127.0.0.1', port, method, path, headers })
  request.on('error', () => undefined)
  request.write(sent)
  await waitFor('all to be sent', () => (request.socket?.bytesWritten ?? 0) > sent.length)
  request.destroy()
}

describe('the endpoints', () => {
  it('greet, and say which version of the API this is', async () => {
    const answer = await api.get('/v2/')
    expect(answer.status).toBe(200)
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
    expect(answer.body.toString()).toBe('{}')
  })

  it('know which methods they have', async () => {
    for (const [method, path, allow] of [
      ['POST', '/v2/', 'GET, HEAD'],
      ['DELETE', '/v2/_catalog', 'GET, HEAD'],
      ['POST', '/v2/a/tags/list', 'GET, HEAD'],
      ['PUT', `/v2/a/blobs/${digestOf('x')}`, 'GET, HEAD, DELETE'],
      ['PATCH', '/v2/a/manifests/v1', 'GET, HEAD, PUT, DELETE'],
      ['GET', '/v2/a/blobs/uploads/', 'POST'],
      ['HEAD', '/v2/a/blobs/uploads/1', 'GET, PATCH, PUT, DELETE'],
      ['DELETE', `/v2/a/referrers/${digestOf('x')}`, 'GET, HEAD'],
    ] as const) {
      const answer = await api.send(method, path)
      expect(answer.status, `${method} ${path}`).toBe(405)
      expect(answer.headers.allow).toBe(allow)
      if (method !== 'HEAD') expect(codesOf(answer)).toEqual(['UNSUPPORTED'])
    }
  })

  it('are no others', async () => {
    for (const path of ['/v2/a', '/v2/a/tags', '/v2/a/b/c/d', '/v2/_catalog/']) {
      expect((await api.get(path)).status, path).toBe(404)
    }
  })

  it('see the path as it was sent, not as a URL parser would mend it', async () => {
    await api.pushImage('v1', {}, 'b')
    for (const path of ['/v2/a/../b/manifests/v1', '/v2//b/manifests/v1', '/v2/a/%2e%2e/b/manifests/v1']) {
      const answer = await raw(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      expect(answer, path).toMatch(/^HTTP\/1.1 400 /)
      expect(answer).toMatch(/NAME_INVALID/)
    }
    const encoded = await raw('GET /v2/a%2F..%2Fb/manifests/v1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(encoded).toMatch(/^HTTP\/1.1 400 /)
  })

  it('take an absolute URL as target', async () => {
    const answer = await raw('GET http://elsewhere/v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1.1 200 /)
  })
})

describe('a client that has it already', () => {
  it('gets 304 for a blob and a manifest, with the same ETag', async () => {
    const blob = await api.pushBlob(randomBytes(100))
    const image = await api.pushImage('v1')
    for (const [path, digest] of [
      [api.blobPath(blob.digest), blob.digest],
      [api.manifestPath('v1'), image.digest],
    ] as const) {
      for (const etag of [`"${digest}"`, `W/"${digest}"`, digest, `"x", "${digest}"`, '*']) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await api.send(method, path, { headers: { 'If-None-Match': etag } })
          expect(answer.status, `${method} ${path} ${etag}`).toBe(304)
          expect(answer.headers.etag).toBe(`"${digest}"`)
          expect(answer.body.length).toBe(0)
        }
      }
      expect((await api.get(path, { 'If-None-Match': '"other"' })).status).toBe(200)
    }
  })
})

describe('HEAD', () => {
  it('has the headers of GET', async () => {
    const { digest } = await api.pushBlob(randomBytes(100))
    await api.pushImage('v1')
    for (const path of [api.blobPath(digest), api.manifestPath('v1'), `/v2/${api.repository}/tags/list`, '/v2/']) {
      const { date: _, ...ofGet } = (await api.get(path)).headers
      const { date: __, ...ofHead } = (await api.head(path)).headers
      expect(ofHead, path).toEqual(ofGet)
    }
  })

  it('says that a blob is not there when its file is not: then it is sent again', async () => {
    const { digest } = await api.pushBlob(randomBytes(100))
    await server.content.remove(digest)
    expect((await api.head(api.blobPath(digest))).status).toBe(404)
  })

  it('does not mind Range', async () => {
    const { digest } = await api.pushBlob(randomBytes(100))
    const answer = await api.head(api.blobPath(digest), { Range: 'bytes=0-9' })
    expect([answer.status, answer.headers['content-length']]).toEqual([200, '100'])
  })
})

it('a blob comes to a reader who stops now and then as it is', async () => {
  const bytes = randomBytes(maxBlobBytes)
  const { digest } = await api.pushBlob(bytes)
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  const host = new URL(server.url).host
  socket.write(`GET ${api.blobPath(digest)} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  const chunks: Buffer[] = []
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    if (chunks.length % 8 === 0) await new Promise(setImmediate)
  }
  const answer = Buffer.concat(chunks)
  expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(bytes)).toBe(true)
})

it('a blob that turns out damaged while it is sent ends with its connection; the next request is answered', async () => {
  const bytes = randomBytes(maxBlobBytes)
  const { digest } = await api.pushBlob(bytes)
  const file = await server.registry.repository(api.repository).blobFile(digest)
  chmodSync(file, 0o600)
  writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]))
  const host = new URL(server.url).host
  const answer = await raw(`GET ${api.blobPath(digest)} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1.1 200 /)
  expect(answer.length - answer.indexOf('\r\n\r\n') - 4).toBeLessThan(bytes.length)
  expect((await api.get('/v2/')).status).toBe(200)
})

it('the file of a blob is let go of when its client goes away', async () => {
  const { digest } = await api.pushBlob(randomBytes(maxBlobBytes))
  const repository = server.registry.repository(api.repository)
  const read = repository.readBlob.bind(repository)
  let open = 0
  repository.readBlob = async function* (...args) {
    open++
    try {
      yield* read(...args)
    } finally {
      open--
    }
  }
  await early(`GET ${api.blobPath(digest)} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await waitFor('the file to be let go of', () => open === 0)
})

it('a refusal keeps the connection where nothing more comes with the request', async () => {
  const ask = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
  const answers = await raw(`${ask(api.manifestPath('none'))}${ask('/v2/', 'Connection: close\r\n')}`)
  expect(answers.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200'])
})

it('a range that cannot be says how long the blob is', async () => {
  const { digest } = await api.pushBlob(randomBytes(100))
  const answer = await api.get(api.blobPath(digest), { Range: 'bytes=100-' })
  expect([answer.status, answer.headers['content-range']]).toEqual([416, 'bytes */100'])
})

it('lists have no more than a page, whatever n asks for', async () => {
  const image = await api.pushImage()
  for (const reference of ['a', 'b', 'c', 'd']) await api.pushManifest(image.bytes, { reference })
  const path = `/v2/${api.repository}/tags/list`
  for (const query of ['', '?n=1000', '?n=99999999999999999999']) {
    const answer = await api.get(path + query)
    expect(jsonOf(answer).tags).toEqual(['a', 'b', 'c'])
    expect(answer.headers.link).toBe(`<${path}?last=c&n=3>; rel="next"`)
  }
  expect((await api.get(`${path}?n=4&last=a`)).headers.link).toBeUndefined()
  for (const n of ['-1', 'x', '1.5', '']) expect((await api.get(`${path}?n=${n}`)).status, n).toBe(400)
})

it('referrers come in pages that are no longer than a manifest may be, each once', async () => {
  const { descriptor: subject, digest } = await api.pushImage()
  const pushed: string[] = []
  for (let nth = 0; nth < 6; nth++) {
    const annotations = { nth: String(nth), long: 'x'.repeat(3_000) }
    pushed.push((await api.pushImage(undefined, { subject, annotations })).digest)
  }
  const seen: string[] = []
  let path: string | undefined = `/v2/${api.repository}/referrers/${digest}`
  let pages = 0
  for (; path !== undefined && pages < 10; pages++) {
    const answer: Answer = await api.get(path)
    expect(answer.body.length).toBeLessThanOrEqual(10_000)
    seen.push(...(jsonOf(answer).manifests as { digest: string }[]).map((one) => one.digest))
    path = /^<(.*)>; rel="next"$/.exec(answer.headers.link as string)?.[1]
  }
  expect([seen, pages]).toEqual([pushed, 2])
})

it('a list that did not change does not come again, one with a following page now does', async () => {
  const image = await api.pushImage()
  for (const reference of ['a', 'b', 'c']) await api.pushManifest(image.bytes, { reference })
  const path = `/v2/${api.repository}/tags/list`
  const first = await api.get(path)
  const headers = { 'If-None-Match': first.headers.etag! }
  const again = await api.get(path, headers)
  expect([again.status, again.body.length, again.headers.etag]).toEqual([304, 0, first.headers.etag])
  await api.pushManifest(image.bytes, { reference: 'd' })
  const changed = await api.get(path, headers)
  expect([changed.status, changed.body]).toEqual([200, first.body])
  expect(changed.headers.link).toBe(`<${path}?last=c&n=3>; rel="next"`)
  const next = { 'If-None-Match': changed.headers.etag! }
  expect((await api.get(path, next)).headers.link).toBe(changed.headers.link)
})

describe('a manifest', () => {
  it('without Content-Type is what it calls itself', async () => {
    const image = await api.image()
    const put = (body: string) => api.send('PUT', api.manifestPath('v1'), { body })
    expect((await put(JSON.stringify(image))).status).toBe(201)
    expect((await api.getManifest('v1')).headers['content-type']).toBe(ociManifest)
    const { mediaType: _, ...nameless } = image
    expect(codesOf(await put(JSON.stringify(nameless)))).toEqual(['MANIFEST_INVALID'])
  })

  it('without mediaType is what its Content-Type says', async () => {
    const { mediaType: _, ...nameless } = await api.image()
    const pushed = await api.pushManifest(nameless, { reference: 'v1' })
    const answer = await api.getManifest('v1')
    expect(answer.headers['content-type']).toBe(ociManifest)
    expect(answer.body).toEqual(pushed.bytes)
  })

  it('of a type that is none is refused', async () => {
    const { answer } = await api.putManifest(await api.image(), { reference: 'v1', mediaType: 'text/plain' })
    expect([answer.status, codesOf(answer)]).toEqual([400, ['MANIFEST_INVALID']])
  })

  it('beyond the limit is refused, whether or not it says so at once', async () => {
    const body = JSON.stringify(await api.image({ annotations: { long: 'x'.repeat(10_000) } }))
    for (const streamed of [false, true]) {
      const headers = { 'Content-Type': ociManifest }
      const answer = await api.send('PUT', api.manifestPath('v1'), { headers, body, streamed })
      expect([answer.status, codesOf(answer)]).toEqual([413, ['SIZE_INVALID']])
    }
  })

  it('with a tag in the query that is none is refused as a whole', async () => {
    const { answer, digest } = await api.putManifest(await api.image(), { query: '?tag=good&tag=.bad' })
    expect(answer.status).toBe(400)
    for (const reference of [digest, 'good']) expect((await api.getManifest(reference)).status).toBe(404)
  })

  it('pushed by tag does not look at tags in the query', async () => {
    const { answer } = await api.putManifest(await api.image(), { reference: 'v1', query: '?tag=v2' })
    expect([answer.status, answer.headers['oci-tag']]).toEqual([201, undefined])
    expect((await api.getManifest('v2')).status).toBe(404)
  })
})

describe('a blob beyond the limit', () => {
  const tooLong = Buffer.alloc(maxBlobBytes + 1)

  it('is 413 at once when it says how long it is, and the client sees the answer', async () => {
    const location = await api.startUpload()
    const answers = [
      await api.finish(location, digestOf(tooLong), tooLong),
      await api.patch(location, tooLong, `0-${maxBlobBytes}`),
      await api.send('POST', `/v2/${api.repository}/blobs/uploads/?digest=${digestOf(tooLong)}`, { body: tooLong }),
    ]
    for (const answer of answers) expect([answer.status, codesOf(answer)]).toEqual([413, ['SIZE_INVALID']])
  })

  it('is refused before any of it comes', async () => {
    const location = await api.startUpload()
    const digest = digestOf(tooLong)
    for (const [method, path] of [
      ['POST', `/v2/${api.repository}/blobs/uploads/?digest=${digest}`],
      ['PATCH', location],
      ['PUT', `${location}?digest=${digest}`],
    ] as const) {
      const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${maxBlobBytes + 1}\r\n\r\n`
      expect(await early(head), method).toMatch(/^HTTP\/1.1 413 /)
    }
  })

  it('is 413 when it turns out to be, and the session stands where it stood', async () => {
    const location = await api.startUpload()
    await api.patch(location, randomBytes(10))
    const answer = await api.send('PATCH', location, { body: tooLong, streamed: true })
    expect(answer.status).toBe(413)
    expect((await api.get(location)).headers.range).toBe('0-9')
  })

  it('is 413 over several chunks too', async () => {
    const location = await api.startUpload()
    expect((await api.patch(location, Buffer.alloc(maxBlobBytes))).status).toBe(202)
    expect((await api.patch(location, Buffer.alloc(1))).status).toBe(413)
  })
})

describe('an upload that breaks off', () => {
  it('can go on where the last whole chunk ended', async () => {
    const bytes = randomBytes(300_000)
    const location = await api.startUpload()
    await api.patch(location, bytes.subarray(0, 100_000), '0-99999')
    const headers = { 'Content-Length': '200000', 'Content-Range': '100000-299999' }
    await abandon('PATCH', location, headers, bytes.subarray(100_000, 200_000))
    // While the server has not noticed yet, the session is taken.
    await waitFor('the rest to be taken', async () => {
      return (await api.patch(location, bytes.subarray(100_000), '100000-299999')).status === 202
    })
    expect((await api.finish(location, digestOf(bytes))).status).toBe(201)
    expect((await api.get(api.blobPath(digestOf(bytes)))).body).toEqual(bytes)
  })

  it('with PUT or a single POST leaves no blob', async () => {
    const bytes = randomBytes(300_000)
    const digest = digestOf(bytes)
    const location = await api.startUpload()
    const headers = { 'Content-Length': '300000' }
    await abandon('PUT', `${location}?digest=${digest}`, headers, bytes.subarray(0, 100_000))
    await abandon('POST', `/v2/${api.repository}/blobs/uploads/?digest=${digest}`, headers, bytes.subarray(0, 100_000))
    await waitFor('it to be taken', async () => (await api.patch(location, bytes, '0-299999')).status === 202)
    expect((await api.head(api.blobPath(digest))).status).toBe(404)
    expect((await api.finish(location, digest)).status).toBe(201)
  })
})

describe('a chunk', () => {
  it('that is longer or shorter than its Content-Range is refused, and the session stands', async () => {
    const location = await api.startUpload()
    for (const range of ['0-49', '0-199']) {
      for (const streamed of [false, true]) {
        const headers = { 'Content-Range': range }
        const answer = await api.send('PATCH', location, { headers, body: randomBytes(100), streamed })
        expect([answer.status, codesOf(answer)]).toEqual([400, ['SIZE_INVALID']])
      }
    }
    expect((await api.patch(location, randomBytes(100), '0-99')).headers.range).toBe('0-99')
  })

  it('that goes on past its Content-Range is refused there, and not read to its end', async () => {
    const location = await api.startUpload()
    const head = `PATCH ${location} HTTP/1.1\r\nHost: a\r\nContent-Range: 0-9\r\nTransfer-Encoding: chunked\r\n\r\n`
    expect(await early(`${head}b\r\n${'x'.repeat(11)}\r\n`)).toMatch(/^HTTP\/1.1 400 /)
  })

  it('out of order says where to go on', async () => {
    const location = await api.startUpload()
    await api.patch(location, randomBytes(100), '0-99')
    const answer = await api.patch(location, randomBytes(100), '50-149')
    expect([answer.status, answer.headers.range, locationOf(answer)]).toEqual([416, '0-99', location])
  })
})

describe('a manifest', () => {
  const head = (bytes: number) =>
    `PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: a\r\nContent-Type: ${ociManifest}\r\nContent-Length: ${bytes}\r\n\r\n`

  it('beyond the limit is 413, also when it does not say how long it is', async () => {
    const chunk = `${(8_000).toString(16)}\r\n${'x'.repeat(8_000)}\r\n`
    const chunked = `${head(0).replace('Content-Length: 0', 'Transfer-Encoding: chunked')}${chunk}${chunk}`
    const answer = raw(chunked)
    // What is left of the body is read away for a while, so that the client sees the answer.
    await waitFor('the deadline', () => (server.clock.nextInMs() ?? Infinity) <= 5_000)
    await server.clock.advance(5_000)
    expect(await answer).toMatch(/^HTTP\/1.1 413 [^]*10000 bytes/)
  })

  it('beyond the limit is refused before any of it comes, where it says how long it is', async () => {
    expect(await early(head(10_001))).toMatch(/^HTTP\/1.1 413 /)
  })

  it('that does not arrive in time is 408', async () => {
    const answer = raw(`${head(100)}{`)
    await waitFor('the deadline', () => (server.clock.nextInMs() ?? Infinity) <= 60_000)
    await server.clock.advance(60_000)
    expect(await answer).toMatch(/^HTTP\/1.1 408 [^]*within 1m 0s/)
  })
})

describe('what is left of a refused body', () => {
  const piece = Buffer.alloc(1024 * 1024)

  function refuse(body: Readable) {
    const said: string[] = []
    const request = Object.assign(body, { headers: {}, complete: false })
    const response = {
      writeHead: (status: number) => said.push(String(status)),
      write: () => said.push('body'),
      end: () => said.push('end'),
    }
    const done = sendRefusal(
      request as unknown as IncomingMessage,
      response as unknown as ServerResponse,
      refusal(413, 'SIZE_INVALID', 'too long'),
      new FakeClock(),
    )
    return { done, said }
  }

  it('is read away up to a bound, so that the client sees the answer, and then no more', async () => {
    let read = 0
    const endless = new Readable({
      read() {
        read += piece.length
        setImmediate(() => this.push(piece))
      },
    })
    const { done, said } = refuse(endless)
    await done
    expect(said).toEqual(['413', 'body', 'end'])
    expect(endless.isPaused()).toBe(true)
    expect(read).toBeGreaterThan(drainBytes)
    expect(read).toBeLessThan(drainBytes + 4 * piece.length)
  })

  it('is not waited for when the client goes away', async () => {
    const silent = new Readable({ read: () => undefined })
    const { done, said } = refuse(silent)
    silent.destroy()
    await done
    expect(said).toEqual(['413', 'body', 'end'])
  })
})

describe('bodies that are still arriving', () => {
  it('hold so much memory together, no more', () => {
    const memory = createBodyMemory(100)
    memory.take(60)
    expect(() => memory.take(41)).toThrow('too much is being received')
    memory.take(40)
    memory.give(40)
    memory.take(10)
  })

  it('give it back, whatever became of them', async () => {
    const bodies: number[] = []
    const clock = new FakeClock()
    const call = (chunks: string[]) =>
      ({
        options: { clock },
        exchange: {
          request: Object.assign(Readable.from(chunks.map((text) => Buffer.from(text))), { headers: {} }),
          signal: AbortSignal.timeout(9_000),
        },
        bodies: { take: (bytes: number) => bodies.push(bytes), give: (bytes: number) => bodies.push(-bytes) },
      }) as unknown as Call
    await readBody(call(['ab', 'c']), 10, 'it')
    await expect(readBody(call(['ab', 'cdefghijklm']), 10, 'it')).rejects.toThrow('it may have 10 bytes')
    expect(bodies).toEqual([2, 1, -3, 2, -2])
    expect(clock.nextInMs()).toBeUndefined()
  })
})

describe('an upload', () => {
  it('of another repository is unknown', async () => {
    const location = (await api.startUpload()).replace(api.repository, api.other)
    expect(codesOf(await api.get(location))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    expect(codesOf(await api.patch(location, randomBytes(1)))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
    expect(codesOf(await api.delete(location))).toEqual(['BLOB_UPLOAD_UNKNOWN'])
  })

  it('says where it stands from its beginning, and may end with bytes that do not say how many they are', async () => {
    const start = await api.send('POST', `/v2/${api.repository}/blobs/uploads/`, { body: '' })
    expect(start.headers.range).toBe('0-0')
    const bytes = randomBytes(100)
    const path = `${locationOf(start)}?digest=${digestOf(bytes)}`
    expect((await api.send('PUT', path, { body: bytes, streamed: true })).status).toBe(201)
  })

  it('that is unknown cannot be ended, with or without more bytes', async () => {
    const { pathname } = new URL(await api.startUpload(), server.url)
    await api.delete(pathname)
    for (const body of [undefined, randomBytes(1)]) {
      const answer = await api.send('PUT', `${pathname}?digest=${digestOf('x')}`, body && { body })
      expect([answer.status, codesOf(answer)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']])
    }
  })

  it('beyond the ceiling is 429 with Retry-After', async () => {
    const narrow = await startV2Server({ registryLimits: { maxUploads: 2 } })
    const other = new Api(narrow)
    for (let count = 0; count < 2; count++) await other.startUpload()
    const answer = await other.send('POST', `/v2/${other.repository}/blobs/uploads/`, { body: '' })
    expect([answer.status, codesOf(answer), answer.headers['retry-after']]).toEqual([429, ['TOOMANYREQUESTS'], '1'])
    expect(narrow.limited).toEqual(['max_uploads'])
    await narrow.close()
  })

  it('of a whole blob in one request counts as long as it goes on', async () => {
    const narrow = await startV2Server({ registryLimits: { maxUploads: 1 } })
    const other = new Api(narrow)
    const target = `/v2/${other.repository}/blobs/uploads/?digest=${digestOf('whole')}`
    const slow = httpRequest(`${narrow.url}${target}`, { method: 'POST', headers: { 'content-length': '5' } })
    const answered = once(slow, 'response')
    slow.write('who')
    const post = () => other.send('POST', target, { body: 'whole' })
    await waitFor('a refusal', async () => (await post()).status === 429)
    slow.end('le')
    await answered
    expect((await post()).status).toBe(201)
    await narrow.close()
  })

  it('with an algorithm that is not supported is refused at once', async () => {
    const answer = await api.send('POST', `/v2/${api.repository}/blobs/uploads/?digest-algorithm=md5`, { body: '' })
    expect([answer.status, codesOf(answer)]).toEqual([400, ['DIGEST_INVALID']])
  })
})
