import assert from 'node:assert/strict'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociConfig, ociIndex, ociManifest } from '../../../src/oci/media.ts'
import type { Descriptor } from '../../../src/oci/target.ts'
import { codesOf, expectStatus, jsonOf, type Answer, type Api, type Pushed } from './api.ts'
import { checksOf } from './check.ts'

const missing = digestOf('nobody refers to this')
const sbom = 'application/vnd.example.sbom.v1'
const signature = 'application/vnd.example.signature.v1'
/** In byte order, which differs from the alphabet's. */
const fiveTags = ['Z', '_x', 'a', 'b-1', 'b.2'].sort()
const codes = [
  'BLOB_UNKNOWN',
  'BLOB_UPLOAD_INVALID',
  'BLOB_UPLOAD_UNKNOWN',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'SIZE_INVALID',
  'UNAUTHORIZED',
  'DENIED',
  'UNSUPPORTED',
  'TOOMANYREQUESTS',
]

async function pushTags(api: Api, tags: readonly string[] = fiveTags): Promise<void> {
  const image = await api.pushImage()
  for (const reference of tags) await api.pushManifest(image.bytes, { reference })
}

async function tagsOf(api: Api, query = ''): Promise<{ tags: string[]; answer: Answer }> {
  const answer = await api.get(`/v2/${api.repository}/tags/list${query}`)
  expectStatus(answer, 200)
  const tags = jsonOf(answer).tags
  assert.ok(Array.isArray(tags), `tags is no list: ${JSON.stringify(tags)}`)
  return { tags: tags as string[], answer }
}

function nextOf(answer: Answer): string | undefined {
  const { link } = answer.headers
  if (link === undefined) return undefined
  const match = /^<([^>]+)>; *rel="?next"?$/.exec(Array.isArray(link) ? link[0]! : link)
  assert.ok(match, `no next in ${String(link)}`)
  return match[1]
}

async function referrersOf(api: Api, digest: string, query = ''): Promise<{ found: Descriptor[]; answer: Answer }> {
  const answer = await api.get(`/v2/${api.repository}/referrers/${digest}${query}`)
  expectStatus(answer, 200)
  return { found: jsonOf(answer).manifests as Descriptor[], answer }
}

async function pushReferrer(api: Api, subject: Pushed, extra: Record<string, unknown> = {}): Promise<Pushed> {
  return api.pushImage(undefined, { subject: subject.descriptor, ...extra })
}

