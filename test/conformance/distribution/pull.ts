import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { digestOf } from '../../../src/oci/digest.ts'
import { ociManifest } from '../../../src/oci/media.ts'
import { expectBytes, expectStatus, type Answer, type Api } from './api.ts'
import { checksOf } from './check.ts'

const missing = digestOf('nobody ever pushed this')
const rangeBlob = randomBytes(2048)

async function ranged(api: Api, range: string): Promise<Answer> {
  const { digest } = await api.pushBlob(rangeBlob)
  return api.get(api.blobPath(digest), { Range: `bytes=${range}` })
}

async function expectRange(api: Api, range: string, first: number, last: number): Promise<void> {
  const answer = await ranged(api, range)
  expectStatus(answer, 206)
  assert.match(answer.headers['content-range'] ?? '', new RegExp(`^bytes ${first}-${last}/(2048|\\*)$`))
  assert.equal(answer.headers['content-length'], String(last - first + 1))
  assert.ok(answer.body.equals(rangeBlob.subarray(first, last + 1)), 'not the bytes of that range')
}

export const pullChecks = checksOf('pull', {
  'GET /v2/ is 200': async (api) => {
    expectStatus(await api.get('/v2/'), 200)
  },
  'a manifest is pulled by tag': async (api) => {
    const { bytes } = await api.pushImage('v1')
    expectBytes(await api.getManifest('v1'), bytes)
  },
  'a manifest is pulled by digest': async (api) => {
    const { bytes, digest } = await api.pushImage()
    expectBytes(await api.getManifest(digest), bytes)
  },
  'a pulled manifest comes with its digest': async (api) => {
    const { digest } = await api.pushImage('v1')
    assert.equal((await api.getManifest('v1')).headers['docker-content-digest'], digest)
  },
  "a pulled manifest's type is the one it was pushed with, without parameters": async (api) => {
    await api.pushImage('v1')
    assert.equal((await api.getManifest('v1')).headers['content-type'], ociManifest)
  },
  'a manifest that is not there is 404': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.getManifest('v2'), 404)
    expectStatus(await api.getManifest(missing), 404)
  },
  'a manifest in a repository that does not exist is 404': async (api) => {
    expectStatus(await api.getManifest('v1'), 404)
  },
  'a reference that is neither a tag nor a digest is refused': async (api) => {
    await api.pushImage('v1')
    for (const reference of ['sha256:baddigest', '.v1', '-v1']) expectStatus(await api.getManifest(reference), 400, 404)
    const image = await api.image()
    for (const reference of ['sha256:baddigest', '.v1']) {
      expectStatus((await api.putManifest(image, { reference })).answer, 400, 404)
    }
  },
  'names with every separator are accepted': async (api) => {
    const repository = `${api.repository}/a.b_c__d-e---f/0`
    const { bytes } = await api.pushImage('v1', {}, repository)
    expectBytes(await api.getManifest('v1', repository), bytes)
  },
  'names that the grammar does not allow are refused': async (api) => {
    for (const name of ['Upper', 'a..b', '-a', 'a-', 'a___b', '_a', 'a/.b']) {
      expectStatus(await api.send('POST', `/v2/conformance/${name}/blobs/uploads/`, { body: '' }), 400, 404)
      expectStatus(await api.get(`/v2/conformance/${name}/tags/list`), 400, 404)
    }
  },
  'a tag may have 128 characters of every kind': async (api) => {
    const tag = `_A0.-${'x'.repeat(123)}`
    const { bytes } = await api.pushImage(tag)
    expectBytes(await api.getManifest(tag), bytes)
  },
  'a tag of 129 characters is refused': async (api) => {
    const { answer } = await api.putManifest(await api.image(), { reference: 'x'.repeat(129) })
    expectStatus(answer, 400, 404)
  },
  'a blob is pulled': async (api) => {
    const { bytes, digest } = await api.pushBlob(randomBytes(100_000))
    const answer = await api.get(api.blobPath(digest))
    expectBytes(answer, bytes)
    assert.equal(answer.headers['content-length'], '100000')
  },
  'a pulled blob comes with its digest': async (api) => {
    const { digest } = await api.pushBlob(randomBytes(100))
    assert.equal((await api.get(api.blobPath(digest))).headers['docker-content-digest'], digest)
  },
  'a blob that is not there is 404': async (api) => {
    await api.pushBlob(randomBytes(100))
    expectStatus(await api.get(api.blobPath(missing)), 404)
  },
  'a blob that another repository has is not there': async (api) => {
    const { digest } = await api.pushBlob(randomBytes(100))
    await api.pushBlob(randomBytes(100), { repository: api.other })
    expectStatus(await api.get(api.blobPath(digest, api.other)), 404)
    expectStatus(await api.head(api.blobPath(digest, api.other)), 404)
  },
  'a range of a blob': (api) => expectRange(api, '500-1499', 500, 1499),
  'a range to the end of a blob': (api) => expectRange(api, '500-', 500, 2047),
  'the last bytes of a blob': (api) => expectRange(api, '-500', 1548, 2047),
  'a range beyond the end of a blob is cut': (api) => expectRange(api, '2000-5000', 2000, 2047),
  'a range that begins beyond the end of a blob is 416': async (api) => {
    expectStatus(await ranged(api, '5000-10000'), 416)
  },
  'a range that ends before it begins is 416': async (api) => {
    expectStatus(await ranged(api, '500-0'), 416)
  },
  'HEAD of a manifest is 200 with digest, type and length, and no body': async (api) => {
    const { digest, bytes } = await api.pushImage('v1')
    for (const reference of ['v1', digest]) {
      const answer = await api.headManifest(reference)
      expectStatus(answer, 200)
      assert.equal(answer.headers['docker-content-digest'], digest)
      assert.equal(answer.headers['content-type'], ociManifest)
      assert.equal(answer.headers['content-length'], String(bytes.length))
      assert.equal(answer.body.length, 0)
    }
  },
  'HEAD of a blob is 200 with digest and length, and no body': async (api) => {
    const { digest } = await api.pushBlob(randomBytes(100))
    const answer = await api.head(api.blobPath(digest))
    expectStatus(answer, 200)
    assert.equal(answer.headers['docker-content-digest'], digest)
    assert.equal(answer.headers['content-length'], '100')
    assert.equal(answer.body.length, 0)
  },
  'HEAD of what is not there is 404': async (api) => {
    expectStatus(await api.headManifest('v1'), 404)
    await api.pushImage('v1')
    expectStatus(await api.headManifest('v2'), 404)
    expectStatus(await api.headManifest(missing), 404)
    expectStatus(await api.head(api.blobPath(missing)), 404)
  },
  'a malformed digest is refused': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.get(api.blobPath('sha256:0123')), 400, 404)
    expectStatus(await api.get(api.blobPath(`sha256:${'G'.repeat(64)}`)), 400, 404)
  },
  'a manifest is pulled without Accept': async (api) => {
    const { bytes } = await api.pushImage('v1')
    expectBytes(await api.get(api.manifestPath('v1')), bytes)
  },
  'a manifest is pulled whatever Accept names': async (api) => {
    const { bytes } = await api.pushImage('v1')
    for (const accept of ['text/html', '*/*', 'application/vnd.docker.distribution.manifest.v2+json']) {
      expectBytes(await api.get(api.manifestPath('v1'), { Accept: accept }), bytes)
    }
  },
  'what is pulled hashes to the digest that was asked for, and is never encoded': async (api) => {
    // Compresses well: a server that compresses would do it here.
    const blob = await api.pushBlob(Buffer.alloc(200_000, 'a'))
    const manifest = await api.pushImage('v1', { annotations: { text: 'a'.repeat(50_000) } })
    const headers = { 'Accept-Encoding': 'gzip, deflate, br, zstd', Accept: ociManifest }
    for (const [path, digest] of [
      [api.blobPath(blob.digest), blob.digest],
      [api.manifestPath(manifest.digest), manifest.digest],
      [api.manifestPath('v1'), manifest.digest],
    ] as const) {
      const answer = await api.get(path, headers)
      expectStatus(answer, 200)
      assert.equal(answer.headers['content-encoding'], undefined)
      assert.equal(digestOf(answer.body), digest)
    }
  },
  'a blob with a sha512 digest is pulled': async (api) => {
    const { bytes, digest } = await api.pushBlob(randomBytes(1000), { algorithm: 'sha512' })
    const answer = await api.get(api.blobPath(digest))
    expectBytes(answer, bytes)
    assert.equal(answer.headers['docker-content-digest'], digest)
    assert.equal((await api.head(api.blobPath(digest))).headers['docker-content-digest'], digest)
  },
  'a manifest with a sha512 digest is pulled': async (api) => {
    const image = await api.image({}, { algorithm: 'sha512' })
    const { bytes, digest } = await api.pushManifest(image, { algorithm: 'sha512' })
    const answer = await api.getManifest(digest)
    expectBytes(answer, bytes)
    assert.equal(answer.headers['docker-content-digest'], digest)
  },
})
