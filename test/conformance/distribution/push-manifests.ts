import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { digestOf } from '../../../src/oci/digest.ts'
import { emptyJson, ociEmpty, ociIndex, ociLayerNondistributable, ociManifest } from '../../../src/oci/media.ts'
import { codesOf, describe, expectBytes, expectStatus, jsonOf, locationOf, type Api, type Pushed } from './api.ts'
import { checksOf } from './check.ts'

const missing = digestOf('nobody pushed this before')
const manyTags = Array.from({ length: 10 }, (_, at) => `tag-${at}`)

async function expectKept(api: Api, pushed: Pushed, reference: string = pushed.digest): Promise<void> {
  const answer = await api.getManifest(reference)
  expectBytes(answer, pushed.bytes)
  assert.equal(answer.headers['content-type'], pushed.mediaType)
  assert.equal(answer.headers['docker-content-digest'], pushed.digest)
}

async function emptyDescriptor(api: Api) {
  return (await api.pushBlob(emptyJson, { mediaType: ociEmpty })).descriptor
}

/** Valid JSON that any parser and serializer would write differently. */
async function oddManifest(api: Api): Promise<Buffer> {
  const { config, layers } = await api.image()
  return Buffer.from(
    `\n{ "zz": 1.0e2, "layers":[ ${JSON.stringify(layers[0])} ],\t"unknown": {"b":[], "a":"\\u00e4ä"},\r\n` +
      `"schemaVersion" : 2, "config":${JSON.stringify({ ...config, extra: true })}, "mediaType":"${ociManifest}" }\n\n`,
  )
}

async function putOfSize(api: Api, bytes: number) {
  const image = await api.image({ annotations: { long: '' } })
  const filler = 'a'.repeat(bytes - JSON.stringify(image).length)
  return api.putManifest({ ...image, annotations: { long: filler } }, { reference: 'big' })
}

function tagsIn(header: string | string[] | undefined): string[] {
  return [header ?? []].flat().flatMap((line) => line.split(',').map((tag) => tag.trim()))
}

async function pushWithTags(api: Api, algorithm: 'sha256' | 'sha512', tags: string[]) {
  const image = await api.image({}, { algorithm })
  const query = `?${tags.map((tag) => `tag=${tag}`).join('&')}`
  return api.pushManifest(image, { algorithm, query })
}

