import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { digestOf } from '../../../src/oci/digest.ts'
import { expectBytes, expectStatus, jsonOf } from './api.ts'
import { checksOf } from './check.ts'

const missing = digestOf('nobody ever pushed this either')

export const managementChecks = checksOf('management', {
  'deleting a tag is 202, and then it is gone': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.delete(api.manifestPath('v1')), 202)
    expectStatus(await api.getManifest('v1'), 404)
    expectStatus(await api.headManifest('v1'), 404)
  },
  'deleting a tag leaves the manifest and its other tags': async (api) => {
    const image = await api.pushImage('v1')
    await api.pushManifest(image.bytes, { reference: 'v2' })
    expectStatus(await api.delete(api.manifestPath('v1')), 202)
    expectBytes(await api.getManifest(image.digest), image.bytes)
    expectBytes(await api.getManifest('v2'), image.bytes)
    assert.deepEqual(jsonOf(await api.get(`/v2/${api.repository}/tags/list`)).tags, ['v2'])
  },
  'deleting a tag that is not there is 404': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.delete(api.manifestPath('v2')), 404)
  },
  'deleting a manifest is 202, and then it and its tags are gone': async (api) => {
    const image = await api.pushImage('v1')
    await api.pushManifest(image.bytes, { reference: 'v2' })
    const other = await api.pushImage('v3')
    expectStatus(await api.delete(api.manifestPath(image.digest)), 202)
    for (const reference of [image.digest, 'v1', 'v2']) {
      expectStatus(await api.getManifest(reference), 404)
      expectStatus(await api.headManifest(reference), 404)
    }
    expectBytes(await api.getManifest('v3'), other.bytes)
    assert.deepEqual(jsonOf(await api.get(`/v2/${api.repository}/tags/list`)).tags, ['v3'])
  },
  'deleting from a repository that does not exist is 404': async (api) => {
    expectStatus(await api.delete(api.manifestPath(missing)), 404)
    expectStatus(await api.delete(api.blobPath(missing)), 404)
  },
  'deleting a manifest that is not there is 404': async (api) => {
    await api.pushImage('v1')
    expectStatus(await api.delete(api.manifestPath(missing)), 404)
  },
  'a deleted manifest can be pushed again': async (api) => {
    const image = await api.pushImage('v1')
    expectStatus(await api.delete(api.manifestPath(image.digest)), 202)
    await api.pushManifest(image.bytes, { reference: 'v1' })
    expectBytes(await api.getManifest('v1'), image.bytes)
  },
  'an index can be deleted, and then its members': async (api) => {
    const member = await api.pushImage()
    const index = await api.pushIndex([member.descriptor], 'v1')
    expectStatus(await api.delete(api.manifestPath(index.digest)), 202)
    expectBytes(await api.getManifest(member.digest), member.bytes)
    expectStatus(await api.delete(api.manifestPath(member.digest)), 202)
    expectStatus(await api.getManifest(member.digest), 404)
  },
  'deleting a blob is 202, and then it is gone': async (api) => {
    const { digest } = await api.pushBlob(randomBytes(100))
    expectStatus(await api.delete(api.blobPath(digest)), 202)
    expectStatus(await api.get(api.blobPath(digest)), 404)
    expectStatus(await api.head(api.blobPath(digest)), 404)
  },
  'deleting a blob that is not there is 404': async (api) => {
    await api.pushBlob(randomBytes(100))
    expectStatus(await api.delete(api.blobPath(missing)), 404)
  },
  'deleting a blob twice is 404': async (api) => {
    const { digest } = await api.pushBlob(randomBytes(100))
    expectStatus(await api.delete(api.blobPath(digest)), 202)
    expectStatus(await api.delete(api.blobPath(digest)), 404)
  },
  'a deleted blob can be pushed again': async (api) => {
    const { digest, bytes } = await api.pushBlob(randomBytes(100))
    expectStatus(await api.delete(api.blobPath(digest)), 202)
    await api.pushBlob(bytes)
    expectBytes(await api.get(api.blobPath(digest)), bytes)
  },
  'deleting a mounted blob in one repository leaves the other': async (api) => {
    const { digest, bytes } = await api.pushBlob(randomBytes(100))
    await api.pushBlob(bytes, { repository: api.other })
    const query = `?mount=${digest}&from=${api.repository}`
    await api.send('POST', `/v2/${api.other}/blobs/uploads/${query}`, { body: '' })
    expectStatus(await api.delete(api.blobPath(digest)), 202)
    expectStatus(await api.head(api.blobPath(digest)), 404)
    expectBytes(await api.get(api.blobPath(digest, api.other)), bytes)
  },
})
