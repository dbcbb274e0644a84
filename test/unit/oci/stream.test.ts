import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Limits } from '../../../src/oci/limits.ts'
import { verified } from '../../../src/oci/stream.ts'
import { scriptedServer, type Script } from '../../support/scripted-server.ts'
import { blobOf, bytesOf, failureOf, piecesOf, testClient } from './setup.ts'

const blob = Buffer.from('0123456789abcdefghij')
const descriptor = blobOf(blob)
const path = `/v2/acme/app/blobs/${descriptor.digest}`

/** A registry that honours Range. */
const ranged: Script = ({ headers }) => {
  const from = Number(/^bytes=(\d+)-19$/.exec(headers.range ?? '')?.[1])
  return { status: 206, body: blob.subarray(from), headers: { 'content-range': `bytes ${from}-19/20` } }
}

function fetch(...replies: Script[]) {
  return fetchWithin({}, ...replies)
}

async function fetchWithin(limits: Partial<Limits>, ...replies: Script[]) {
  const server = await scriptedServer({ [`GET ${path}`]: replies })
  const t = testClient({ limits })
  const got = t.run(bytesOf(t.client.repository(`${server.host}/acme/app`).blob(descriptor)))
  return {
    got,
    ranges: () => server.requests.map(({ headers }) => headers.range),
    async [Symbol.asyncDispose]() {
      await t.client.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

describe('verified', () => {
  it('passes on what is right, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), async (bytes, size) => {
        const got = await bytesOf(verified(piecesOf(bytes, size), blobOf(bytes), 'it'))
        expect(got.equals(bytes)).toBe(true)
      }),
    )
  })

  it.each([
    ['other bytes', Buffer.from('0123456789abcdefghiX'), 'digest_mismatch'],
    ['too few', blob.subarray(0, 19), 'size_mismatch'],
    ['trailing bytes', Buffer.concat([blob, Buffer.from('x')]), 'size_mismatch'],
  ])('refuses %s, and never gives all of them away', async (_what, bytes, code) => {
    let received = 0
    const read = async () => {
      for await (const chunk of verified(piecesOf(bytes), descriptor, 'it')) received += chunk.length
    }
    expect(await failureOf(read())).toMatchObject({ name: 'IntegrityError', code })
    expect(received).toBeLessThan(20)
  })

  it('verifies sha512 too', async () => {
    const wide = { ...descriptor, digest: digestOf(blob, 'sha512') }
    expect(await bytesOf(verified(piecesOf(blob), wide, 'it'))).toEqual(blob)
    expect(await failureOf(bytesOf(verified(piecesOf(Buffer.from('1123456789abcdefghij')), wide, 'it')))).toMatchObject(
      { code: 'digest_mismatch' },
    )
  })
})

describe('downloads', () => {
  it('go on where the line was cut', async () => {
    await using d = await fetch({ body: blob, cutAfter: 7 }, ranged)
    expect(await d.got).toEqual(blob)
    expect(d.ranges()).toEqual([undefined, 'bytes=7-19'])
  })

  it('go on more than once', async () => {
    const cut = { status: 206, body: blob.subarray(7), headers: { 'content-range': 'bytes 7-19/20' }, cutAfter: 3 }
    await using d = await fetch({ body: blob, cutAfter: 7 }, cut, ranged)
    expect(await d.got).toEqual(blob)
    expect(d.ranges()).toEqual([undefined, 'bytes=7-19', 'bytes=10-19'])
  })

  it('pass over what they have when the registry begins again', async () => {
    await using d = await fetch({ body: blob, cutAfter: 7 }, { body: blob, cutAfter: 12 }, { body: blob })
    expect(await d.got).toEqual(blob)
  })

  it('refuse a 206 that begins elsewhere', async () => {
    const wrong = { status: 206, body: blob.subarray(8), headers: { 'content-range': 'bytes 8-19/20' } }
    await using d = await fetch({ body: blob, cutAfter: 7 }, wrong)
    expect(await failureOf(d.got)).toMatchObject({ code: 'protocol' })
  })

  it('refuse a 206 of something with another size', async () => {
    const wrong = { status: 206, body: blob.subarray(7), headers: { 'content-range': 'bytes 7-19/21' } }
    await using d = await fetch({ body: blob, cutAfter: 7 }, wrong)
    expect(await failureOf(d.got)).toMatchObject({ code: 'protocol' })
  })

  it('refuse a 206 that ends too early', async () => {
    const wrong = { status: 206, body: blob.subarray(7, 12), headers: { 'content-range': 'bytes 7-11/20' } }
    await using d = await fetch({ body: blob, cutAfter: 7 }, wrong)
    expect(await failureOf(d.got)).toMatchObject({ code: 'protocol' })
  })

  it('hash over the cut: other bytes after it are not taken, nor asked for again', async () => {
    const other = { status: 206, body: '789abcdefghiX', headers: { 'content-range': 'bytes 7-19/20' } }
    await using d = await fetch({ body: blob, cutAfter: 7 }, other)
    expect(await failureOf(d.got)).toMatchObject({ name: 'IntegrityError', code: 'digest_mismatch' })
    expect(d.ranges()).toEqual([undefined, 'bytes=7-19'])
  })

  it('come to an end with a registry that gives a byte at a time', async () => {
    const drip: Script = ({ headers }) => {
      const from = Number(/^bytes=(\d+)-19$/.exec(headers.range ?? '')?.[1] ?? 0)
      const range = { 'content-range': `bytes ${from}-19/20` }
      return { status: from === 0 ? 200 : 206, body: blob.subarray(from), headers: range, cutAfter: 1 }
    }
    await using d = await fetchWithin({ resumes: 5 }, drip)
    expect(await failureOf(d.got)).toMatchObject({ code: 'network' })
    expect(d.ranges()).toHaveLength(6)
  })

  it('ask the registry again, not the storage that it redirected to', async () => {
    await using storage = await scriptedServer({ 'GET /a': { body: blob, cutAfter: 7 }, 'GET /b': ranged })
    const to = (where: string) => ({ status: 307, headers: { location: `${storage.origin}${where}` } })
    await using d = await fetch(to('/a'), to('/b'))
    expect(await d.got).toEqual(blob)
    expect(storage.asked()).toEqual(['GET /a', 'GET /b'])
    expect(storage.requests[1]!.headers.range).toBe('bytes=7-19')
  })

  it('notice an end without a length that came too early', async () => {
    const early = { body: blob.subarray(0, 7), headers: { 'content-length': [], 'transfer-encoding': 'chunked' } }
    await using d = await fetch(early, ranged)
    expect(await d.got).toEqual(blob)
  })

  it('give up when nothing more comes', async () => {
    await using d = await fetch(
      { body: blob, cutAfter: 7 },
      { status: 206, body: blob.subarray(7), headers: { 'content-range': 'bytes 7-19/20' }, cutAfter: 0 },
    )
    expect(await failureOf(d.got)).toMatchObject({ code: 'network', retryable: true })
    expect(d.ranges().length).toBeLessThanOrEqual(6)
  })

  it.each([
    ['other bytes', Buffer.from('0123456789abcdefghiX'), 'digest_mismatch'],
    ['too few bytes', blob.subarray(0, 7), 'size_mismatch'],
    ['too many bytes', Buffer.concat([blob, blob]), 'size_mismatch'],
  ])('do not try again what came as %s', async (_what, body, code) => {
    await using d = await fetch({ body })
    expect(await failureOf(d.got)).toMatchObject({ name: 'IntegrityError', code })
    expect(d.ranges()).toHaveLength(1)
  })
})
