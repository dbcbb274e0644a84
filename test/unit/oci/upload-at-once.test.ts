// A small blob of which nobody knows whether it is there: with the first request where the registry takes that, else as any other.
import { describe, expect, it } from 'vitest'
import { IntegrityError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { scriptedServer, type Script } from '../../support/scripted-server.ts'
import { blobOf, failureOf, piecesOf, testClient } from './setup.ts'

const [first, second] = [Buffer.from('0123456789abcdefghij'), Buffer.from('another one')]
const start = 'POST /v2/acme/app/blobs/uploads/'
const session = (location: string): Script => ({ status: 202, headers: { location } })

async function setup(routes: Record<string, Script | Script[]>) {
  const server = await scriptedServer(routes)
  const t = testClient()
  const repository = t.client.repository(`${server.host}/acme/app`)
  return {
    server,
    clock: t.clock,
    put: (bytes: Buffer) =>
      t.run(repository.putBlob(blobOf(bytes), () => piecesOf(bytes), undefined, { unasked: true })),
    /** What was asked, with the query only where it is that of a start. */
    asked: () => server.asked().map((line) => (line.startsWith('POST') ? line : line.split('?')[0])),
    async [Symbol.asyncDispose]() {
      await t.client.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

const withDigest = (bytes: Buffer) => `${start}?digest=${digestOf(bytes)}`

describe('a blob that goes unasked', () => {
  it('takes one request where the registry stores what comes with it', async () => {
    await using t = await setup({ [start]: { status: 201 } })
    await t.put(first)
    await t.put(second)
    expect(t.asked()).toEqual([withDigest(first), withDigest(second)])
    expect(t.server.requests.map(({ body }) => body)).toEqual([first, second])
    expect(t.server.requests[0]!.headers).toMatchObject({
      'content-length': String(first.length),
      'content-type': 'application/octet-stream',
    })
  })

  it('goes into the session that was opened instead, and the next ones as any other', async () => {
    await using t = await setup({
      [start]: [session('/up/1'), session('/up/2')],
      'PUT /up/1': { status: 201 },
      'PUT /up/2': { status: 201 },
    })
    await t.put(first)
    await t.put(second)
    expect(t.asked()).toEqual([withDigest(first), 'PUT /up/1', start, 'PUT /up/2'])
    expect(t.server.requests.map(({ body }) => body.toString())).toEqual([
      String(first),
      String(first),
      '',
      String(second),
    ])
  })

  it.each([400, 404, 405, 413, 415, 501])(
    'goes as any other where that is refused with %i, and so do the next ones',
    async (status) => {
      await using t = await setup({ [start]: [{ status }, session('/up/1')], 'PUT /up/1': { status: 201 } })
      await t.put(first)
      await t.put(second)
      expect(t.asked()).toEqual([withDigest(first), start, 'PUT /up/1', start, 'PUT /up/1'])
    },
  )

  it.each([
    ['503', { status: 503 }],
    ['a line that was cut', { drop: true }],
  ])('goes as any other after %s, but the next one is tried again', async (_, failure) => {
    await using t = await setup({ [start]: [failure, session('/up/1'), { status: 201 }], 'PUT /up/1': { status: 201 } })
    await t.put(first)
    await t.put(second)
    expect(t.asked()).toEqual([withDigest(first), start, 'PUT /up/1', withDigest(second)])
  })

  it('waits as long as the registry wants after a 429', async () => {
    const busy = { status: 429, headers: { 'retry-after': '7' } }
    await using t = await setup({ [start]: [busy, session('/up/1')], 'PUT /up/1': { status: 201 } })
    await t.put(first)
    expect(t.asked()).toEqual([withDigest(first), start, 'PUT /up/1'])
    expect(t.clock.monotonic()).toBeGreaterThanOrEqual(7_000)
  })

  it('goes into a new session where the one that was opened has its bytes already', async () => {
    await using t = await setup({
      [start]: [session('/up/1'), session('/up/2')],
      'PUT /up/1': { status: 400 },
      'DELETE /up/1': { status: 204 },
      'PUT /up/2': { status: 201 },
    })
    await t.put(first)
    expect(t.asked()).toEqual([withDigest(first), 'PUT /up/1', 'DELETE /up/1', start, 'PUT /up/2'])
  })

  it('is refused where something else was stored', async () => {
    await using t = await setup({ [start]: { status: 201, headers: { 'docker-content-digest': digestOf('x') } } })
    expect(await failureOf(t.put(first))).toBeInstanceOf(IntegrityError)
  })

  it('never leaves when it is not what it should be', async () => {
    await using server = await scriptedServer({ [start]: { status: 201 } })
    await using t = testClient()
    const wrong = () => piecesOf(Buffer.from('0123456789abcdefghiX'))
    const work = t.client
      .repository(`${server.host}/acme/app`)
      .putBlob(blobOf(first), wrong, undefined, { unasked: true })
    expect(await failureOf(work)).toMatchObject({ code: 'digest_mismatch' })
    expect(server.requests).toEqual([])
  })

  it('ends when the caller gives up, with nothing sent after it', async () => {
    const aborter = new AbortController()
    const gone = () => (aborter.abort(new Error('enough')), { status: 400 })
    await using server = await scriptedServer({ [start]: gone })
    await using t = testClient()
    const options = { unasked: true }
    const work = t.client
      .repository(`${server.host}/acme/app`)
      .putBlob(blobOf(first), () => piecesOf(first), aborter.signal, options)
    expect((await failureOf(work)).message).toBe('enough')
    expect(server.requests).toHaveLength(1)
  })
})
