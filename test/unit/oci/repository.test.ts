import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { hasSpecCode } from '../../../src/oci/errors.ts'
import { dockerSchema1Signed, ociIndex, ociManifest } from '../../../src/oci/media.ts'
import { nextLink } from '../../../src/oci/link.ts'
import { referrersTag } from '../../../src/oci/referrers.ts'
import type { RawManifest } from '../../../src/oci/target.ts'
import { scriptedServer, type Script } from '../../support/scripted-server.ts'
import { failureOf, manifestOf, manifestReply, testClient } from './setup.ts'

const manifest = manifestOf()
const path = '/v2/acme/app/manifests/v1'

async function setup(routes: Record<string, Script | Script[]>) {
  const server = await scriptedServer(routes)
  const t = testClient({ limits: { tries: 2, pages: 5 } })
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

describe('repository', () => {
  it('has one name for Docker Hub, and none for what cannot be asked for', async () => {
    await using t = testClient()
    expect(t.client.repository('alpine').name).toBe('docker.io/library/alpine')
    expect(t.client.repository({ host: 'Index.docker.io', repository: 'a/b' }).host).toBe('docker.io')
    for (const wrong of [
      { host: 'ghcr.io', repository: '../x' },
      { host: 'a b', repository: 'x' },
    ]) {
      expect(() => t.client.repository(wrong)).toThrow(expect.objectContaining({ name: 'ConfigError' }) as Error)
    }
  })
})

describe('head', () => {
  it.each([
    ['there is no digest in the headers', { headers: { 'content-type': ociManifest, 'content-length': '9' } }],
    ['the digest is none', manifestReply(manifest, { 'docker-content-digest': '../x' })],
    ['HEAD is not allowed', { status: 405 }],
  ])('fetches and hashes where %s', async (_what, reply) => {
    await using t = await setup({ [`HEAD ${path}`]: reply, [`GET ${path}`]: manifestReply(manifest) })
    expect(await t.repository.head('v1')).toEqual({
      mediaType: ociManifest,
      digest: manifest.digest,
      size: manifest.bytes.length,
    })
    expect(t.server.asked()).toEqual([`HEAD ${path}`, `GET ${path}`])
  })

  it('fetches once, not each time, when a registry tells the digest but not the size', async () => {
    await using server = await scriptedServer({
      [`HEAD ${path}`]: { headers: { 'content-type': ociManifest, 'docker-content-digest': manifest.digest } },
      [`GET ${path}`]: manifestReply(manifest),
    })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    const first = await repository.head('v1')
    expect(first).toEqual({ mediaType: ociManifest, digest: manifest.digest, size: manifest.bytes.length })
    expect(await repository.head('v1')).toEqual(first)
    expect(server.asked()).toEqual([`HEAD ${path}`, `GET ${path}`, `HEAD ${path}`])
  })

  it('does not remember all that it ever fetched for that', async () => {
    const manifests = Array.from({ length: 101 }, (_, at) => manifestOf({ annotations: { at: String(at) } }))
    await using server = await scriptedServer()
    for (const [at, raw] of manifests.entries()) {
      const told = { headers: { 'content-type': ociManifest, 'docker-content-digest': raw.digest } }
      server.on(`HEAD /v2/acme/app/manifests/v${at}`, told)
      server.on(`GET /v2/acme/app/manifests/v${at}`, manifestReply(raw))
    }
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    for (const at of manifests.keys()) await repository.head(`v${at}`)
    await repository.head('v0')
    expect(server.asked().filter((line) => line === 'GET /v2/acme/app/manifests/v0')).toHaveLength(2)
    await repository.head('v100')
    expect(server.asked().filter((line) => line === 'GET /v2/acme/app/manifests/v100')).toHaveLength(1)
  })

  it('fetches when storage refuses a HEAD for a URL signed for GET', async () => {
    await using storage = await scriptedServer({
      'HEAD /signed': { status: 403 },
      'GET /signed': manifestReply(manifest),
    })
    const away = { status: 307, headers: { location: `${storage.origin}/signed` } }
    await using t = await setup({ [`HEAD ${path}`]: away, [`GET ${path}`]: away })
    expect((await t.repository.head('v1'))?.digest).toBe(manifest.digest)
  })

  it('takes a 403 of the registry itself for an answer', async () => {
    await using t = await setup({ [`HEAD ${path}`]: { status: 403 } })
    expect(await failureOf(t.repository.head('v1'))).toMatchObject({ code: 'denied' })
    expect(t.server.requests).toHaveLength(1)
  })

  it('refuses a registry that names another digest than the one asked for', async () => {
    const other = digestOf('other')
    await using t = await setup({ [`HEAD /v2/acme/app/manifests/${other}`]: manifestReply(manifest) })
    expect(await failureOf(t.repository.head(other))).toMatchObject({ code: 'digest_mismatch' })
  })

  it.each(['../x', 'a/b', '', 'v1?x', 'sha256:00', 'a b'])('never asks for %j (CVE-2024-3727)', async (reference) => {
    await using t = await setup({})
    expect(await failureOf(t.repository.head(reference))).toMatchObject({ name: 'ConfigError' })
    expect(t.server.requests).toHaveLength(0)
  })
})

describe('manifest', () => {
  it('gives the bytes as they came', async () => {
    const odd = `{ "schemaVersion":2,\n "config":${JSON.stringify({ mediaType: 'a/b', digest: digestOf('{}'), size: 2 })}, "layers":[], "future":1e2 }`
    const raw: RawManifest = { mediaType: ociManifest, bytes: Buffer.from(odd), digest: digestOf(odd) }
    await using t = await setup({
      [`GET ${path}`]: manifestReply(raw, { 'content-type': `${ociManifest}; charset=utf-8` }),
    })
    expect(await t.repository.manifest('v1')).toEqual(raw)
  })

  it('refuses bytes that are not what was asked for', async () => {
    const other = digestOf('other')
    await using t = await setup({
      [`GET /v2/acme/app/manifests/${other}`]: { body: manifest.bytes, headers: { 'content-type': ociManifest } },
    })
    expect(await failureOf(t.repository.manifest(other))).toMatchObject({ code: 'digest_mismatch' })
    expect(t.server.requests).toHaveLength(1)
  })

  it('refuses bytes that are not what the headers say', async () => {
    await using t = await setup({
      [`GET ${path}`]: manifestReply(manifest, { 'docker-content-digest': digestOf('x') }),
    })
    expect(await failureOf(t.repository.manifest('v1'))).toMatchObject({ code: 'digest_mismatch' })
  })

  it('hashes with the algorithm asked for', async () => {
    const digest = digestOf(manifest.bytes, 'sha512')
    await using t = await setup({ [`GET /v2/acme/app/manifests/${digest}`]: manifestReply(manifest) })
    expect((await t.repository.manifest(digest)).digest).toBe(digest)
  })

  it.each([
    ['a page', { body: '<html>', headers: { 'content-type': 'text/html' } }, 'protocol'],
    ['schema 1', { body: '{}', headers: { 'content-type': dockerSchema1Signed } }, 'unsupported'],
    ['another type than its own (CVE-2021-41190)', manifestReply({ ...manifest, mediaType: ociIndex }), 'bad_manifest'],
    [
      'more than 4 MiB',
      { body: 'x'.repeat(4 * 1024 * 1024 + 1), headers: { 'content-type': ociManifest } },
      'size_mismatch',
    ],
    ['404', { status: 404 }, 'not_found'],
  ])('refuses %s', async (_what, reply, code) => {
    await using t = await setup({ [`GET ${path}`]: reply })
    expect(await failureOf(t.repository.manifest('v1'))).toMatchObject({ code })
  })
})

describe('lists', () => {
  const list = (tags: unknown, link?: string): Script => ({
    body: JSON.stringify({ name: 'acme/app', tags }),
    headers: { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) },
  })

  it('follows the links as they are, and sorts', async () => {
    await using t = await setup({
      'GET /v2/acme/app/tags/list': list(['v10', 'v9'], '</v2/acme/app/tags/list?last=v9&x=%2F>; rel="next"'),
      'GET /v2/acme/app/tags/list?last=v9&x=%2F': list(['a', 'v9', '../x', 7], '<list?n=2>; rel=next'),
      'GET /v2/acme/app/tags/list?n=2': list(null),
    })
    expect(await Array.fromAsync(t.repository.tags())).toEqual(['a', 'v10', 'v9'])
  })

  it('asks for pages of a thousand, and whether they changed, where the registry says how', async () => {
    let first = { etag: '"1"', tags: ['a'] }
    const page =
      (now: () => typeof first, link: Record<string, string> = {}): Script =>
      ({ headers }) => {
        const { etag, tags } = now()
        if (headers['if-none-match'] === etag) return { status: 304, headers: { etag } }
        return { body: JSON.stringify({ tags }), headers: { etag, ...link } }
      }
    await using t = await setup({
      'GET /v2/acme/app/tags/list?n=1000': page(() => first, { link: '<list?n=1000&last=a>; rel="next"' }),
      'GET /v2/acme/app/tags/list?n=1000&last=a': page(() => ({ etag: 'W/"2"', tags: ['b'] })),
    })
    for (let look = 0; look < 3; look++) expect(await Array.fromAsync(t.repository.tags())).toEqual(['a', 'b'])
    const asked = t.server.requests.map(({ headers }) => headers['if-none-match'])
    expect(asked).toEqual([undefined, undefined, '"1"', 'W/"2"', '"1"', 'W/"2"'])
    first = { etag: '"3"', tags: ['c'] }
    expect(await Array.fromAsync(t.repository.tags())).toEqual(['b', 'c'])
  })

  it('refuses a 304 that it did not ask for', async () => {
    await using t = await setup({ 'GET /v2/acme/app/tags/list': { status: 304 } })
    expect(await failureOf(Array.fromAsync(t.repository.tags()))).toMatchObject({ status: 304 })
  })

  it('gives one page', async () => {
    await using t = await setup({
      'GET /v2/acme/app/tags/list': list(['a', 'b'], '</v2/acme/app/tags/list?n=2&last=b>; rel="next"'),
    })
    expect(await t.repository.tagPage({ n: 2, last: '0' })).toEqual({ tags: ['a', 'b'], next: 'b' })
    expect(t.server.asked()).toEqual(['GET /v2/acme/app/tags/list?n=2&last=0'])
  })

  it.each([
    ['repeats itself', '</v2/acme/app/tags/list?n=1000>; rel="next"'],
    ['leaves the registry', '<http://127.0.0.1:1/v2/acme/app/tags/list>; rel="next"'],
    ['is no URL', '<http://[>; rel="next"'],
  ])('refuses a list that %s', async (_what, link) => {
    await using t = await setup({ 'GET /v2/acme/app/tags/list': list(['a'], link) })
    expect(await failureOf(Array.fromAsync(t.repository.tags()))).toMatchObject({ code: 'protocol' })
    expect(t.server.requests).toHaveLength(1)
  })

  it('refuses a list without end', async () => {
    const next: Script = (_request, nth) => ({
      body: '{"tags":[]}',
      headers: { link: `</v2/acme/app/tags/list?n=${nth}>; rel="next"` },
    })
    await using t = await setup({ 'GET /v2/acme/app/tags/list': next })
    expect(await failureOf(Array.fromAsync(t.repository.tags()))).toMatchObject({ code: 'protocol' })
    expect(t.server.requests).toHaveLength(5)
  })

  it('refuses a page for people', async () => {
    await using t = await setup({
      'GET /v2/acme/app/tags/list': { body: '<html>', headers: { 'content-type': 'text/html' } },
    })
    expect(await failureOf(Array.fromAsync(t.repository.tags()))).toMatchObject({ code: 'protocol' })
  })

  it('lists repositories', async () => {
    await using t = await setup({ 'GET /v2/_catalog': { body: '{"repositories":["b","a/c","../x"]}' } })
    expect(await Array.fromAsync(t.client.catalog(t.server.host))).toEqual(['a/c', 'b'])
  })

  it('finds the next page in any Link header', () => {
    expect(nextLink(['<a>; rel="prev", <b?x=1,2>; foo="rel=x"; rel="last next"'])).toBe('b?x=1,2')
    expect(nextLink(['<a>; rel=next'])).toBe('a')
    expect(nextLink(['<a>; rel="nextish"', '<a>'])).toBeUndefined()
  })
})

