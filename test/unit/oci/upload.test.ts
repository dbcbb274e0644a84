import { describe, expect, it } from 'vitest'
import { startSending } from '../../../src/oci/request-body.ts'
import { behindProxy } from '../../../src/oci/session.ts'
import { FakeClock } from '../../support/clock.ts'
import { IntegrityError, StorageError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { scriptedServer, type Received, type Script } from '../../support/scripted-server.ts'
import { waitFor } from '../../support/wait.ts'
import { blobOf, failureOf, piecesOf, testClient } from './setup.ts'

const blob = Buffer.from('0123456789abcdefghij')
const descriptor = blobOf(blob)
const start = 'POST /v2/acme/app/blobs/uploads/'
const open = () => piecesOf(blob)

async function setup(routes: Record<string, Script | Script[]>, limits = {}) {
  const server = await scriptedServer(routes)
  const t = testClient({ limits })
  return {
    ...t,
    server,
    repository: t.client.repository(`${server.host}/acme/app`),
    async [Symbol.asyncDispose]() {
      await t.client.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const at = (location: string, headers = {}): Script => ({ status: 202, headers: { location, ...headers } })

describe.each([
  ['in one piece', blob],
  ['as a stream', Buffer.concat(Array.from({ length: 1_000 }, () => blob))],
])('putBlob, %s', (_, blob) => {
  const descriptor = blobOf(blob)
  const open = () => piecesOf(blob)

  it('sends nothing that is there', async () => {
    await using t = await setup({
      [`HEAD /v2/acme/app/blobs/${descriptor.digest}`]: { headers: { 'content-length': String(blob.length) } },
    })
    await t.repository.putBlob(descriptor, open)
    expect(t.server.requests).toHaveLength(1)
  })

  it.each([201, 204])('appends the digest to the Location without touching it, and takes %i', async (status) => {
    await using t = await setup({ [start]: at('/upload/1?_state=a%2Fb+c%3D&x'), 'PUT /upload/1': { status } })
    await t.repository.putBlob(descriptor, open)
    expect(t.server.asked().slice(1)).toEqual([
      'POST /v2/acme/app/blobs/uploads/',
      `PUT /upload/1?_state=a%2Fb+c%3D&x&digest=${descriptor.digest}`,
    ])
    const put = t.server.requests.at(-1)!
    expect(put.body).toEqual(blob)
    expect(put.headers).toMatchObject({
      'content-length': String(blob.length),
      'content-type': 'application/octet-stream',
    })
  })

  it('takes a relative Location and one without a query', async () => {
    await using t = await setup({ [start]: at('session'), 'PUT /v2/acme/app/blobs/uploads/session': { status: 201 } })
    await t.repository.putBlob(descriptor, open)
    expect(t.server.asked().at(-1)).toBe(`PUT /v2/acme/app/blobs/uploads/session?digest=${descriptor.digest}`)
  })

  it('takes no credentials to a Location elsewhere (GHSA-whvf-jp7m-59f3)', async () => {
    await using storage = await scriptedServer({ 'PUT /up': { status: 201 } })
    const challenge = { status: 401, headers: { 'www-authenticate': 'Basic' } }
    const guarded: Script = ({ headers }: Received) =>
      headers.authorization === undefined ? challenge : { status: 202, headers: { location: `${storage.origin}/up` } }
    await using server = await scriptedServer({ [start]: guarded })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'secret' } } })
    await t.client.repository(`${server.host}/acme/app`).putBlob(descriptor, open)
    expect(storage.requests[0]!.headers.authorization).toBeUndefined()
    expect(storage.requests[0]!.body).toEqual(blob)
  })

  it('begins again with a new session, and cancels the old one', async () => {
    await using t = await setup({
      [start]: [at('/up/1'), at('/up/2')],
      'PUT /up/1': { status: 503 },
      'DELETE /up/1': { status: 204 },
      'PUT /up/2': { status: 201 },
    })
    await t.run(t.repository.putBlob(descriptor, open))
    expect(t.server.asked().map((line) => line.split('?')[0])).toEqual([
      `HEAD /v2/acme/app/blobs/${descriptor.digest}`,
      start,
      'PUT /up/1',
      'DELETE /up/1',
      `HEAD /v2/acme/app/blobs/${descriptor.digest}`,
      start,
      'PUT /up/2',
    ])
    expect(t.server.requests.at(-1)!.body).toEqual(blob)
  })

  it('does not wait for an hour', async () => {
    const busy = { status: 503, headers: { 'retry-after': '3600' } }
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': busy })
    expect(await failureOf(t.repository.putBlob(descriptor, open))).toMatchObject({ status: 503 })
    expect(t.server.asked().filter((line) => line.startsWith('PUT'))).toHaveLength(1)
  })

  it('does not send again what got there though the answer was lost', async () => {
    await using t = await setup({
      [`HEAD /v2/acme/app/blobs/${descriptor.digest}`]: [
        { status: 404 },
        { headers: { 'content-length': String(blob.length) } },
      ],
      [start]: at('/up/1'),
      'PUT /up/1': { drop: true },
    })
    await t.run(t.repository.putBlob(descriptor, open))
    expect(t.server.asked().filter((line) => line.startsWith('PUT'))).toHaveLength(1)
  })

  it('never completes an upload whose source is not what it should be', async () => {
    let completed = 0
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': () => (completed++, { status: 201 }) })
    const wrong = () => piecesOf(Buffer.concat([blob.subarray(1), Buffer.from('X')]))
    expect(await failureOf(t.repository.putBlob(descriptor, wrong))).toMatchObject({ code: 'digest_mismatch' })
    expect(completed).toBe(0)
    expect(t.server.asked().at(-1)).toBe('DELETE /up/1')
  })

  it('says what the source said, and does not blame the line', async () => {
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': { status: 201 } })
    // eslint-disable-next-line require-yield
    const broken = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
      throw new StorageError('io', 'the disk is gone')
    }
    expect(await failureOf(t.repository.putBlob(descriptor, broken))).toMatchObject({
      name: 'StorageError',
      message: 'the disk is gone',
    })
  })

  it('does not take a failure of the source for one of the line, and does not try again', async () => {
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': { status: 201 } })
    let opened = 0
    const broken = async function* () {
      opened++
      yield blob.subarray(0, 4)
      throw Object.assign(new Error('the source was reset'), { code: 'ECONNRESET' })
    }
    expect(await failureOf(t.repository.putBlob(descriptor, broken))).toMatchObject({ message: 'the source was reset' })
    expect(opened).toBe(1)
  })

  it('ends an upload of which the registry takes no more', async () => {
    const clock = new FakeClock()
    const big = Buffer.alloc(1024 * 1024)
    let reason: Error | undefined
    const sending = startSending(
      { open: () => piecesOf(big, 256 * 1024), size: big.length },
      { clock, host: 'reg', what: 'push it', stallMs: 30_000, commitMs: 300_000, abort: (error) => (reason = error) },
    )
    for await (const _chunk of sending.readable.iterator({ destroyOnReturn: false })) break
    await clock.advance(29_999)
    expect(reason).toBeUndefined()
    await clock.advance(1)
    expect(reason).toMatchObject({ code: 'timeout', retryable: true })
    sending.readable.destroy()
  })

  it('understands a registry that does not know that it is behind TLS', () => {
    const own = 'https://reg.example'
    expect(behindProxy('http://reg.example/up?a=%2F', own)).toBe('https://reg.example/up?a=%2F')
    expect(behindProxy('http://reg.example:80/up', own)).toBe('https://reg.example/up')
    for (const other of ['http://reg.example.evil.com/up', 'http://reg.example:8080/up', '/up', undefined]) {
      expect(behindProxy(other, own)).toBe(other)
    }
  })

  it('cancels the session when the caller gives up', async () => {
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': { hang: true }, 'DELETE /up/1': { status: 204 } })
    const aborter = new AbortController()
    const work = failureOf(t.repository.putBlob(descriptor, open, aborter.signal))
    await waitFor('the upload to be under way', () => t.server.asked().some((asked) => asked.startsWith('PUT /up/1')))
    aborter.abort(new Error('enough'))
    expect((await work).message).toBe('enough')
    expect(t.server.asked().at(-1)).toBe('DELETE /up/1')
  })

  it('ends an upload that the registry does not answer', async () => {
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': { hang: true } }, { commitMs: 1000, tries: 1 })
    const work = failureOf(t.repository.putBlob(descriptor, open))
    await waitFor('the upload to be there', () => t.server.asked().some((asked) => asked.startsWith('PUT /up/1')))
    await t.clock.advance(1000)
    expect(await work).toMatchObject({ code: 'timeout' })
  })

  it('sends an empty blob', async () => {
    await using t = await setup({ [start]: at('/up/1'), 'PUT /up/1': { status: 201 } })
    await t.repository.putBlob(blobOf(''), () => piecesOf(Buffer.alloc(0)))
    expect(t.server.requests.at(-1)!.headers['content-length']).toBe('0')
  })

  it('refuses a registry that stored something else', async () => {
    await using t = await setup({
      [start]: at('/up/1'),
      'PUT /up/1': { status: 201, headers: { 'docker-content-digest': digestOf('x') } },
    })
    expect(await failureOf(t.repository.putBlob(descriptor, open))).toBeInstanceOf(IntegrityError)
  })
})