export const pushManifestChecks = checksOf('push', {
  'a manifest pushed by tag is 201 with a Location to pull it from': async (api) => {
    const { answer, bytes } = await api.pushImage('v1')
    expectBytes(await api.get(locationOf(answer), { Accept: ociManifest }), bytes)
  },
  'a manifest pushed by digest is 201 with a Location to pull it from': async (api) => {
    const { answer, bytes } = await api.pushImage()
    expectBytes(await api.get(locationOf(answer), { Accept: ociManifest }), bytes)
  },
  'a pushed manifest answers with the digest of its bytes': async (api) => {
    const { answer, digest } = await api.pushImage('v1')
    assert.equal(answer.headers['docker-content-digest'], digest)
  },
  'a pushed manifest answers with the digest that was given, sha512': async (api) => {
    const image = await api.image({}, { algorithm: 'sha512' })
    const { answer, digest } = await api.pushManifest(image, { algorithm: 'sha512' })
    assert.equal(answer.headers['docker-content-digest'], digest)
  },
  'a tag that is pushed again moves': async (api) => {
    const first = await api.pushImage('v1')
    const second = await api.pushImage('v1')
    await expectKept(api, second, 'v1')
    await expectKept(api, first)
  },
  'a manifest is kept byte for byte': async (api) => {
    const pushed = await api.pushManifest(await oddManifest(api), { reference: 'odd' })
    await expectKept(api, pushed)
    await expectKept(api, pushed, 'odd')
  },
  'fields that nobody knows are kept': async (api) => {
    await expectKept(api, await api.pushImage('v1', { 'org.example.unknown': { deep: [1, null, { x: 'y' }] } }))
    const member = await api.pushImage()
    await expectKept(api, await api.pushIndex([member.descriptor], 'v2', { 'org.example.unknown': ['x'] }))
  },
  'parameters of Content-Type are ignored': async (api) => {
    const image = await api.image()
    const { answer } = await api.putManifest(image, { mediaType: `${ociManifest}; charset=utf-8`, reference: 'v1' })
    expectStatus(answer, 201)
    assert.equal((await api.getManifest('v1')).headers['content-type'], ociManifest)
  },
  'a manifest whose mediaType is not its Content-Type is refused': async (api) => {
    const { answer } = await api.putManifest(await api.image(), { mediaType: ociIndex, reference: 'v1' })
    expectStatus(answer, 400)
    expectStatus(await api.getManifest('v1'), 404)
  },
  'a manifest whose digest is another is 400': async (api) => {
    const image = await api.image()
    const digest = digestOf(JSON.stringify(image))
    const { answer } = await api.putManifest(Buffer.from(`${JSON.stringify(image)}  `), { reference: digest })
    expectStatus(answer, 400)
    expectStatus(await api.getManifest(digest), 404)
  },
  'a manifest with a malformed digest is 400': async (api) => {
    const { answer } = await api.putManifest(await api.image(), { reference: 'sha256:totallywrong' })
    expectStatus(answer, 400)
  },
  'a manifest that is not JSON is refused': async (api) => {
    for (const bytes of ['', 'blablabla', '[]', '{"schemaVersion":2']) {
      expectStatus((await api.putManifest(Buffer.from(bytes), { reference: 'v1' })).answer, 400)
    }
    expectStatus(await api.getManifest('v1'), 404)
  },
  'a manifest of 4 MiB less a little is accepted': async (api) => {
    const pushed = await putOfSize(api, 4 * 1024 * 1024 - 1000)
    expectStatus(pushed.answer, 201)
    await expectKept(api, pushed, 'big')
  },
  'a manifest beyond the limit is 413': async (api) => {
    expectStatus((await putOfSize(api, 10 * 1024 * 1024)).answer, 413)
    expectStatus(await api.getManifest('big'), 404)
  },
  'what a manifest names and is not there is answered with MANIFEST_BLOB_UNKNOWN': async (api) => {
    const absent = { mediaType: 'application/octet-stream', digest: missing, size: 25 }
    for (const extra of [{ layers: [absent] }, { config: absent }]) {
      const { answer } = await api.putManifest(await api.image(extra))
      if (answer.status === 201) continue
      assert.ok(
        codesOf(answer).every((code) => code === 'MANIFEST_BLOB_UNKNOWN'),
        describe(answer),
      )
    }
  },
  'a manifest whose blobs are not there is refused and not stored': async (api) => {
    const absent = { mediaType: 'application/octet-stream', digest: missing, size: 25 }
    const { answer, digest } = await api.putManifest(await api.image({ layers: [absent] }), { reference: 'v1' })
    expectStatus(answer, 400, 404)
    assert.deepEqual(codesOf(answer), ['MANIFEST_BLOB_UNKNOWN'])
    assert.match(JSON.stringify((jsonOf(answer).errors as unknown[])[0]), new RegExp(missing))
    expectStatus(await api.getManifest('v1'), 404)
    expectStatus(await api.getManifest(digest), 404)
  },
  'a blob that only another repository has is not there for a manifest': async (api) => {
    const elsewhere = await api.pushBlob(randomBytes(100), { repository: api.other })
    const { answer } = await api.putManifest(await api.image({ layers: [elsewhere.descriptor] }))
    expectStatus(answer, 400, 404)
  },
  'an image without layers': async (api) => {
    await expectKept(api, await api.pushImage('v1', { layers: [] }), 'v1')
  },
  'an artifact with an empty config': async (api) => {
    const config = await emptyDescriptor(api)
    const extra = { artifactType: 'application/vnd.example.v1', config }
    await expectKept(api, await api.pushImage('v1', extra), 'v1')
    await expectKept(api, await api.pushImage('v2', { ...extra, layers: [config] }), 'v2')
  },
  'an index, an empty one, and one of indexes': async (api) => {
    const members = [await api.pushImage(), await api.pushImage()]
    const index = await api.pushIndex(
      members.map((member) => member.descriptor),
      'index',
    )
    await expectKept(api, index, 'index')
    await expectKept(api, await api.pushIndex([], 'empty'), 'empty')
    await expectKept(api, await api.pushIndex([index.descriptor], 'nested'), 'nested')
  },
  'a layer with data in its descriptor': async (api) => {
    const bytes = randomBytes(20)
    const layer = { ...(await api.pushBlob(bytes)).descriptor, data: bytes.toString('base64') }
    await expectKept(api, await api.pushImage('v1', { layers: [layer] }), 'v1')
  },
  'layers that may not be distributed need not be there': async (api) => {
    const urls = ['https://store.example.com/blob']
    const layers = [ociLayerNondistributable, `${ociLayerNondistributable}+gzip`].map((mediaType) => ({
      mediaType,
      digest: missing,
      size: 12_345,
      urls,
    }))
    await expectKept(api, await api.pushImage('v1', { layers }), 'v1')
  },
  'a subject that is not there is accepted': async (api) => {
    const subject = { mediaType: ociManifest, digest: missing, size: 123 }
    await expectKept(api, await api.pushImage('v1', { subject }), 'v1')
  },
  'a manifest with a subject is answered with OCI-Subject': async (api) => {
    const image = await api.pushImage()
    for (const digest of [image.digest, missing]) {
      const { answer } = await api.pushImage(undefined, { subject: { ...image.descriptor, digest } })
      assert.equal(answer.headers['oci-subject'], digest)
    }
  },
  'an index with a subject is answered with OCI-Subject': async (api) => {
    const image = await api.pushImage()
    const { answer } = await api.pushIndex([], undefined, { subject: image.descriptor })
    assert.equal(answer.headers['oci-subject'], image.digest)
  },
  'a manifest without a subject is answered without OCI-Subject': async (api) => {
    assert.equal((await api.pushImage()).answer.headers['oci-subject'], undefined)
  },
  'tags in the query of a push by digest are set, and named by OCI-Tag': async (api) => {
    const pushed = await pushWithTags(api, 'sha256', ['one', 'two'])
    assert.deepEqual(tagsIn(pushed.answer.headers['oci-tag']).sort(), ['one', 'two'])
    await expectKept(api, pushed, 'one')
    await expectKept(api, pushed, 'two')
  },
  'tags in the query of a push by digest are set, sha512': async (api) => {
    const pushed = await pushWithTags(api, 'sha512', ['one', 'two'])
    assert.deepEqual(tagsIn(pushed.answer.headers['oci-tag']).sort(), ['one', 'two'])
    await expectKept(api, pushed, 'one')
  },
  'ten tags in the query are accepted': async (api) => {
    const pushed = await pushWithTags(api, 'sha256', manyTags)
    assert.deepEqual(tagsIn(pushed.answer.headers['oci-tag']).sort(), manyTags)
    for (const tag of manyTags) await expectKept(api, pushed, tag)
  },
})