describe('referrers', () => {
  const subject = digestOf('subject')
  const entry = (type: string) => ({ mediaType: ociManifest, digest: digestOf(type), size: 1, artifactType: type })
  const index = (...manifests: unknown[]): Script => ({
    body: JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests }),
    headers: { 'content-type': ociIndex },
  })
  const api = `GET /v2/acme/app/referrers/${subject}`
  const tagged = `GET /v2/acme/app/manifests/${referrersTag(subject)}`

  it('asks the registry, and filters what it did not filter', async () => {
    await using t = await setup({ [api]: index(entry('a/sig'), entry('a/sbom')) })
    expect(await t.repository.referrers(subject, { artifactType: 'a/sig' })).toEqual([entry('a/sig')])
    expect(t.server.asked()[0]).toContain('?artifactType=a%2Fsig')
    expect(await t.repository.referrers(subject)).toHaveLength(2)
  })

  it('believes a registry that says it filtered', async () => {
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: ociIndex,
      manifests: [{ ...entry('a/sig'), artifactType: undefined }],
    })
    await using t = await setup({
      [api]: { body, headers: { 'content-type': ociIndex, 'oci-filters-applied': 'artifactType' } },
    })
    expect(await t.repository.referrers(subject, { artifactType: 'a/sig' })).toHaveLength(1)
  })

  it.each([
    ['404', { status: 404 }],
    ['another type', { body: '{}', headers: { 'content-type': 'application/json' } }],
  ])('falls back to the tag after %s', async (_what, reply) => {
    await using t = await setup({ [api]: reply, [tagged]: index(entry('a/sig'), entry('a/sbom')) })
    expect(await t.repository.referrers(subject, { artifactType: 'a/sbom' })).toEqual([entry('a/sbom')])
  })

  it('finds none where neither is', async () => {
    await using t = await setup({})
    expect(await t.repository.referrers(subject)).toEqual([])
  })

  it('shortens long digests to what a tag can hold', () => {
    expect(referrersTag(digestOf('x', 'sha512'))).toBe(digestOf('x', 'sha512').replace(':', '-').slice(0, 71))
  })

  describe('on push', () => {
    const target = { mediaType: ociManifest, digest: subject, size: 7 }
    const signature = manifestOf({ subject: target, artifactType: 'a/sig', annotations: { k: 'v' } })
    const own = {
      mediaType: ociManifest,
      digest: signature.digest,
      size: signature.bytes.length,
      artifactType: 'a/sig',
      annotations: { k: 'v' },
    }

    it('leaves the list to a registry that says OCI-Subject', async () => {
      await using t = await setup({
        [`PUT /v2/acme/app/manifests/${signature.digest}`]: { status: 201, headers: { 'oci-subject': subject } },
      })
      await t.repository.putManifest(signature, [])
      expect(t.server.requests).toHaveLength(1)
    })

    it('keeps the tag index where the registry does not, and each of two that come at once', async () => {
      const second = manifestOf({ subject: target, artifactType: 'a/sbom' })
      let stored = Buffer.alloc(0)
      await using t = await setup({
        [`PUT /v2/acme/app/manifests/${signature.digest}`]: { status: 201 },
        [`PUT /v2/acme/app/manifests/${second.digest}`]: { status: 201 },
        [tagged]: () =>
          stored.length === 0 ? { status: 404 } : { body: stored, headers: { 'content-type': ociIndex } },
        [`PUT /v2/acme/app/manifests/${referrersTag(subject)}`]: ({ body }) => {
          stored = body as Buffer<ArrayBuffer>
          return { status: 201 }
        },
      })
      await Promise.all([t.repository.putManifest(signature, []), t.repository.putManifest(second, [])])
      await t.repository.putManifest(signature, [])
      const { manifests } = JSON.parse(stored.toString()) as { manifests: unknown[] }
      expect(manifests).toHaveLength(2)
      expect(manifests).toContainEqual(own)
    })

    it('keeps the tag index where the registry does not look at each that it is sent', async () => {
      await using t = await setup({
        'PUT /v2/acme/app/manifests/v1': { status: 201 },
        'PUT /v2/acme/app/manifests/v2': { status: 201, headers: { 'oci-subject': subject } },
        [`PUT /v2/acme/app/manifests/${referrersTag(subject)}`]: { status: 201 },
      })
      await t.repository.putManifest(signature, ['v1', 'v2'])
      expect(t.server.asked().at(-1)).toBe(`PUT /v2/acme/app/manifests/${referrersTag(subject)}`)
    })

    it('takes it out of the tag index when it is deleted', async () => {
      await using t = await setup({
        [`GET /v2/acme/app/manifests/${signature.digest}`]: manifestReply(signature),
        [`DELETE /v2/acme/app/manifests/${signature.digest}`]: { status: 202 },
        [tagged]: index(entry('a/other'), own),
        [`PUT /v2/acme/app/manifests/${referrersTag(subject)}`]: { status: 201 },
      })
      await t.repository.deleteManifest(signature.digest)
      const written = JSON.parse(t.server.requests.at(-1)!.body.toString()) as { manifests: unknown[] }
      expect(written.manifests).toEqual([entry('a/other')])
    })
  })
})