export const discoveryChecks = checksOf('discovery', {
  'the tags of a repository are listed': async (api) => {
    await pushTags(api)
    const { tags, answer } = await tagsOf(api)
    assert.equal(jsonOf(answer).name, api.repository)
    assert.deepEqual([...tags].sort(), fiveTags)
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
  },
  'tags are listed in order': async (api) => {
    await pushTags(api)
    const { tags } = await tagsOf(api)
    const bytewise = [...tags].sort()
    const alphabetical = [...tags].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1))
    assert.ok(
      [bytewise, alphabetical].some((sorted) => sorted.join() === tags.join()),
      `not in order: ${tags.join()}`,
    )
  },
  'a repository without tags has an empty list': async (api) => {
    await api.pushImage()
    assert.deepEqual((await tagsOf(api)).tags, [])
  },
  'the tags of a repository that does not exist are 404': async (api) => {
    expectStatus(await api.get(`/v2/${api.repository}/tags/list`), 404)
  },
  'n limits how many tags are listed': async (api) => {
    await pushTags(api)
    const { tags, answer } = await tagsOf(api, '?n=3')
    assert.ok(tags.length === 3 || (tags.length < 3 && nextOf(answer) !== undefined), `${tags.length} tags`)
    assert.deepEqual(tags, (await tagsOf(api)).tags.slice(0, tags.length))
  },
  'n beyond what there is lists everything': async (api) => {
    await pushTags(api)
    assert.equal((await tagsOf(api, '?n=100')).tags.length, 5)
  },
  'n=0 lists nothing, without Link': async (api) => {
    await pushTags(api)
    const { tags, answer } = await tagsOf(api, '?n=0')
    assert.deepEqual(tags, [])
    assert.equal(answer.headers.link, undefined)
  },
  'last goes on after a tag, without it': async (api) => {
    await pushTags(api)
    const all = (await tagsOf(api)).tags
    assert.deepEqual((await tagsOf(api, `?last=${all[1]}`)).tags, all.slice(2))
    assert.deepEqual((await tagsOf(api, `?n=2&last=${all[1]}`)).tags, all.slice(2, 4))
    assert.deepEqual((await tagsOf(api, `?last=${all[4]}`)).tags, [])
  },
  'last takes a tag, not a number': async (api) => {
    await pushTags(api, ['1', '10', '2', '3'])
    assert.deepEqual((await tagsOf(api, '?last=2')).tags, ['3'])
  },
  'Link leads through all tags': async (api) => {
    await pushTags(api)
    const all = (await tagsOf(api)).tags
    const seen: string[] = []
    let path: string | undefined = `/v2/${api.repository}/tags/list?n=2`
    for (let page = 0; path !== undefined && page < 10; page++) {
      const answer = await api.get(path)
      expectStatus(answer, 200)
      seen.push(...(jsonOf(answer).tags as string[]))
      path = nextOf(answer)
    }
    assert.deepEqual(seen, all)
  },
  'referrers are an index of what names the digest as its subject': async (api) => {
    const subject = await api.pushImage('v1')
    const referrer = await pushReferrer(api, subject, { artifactType: sbom })
    await api.pushImage('v2')
    const { found, answer } = await referrersOf(api, subject.digest)
    assert.equal(answer.headers['content-type'], ociIndex)
    assert.equal(jsonOf(answer).schemaVersion, 2)
    assert.equal(jsonOf(answer).mediaType, ociIndex)
    assert.deepEqual(
      found.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
      [{ mediaType: ociManifest, digest: referrer.digest, size: referrer.bytes.length }],
    )
  },
  'referrers of what nobody refers to are an empty index, never 404': async (api) => {
    await api.pushImage('v1')
    const { found, answer } = await referrersOf(api, missing)
    assert.deepEqual(found, [])
    assert.equal(answer.headers['content-type'], ociIndex)
  },
  'referrers in a repository that does not exist are an empty index, never 404': async (api) => {
    assert.deepEqual((await referrersOf(api, missing)).found, [])
  },
  'referrers of a malformed digest are 400': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.get(`/v2/${api.repository}/referrers/sha256:0123`), 400)
    expectStatus(await api.get(`/v2/${api.repository}/referrers/v1`), 400)
  },
  "a referrer's artifactType is its own": async (api) => {
    const subject = await api.pushImage('v1')
    await pushReferrer(api, subject, { artifactType: sbom })
    assert.equal((await referrersOf(api, subject.digest)).found[0]?.artifactType, sbom)
  },
  "a referring image without artifactType has its config's type": async (api) => {
    const subject = await api.pushImage('v1')
    await pushReferrer(api, subject)
    assert.equal((await referrersOf(api, subject.digest)).found[0]?.artifactType, ociConfig)
  },
  'a referring index without artifactType has none': async (api) => {
    const subject = await api.pushImage('v1')
    const index = await api.pushIndex([], undefined, { subject: subject.descriptor })
    const { found } = await referrersOf(api, subject.digest)
    assert.equal(found[0]?.digest, index.digest)
    assert.equal(found[0].mediaType, ociIndex)
    assert.ok(!('artifactType' in found[0]), 'an artifactType that nobody gave')
  },
  "a referring index's artifactType is its own": async (api) => {
    const subject = await api.pushIndex([], 'v1')
    await api.pushIndex([], undefined, { subject: subject.descriptor, artifactType: sbom })
    assert.equal((await referrersOf(api, subject.digest)).found[0]?.artifactType, sbom)
  },
  "a referrer's annotations are listed": async (api) => {
    const subject = await api.pushImage('v1')
    const annotations = { 'org.example.a': 'ä', 'org.example.b': '' }
    await pushReferrer(api, subject, { annotations })
    assert.deepEqual((await referrersOf(api, subject.digest)).found[0]?.annotations, annotations)
  },
  'referrers are filtered by artifactType, and the answer says so': async (api) => {
    const subject = await api.pushImage('v1')
    const wanted = await pushReferrer(api, subject, { artifactType: sbom })
    await pushReferrer(api, subject, { artifactType: signature })
    const { found, answer } = await referrersOf(api, subject.digest, `?artifactType=${encodeURIComponent(sbom)}`)
    assert.equal(answer.headers['oci-filters-applied'], 'artifactType')
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [wanted.digest],
    )
  },
  "the filter takes a config's type too": async (api) => {
    const subject = await api.pushImage('v1')
    const wanted = await pushReferrer(api, subject)
    await pushReferrer(api, subject, { artifactType: sbom })
    const { found } = await referrersOf(api, subject.digest, `?artifactType=${encodeURIComponent(ociConfig)}`)
    assert.deepEqual(
      found.map(({ digest }) => digest),
      [wanted.digest],
    )
  },
  'a filter that nothing matches gives an empty index': async (api) => {
    const subject = await api.pushImage('v1')
    await pushReferrer(api, subject)
    const { found, answer } = await referrersOf(api, subject.digest, '?artifactType=application/none')
    assert.deepEqual(found, [])
    assert.equal(answer.headers['oci-filters-applied'], 'artifactType')
  },
  'an answer without a filter does not claim one': async (api) => {
    const subject = await api.pushImage('v1')
    const { answer } = await referrersOf(api, subject.digest)
    assert.equal(answer.headers['oci-filters-applied'], undefined)
  },
  'referrers may come before their subject': async (api) => {
    const image = await api.image()
    const bytes = Buffer.from(JSON.stringify(image))
    const subject = { mediaType: ociManifest, digest: digestOf(bytes), size: bytes.length }
    const referrer = await api.pushImage(undefined, { subject })
    assert.equal((await referrersOf(api, subject.digest)).found[0]?.digest, referrer.digest)
    await api.pushManifest(bytes)
    assert.equal((await referrersOf(api, subject.digest)).found[0]?.digest, referrer.digest)
  },
  'referrers of another repository are not listed': async (api) => {
    const subject = await api.pushImage('v1')
    await api.pushImage(undefined, { subject: subject.descriptor }, api.other)
    assert.deepEqual((await referrersOf(api, subject.digest)).found, [])
  },
  'a deleted referrer is not listed': async (api) => {
    const subject = await api.pushImage('v1')
    const referrer = await pushReferrer(api, subject)
    expectStatus(await api.delete(api.manifestPath(referrer.digest)), 202)
    assert.deepEqual((await referrersOf(api, subject.digest)).found, [])
  },
  'referrers that do not fit in one answer come with Link': async (api) => {
    const subject = await api.pushImage('v1')
    const image = await api.image({ subject: subject.descriptor })
    const pushed = new Set<string>()
    for (let count = 0; count < 4; count++) {
      const annotations = { count: String(count), long: 'x'.repeat(2_000_000) }
      pushed.add((await api.pushManifest({ ...image, annotations })).digest)
    }
    const seen = new Set<string>()
    let path: string | undefined = `/v2/${api.repository}/referrers/${subject.digest}`
    for (let page = 0; path !== undefined && page < 10; page++) {
      const answer = await api.get(path)
      expectStatus(answer, 200)
      for (const { digest } of jsonOf(answer).manifests as Descriptor[]) seen.add(digest)
      path = nextOf(answer)
      assert.ok(path === undefined || answer.body.length <= 4 * 1024 * 1024, 'a page is longer than an index may be')
    }
    assert.deepEqual([...seen].sort(), [...pushed].sort())
  },
  'errors are JSON in the form of the specification, with its codes': async (api) => {
    await api.pushImage('v1')
    const location = await api.startUpload()
    const answers = [
      await api.getManifest('v2'),
      await api.getManifest(missing),
      await api.get(api.blobPath(missing)),
      await api.get(`/v2/${api.other}/tags/list`),
      await api.finish(location, missing, 'something else'),
      (await api.putManifest(Buffer.from('not JSON'), { reference: 'v3' })).answer,
      (await api.putManifest(await api.image({ layers: [{ mediaType: 'a/b', digest: missing, size: 1 }] }))).answer,
      await api.send('POST', '/v2/conformance/Upper/blobs/uploads/', { body: '' }),
      await api.delete(api.blobPath(missing)),
      await api.get(`/v2/${api.repository}/blobs/uploads/00000000-0000-4000-8000-000000000000`),
    ]
    for (const answer of answers) {
      assert.ok(answer.status >= 400 && answer.status < 500, `no 4xx: ${answer.status}`)
      // Another form is allowed where it is not JSON.
      if (!(answer.headers['content-type'] ?? '').includes('json')) continue
      for (const code of codesOf(answer)) {
        assert.match(code, /^[A-Z_]+$/)
        assert.ok(codes.includes(code), `${code} is not one of the specification's`)
      }
    }
  },
  'repositories are listed, page by page': async (api) => {
    await api.pushImage('v1')
    await api.pushImage('v1', {}, api.other)
    const seen: string[] = []
    let path: string | undefined = '/v2/_catalog?n=10'
    while (path !== undefined) {
      const answer = await api.get(path)
      expectStatus(answer, 200)
      const names = jsonOf(answer).repositories as string[]
      assert.ok(names.length <= 10, `${names.length} repositories`)
      seen.push(...names)
      path = nextOf(answer)
    }
    assert.deepEqual(seen, [...new Set(seen)].sort())
    assert.ok(seen.includes(api.repository) && seen.includes(api.other))
  },
})