describe('chunks', () => {
  const tooBig = { status: 413 }
  const took = (location: string, last: number): Script => ({ status: 202, headers: { location, range: `0-${last}` } })

  it('are sent where one piece is too much, and end with the digest', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2')],
        'PUT /up/1': tooBig,
        'PATCH /up/2': took('/up/3?s=1', 7),
        'PATCH /up/3': [took('/up/3?s=2', 15), took('/up/4?s=3', 19)],
        'PUT /up/4': { status: 201 },
      },
      { chunkBytes: 8 },
    )
    await t.repository.putBlob(descriptor, open)
    const patches = t.server.requests.filter(({ method }) => method === 'PATCH')
    expect(patches.map(({ body, headers }) => [body.toString(), headers['content-range']])).toEqual([
      ['01234567', '0-7'],
      ['89abcdef', '8-15'],
      ['ghij', '16-19'],
    ])
    expect(t.server.asked().at(-1)).toBe(`PUT /up/4?s=3&digest=${descriptor.digest}`)
  })

  it('end when the registry does not say that it has stored them', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2')],
        'PUT /up/1': tooBig,
        'PATCH /up/2': { status: 202 },
        'PUT /up/2': { hang: true },
      },
      { commitMs: 1000, tries: 1 },
    )
    const work = failureOf(t.repository.putBlob(descriptor, open))
    await waitFor('the end to be there', () => t.server.asked().some((asked) => asked.startsWith('PUT /up/2')))
    await t.clock.advance(1000)
    expect(await work).toMatchObject({ code: 'timeout' })
  })

  it('are at least as big as the registry wants', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2', { 'oci-chunk-min-length': '15' })],
        'PUT /up/1': tooBig,
        'PATCH /up/2': { status: 202 },
        'PUT /up/2': { status: 201 },
      },
      { chunkBytes: 8 },
    )
    await t.repository.putBlob(descriptor, open)
    expect(t.server.requests.filter(({ method }) => method === 'PATCH').map(({ body }) => body.length)).toEqual([15, 5])
  })

  it('are never bigger than what may be held, whatever the registry wants', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2', { 'oci-chunk-min-length': '999999999999' })],
        'PUT /up/1': tooBig,
        'PATCH /up/2': { status: 202 },
        'PUT /up/2': { status: 201 },
      },
      { chunkBytes: 4, chunkMaxBytes: 16 },
    )
    await t.repository.putBlob(descriptor, open)
    expect(t.server.requests.filter(({ method }) => method === 'PATCH').map(({ body }) => body.length)).toEqual([16, 4])
  })

  it('are not completed when the source is not what it should be', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2')],
        'PUT /up/1': tooBig,
        'PATCH /up/2': { status: 202 },
        'PUT /up/2': { status: 201 },
      },
      { chunkBytes: 8 },
    )
    let opened = 0
    const changing = () => piecesOf(opened++ === 0 ? blob : Buffer.from('0123456789abcdefghiX'))
    expect(await failureOf(t.repository.putBlob(descriptor, changing))).toMatchObject({ code: 'digest_mismatch' })
    expect(t.server.asked().filter((line) => line.startsWith('PUT /up/2'))).toEqual([])
    expect(t.server.asked().at(-1)).toBe('DELETE /up/2')
  })

  it('end when the registry and we never agree', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2')],
        'PUT /up/1': tooBig,
        'PATCH /up/2': { status: 416 },
        'GET /up/2': { status: 204, headers: { range: '0-3', location: '/up/2' } },
      },
      { chunkBytes: 8, tries: 3 },
    )
    expect(await failureOf(t.run(t.repository.putBlob(descriptor, open)))).toMatchObject({ code: 'protocol' })
    expect(t.server.asked().filter((line) => line.startsWith('PATCH'))).toHaveLength(3)
  })

  it('go on from where the upload stands after a 416', async () => {
    await using t = await setup(
      {
        [start]: [at('/up/1'), at('/up/2')],
        'PUT /up/1': tooBig,
        'PATCH /up/2': [took('/up/2', 7), { status: 416 }, took('/up/2', 11), took('/up/2', 19)],
        'GET /up/2': { status: 204, headers: { range: '0-3', location: '/up/2' } },
        'PUT /up/2': { status: 201 },
      },
      { chunkBytes: 8 },
    )
    await t.repository.putBlob(descriptor, open)
    const patches = t.server.requests.filter(({ method }) => method === 'PATCH')
    expect(patches.map(({ headers }) => headers['content-range'])).toEqual(['0-7', '8-15', '4-11', '12-19'])
    expect(patches.at(-1)!.body.toString()).toBe('cdefghij')
  })
})