describe('pushing and deleting manifests', () => {
  it('sends the bytes unchanged to each tag', async () => {
    await using t = await setup({
      [`PUT ${path}`]: { status: 201 },
      'PUT /v2/acme/app/manifests/latest': { status: 201 },
    })
    await t.repository.putManifest(manifest, ['v1', 'latest'])
    expect(t.server.asked()).toEqual([`PUT ${path}`, 'PUT /v2/acme/app/manifests/latest'])
    expect(
      t.server.requests.every(
        ({ body, headers }) => body.equals(manifest.bytes) && headers['content-type'] === ociManifest,
      ),
    ).toBe(true)
  })

  it('names a sha512 digest, which registries do not compute from a tag', async () => {
    const digest = digestOf(manifest.bytes, 'sha512')
    await using t = await setup({
      [`PUT ${path}`]: { status: 201 },
      [`PUT /v2/acme/app/manifests/${digest}`]: { status: 201 },
    })
    await t.repository.putManifest({ ...manifest, digest }, ['v1'])
    expect(t.server.asked()).toEqual([`PUT /v2/acme/app/manifests/${digest}`, `PUT ${path}`])
  })

  it('refuses bytes that are not their digest, before anything is sent', async () => {
    await using t = await setup({})
    expect(await failureOf(t.repository.putManifest({ ...manifest, digest: digestOf('x') }, []))).toMatchObject({
      code: 'digest_mismatch',
    })
    expect(t.server.requests).toHaveLength(0)
  })

  it('notices that the registry stored something else', async () => {
    await using t = await setup({
      [`PUT ${path}`]: { status: 201, headers: { 'docker-content-digest': digestOf('x') } },
    })
    expect(await failureOf(t.repository.putManifest(manifest, ['v1']))).toMatchObject({ code: 'digest_mismatch' })
  })

  it('tells by a code that children are missing', async () => {
    const body = JSON.stringify({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN', message: 'blob unknown' }] })
    await using t = await setup({ [`PUT ${path}`]: { status: 400, body } })
    const error = await failureOf(t.repository.putManifest(manifest, ['v1']))
    expect(hasSpecCode(error, 'MANIFEST_BLOB_UNKNOWN')).toBe(true)
    expect(hasSpecCode(error, 'DENIED')).toBe(false)
  })

  it('says that a registry cannot delete tags', async () => {
    await using t = await setup({ [`DELETE ${path}`]: { status: 405 } })
    expect(await failureOf(t.repository.deleteTag('v1'))).toMatchObject({
      code: 'unsupported',
      hint: expect.any(String) as string,
    })
  })
})