describe('mountBlob', () => {
  const mount = 'POST /v2/acme/app/blobs/uploads/'

  it('takes a blob from another repository of the same registry', async () => {
    await using t = await setup({ [mount]: { status: 201 } })
    const from = t.client.repository(`${t.server.host}/acme/base`)
    expect(await t.repository.mountBlob(descriptor, from)).toBe(true)
    expect(t.server.asked()).toEqual([`${mount}?mount=${descriptor.digest}&from=acme%2Fbase`])
  })

  it('asks for the right to pull from the other one', async () => {
    await using t = await setup({})
    t.server.on(mount, (request) =>
      request.headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': `Bearer realm="${t.server.origin}/token"` } }
        : { status: 201 },
    )
    t.server.on('GET /token', { body: '{"token":"good"}' })
    await t.repository.mountBlob(descriptor, t.client.repository(`${t.server.host}/acme/base`))
    const asked = t.server.requests.find(({ url }) => url.startsWith('/token'))!
    expect(new URL(asked.url, 'http://x').searchParams.getAll('scope')).toEqual([
      'repository:acme/app:pull,push',
      'repository:acme/base:pull',
    ])
  })

  it('uses the session that it got instead', async () => {
    await using t = await setup({ [mount]: at('/up/offered'), 'PUT /up/offered': { status: 201 } })
    const from = t.client.repository(`${t.server.host}/acme/base`)
    expect(await t.repository.mountBlob(descriptor, from)).toBe(false)
    await t.repository.putBlob(descriptor, open)
    expect(t.server.asked()).toEqual([
      `${mount}?mount=${descriptor.digest}&from=acme%2Fbase`,
      `PUT /up/offered?digest=${descriptor.digest}`,
    ])
  })

  it('says that it was limited rather than sending what could be had', async () => {
    await using t = await setup({ [mount]: { status: 429 } }, { tries: 1 })
    const from = t.client.repository(`${t.server.host}/acme/base`)
    expect(await failureOf(t.repository.mountBlob(descriptor, from))).toMatchObject({ code: 'rate_limited' })
  })

  it('takes nothing from itself', async () => {
    await using t = await setup({
      [`HEAD /v2/acme/app/blobs/${descriptor.digest}`]: [{ status: 404 }, { status: 200 }],
    })
    const self = t.client.repository(t.repository.name)
    expect(await t.repository.mountBlob(descriptor, self)).toBe(false)
    expect(await t.repository.mountBlob(descriptor, self)).toBe(true)
    expect(t.server.asked().filter((line) => line.startsWith('POST'))).toEqual([])
  })

  it('opens another session when the one that it got has ended', async () => {
    await using t = await setup({
      [mount]: [at('/up/gone'), at('/up/2')],
      'PUT /up/gone': { status: 404 },
      'PUT /up/2': { status: 201 },
    })
    await t.repository.mountBlob(descriptor, t.client.repository(`${t.server.host}/acme/base`))
    await t.repository.putBlob(descriptor, open)
    expect(t.server.asked().at(-1)).toContain('PUT /up/2')
  })

  it('leaves the copying to the caller where it cannot', async () => {
    await using t = await setup({ [mount]: { status: 405 } })
    expect(await t.repository.mountBlob(descriptor, t.client.repository(`${t.server.host}/acme/base`))).toBe(false)
    const elsewhere = t.client.repository('other.example/acme/app')
    const before = t.server.requests.length
    expect(await t.repository.mountBlob(descriptor, elsewhere)).toBe(false)
    expect(t.server.requests).toHaveLength(before)
  })
})

describe('hasBlob', () => {
  const path = `/v2/acme/app/blobs/${descriptor.digest}`

  it.each([
    ['is there', { headers: { 'content-length': '20' } }, true],
    ['is not there', { status: 404 }, false],
    ['has another size', { headers: { 'content-length': '21' } }, false],
  ])('says whether it %s', async (_what, reply, there) => {
    await using t = await setup({ [`HEAD ${path}`]: reply })
    expect(await t.repository.hasBlob(descriptor)).toBe(there)
  })

  it('asks for one byte when storage refuses a HEAD', async () => {
    await using storage = await scriptedServer({
      'HEAD /signed': { status: 403 },
      'GET /signed': { status: 206, body: '0' },
    })
    const away = { status: 307, headers: { location: `${storage.origin}/signed` } }
    await using t = await setup({ [`HEAD ${path}`]: away, [`GET ${path}`]: away })
    expect(await t.repository.hasBlob(descriptor)).toBe(true)
    expect(storage.requests.at(-1)!.headers.range).toBe('bytes=0-0')
  })

  it.each(['sha256:../../x', 'md5:d41d8cd98f00b204e9800998ecf8427e'])(
    'never asks for %s (CVE-2024-3727)',
    async (digest) => {
      await using t = await setup({})
      expect(await failureOf(t.repository.hasBlob({ ...descriptor, digest: digest as never }))).toMatchObject({
        code: 'bad_manifest',
      })
      expect(t.server.requests).toHaveLength(0)
    },
  )
})
