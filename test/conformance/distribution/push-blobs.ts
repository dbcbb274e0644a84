import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { digestOf, type Algorithm } from '../../../src/oci/digest.ts'
import { describe, expectBytes, expectStatus, locationOf, withQuery, type Answer, type Api } from './api.ts'
import { checksOf } from './check.ts'

const uuid = /[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[A-Za-z0-9_-]{16,}/i
const chunkBytes = 1024

/** 201, and the Location leads to the blob. */
async function expectCreated(api: Api, answer: Answer, bytes: Uint8Array): Promise<void> {
  expectStatus(answer, 201)
  expectBytes(await api.get(locationOf(answer)), bytes)
}

function chunksOf(bytes: Buffer): { bytes: Buffer; range: string }[] {
  const chunks = []
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = bytes.subarray(at, at + chunkBytes)
    chunks.push({ bytes: chunk, range: `${at}-${at + chunk.length - 1}` })
  }
  return chunks
}

/** All but the last chunk are sent. */
async function sendChunks(api: Api, bytes: Buffer, count: number): Promise<string> {
  let location = await api.startUpload()
  for (const chunk of chunksOf(bytes).slice(0, count)) {
    const answer = await api.patch(location, chunk.bytes, chunk.range)
    expectStatus(answer, 202)
    location = locationOf(answer)
  }
  return location
}

async function postWhole(api: Api, bytes: Buffer, digest: string): Promise<Answer> {
  return api.send('POST', `/v2/${api.repository}/blobs/uploads/?digest=${digest}`, {
    headers: { 'Content-Type': 'application/octet-stream' },
    body: bytes,
  })
}

function mount(api: Api, digest: string, from?: string): Promise<Answer> {
  const source = from === undefined ? '' : `&from=${from}`
  return api.send('POST', `/v2/${api.other}/blobs/uploads/?mount=${digest}${source}`, { body: '' })
}

async function expectRefusedDigest(api: Api, answer: Answer, digest: string): Promise<void> {
  expectStatus(answer, 400)
  expectStatus(await api.head(api.blobPath(digest)), 404)
}

const threeChunks = () => randomBytes(3 * chunkBytes - 5)

/** Every way to push, with either algorithm. */
function uploadForms(algorithm: Algorithm): Record<string, (api: Api) => Promise<void>> {
  const start = (api: Api) => api.startUpload(algorithm === 'sha256' ? '' : `?digest-algorithm=${algorithm}`)
  const say = (what: string) => `${what}, ${algorithm}`
  return {
    [say('POST then PUT')]: async (api) => {
      const bytes = randomBytes(512)
      const answer = await api.finish(await start(api), digestOf(bytes, algorithm), bytes)
      await expectCreated(api, answer, bytes)
    },
    [say('a single POST stores the blob')]: async (api) => {
      const bytes = randomBytes(512)
      await expectCreated(api, await postWhole(api, bytes, digestOf(bytes, algorithm)), bytes)
    },
    [say('chunks, then PUT')]: async (api) => {
      const bytes = threeChunks()
      let location = await start(api)
      for (const chunk of chunksOf(bytes)) location = locationOf(await api.patch(location, chunk.bytes, chunk.range))
      await expectCreated(api, await api.finish(location, digestOf(bytes, algorithm)), bytes)
    },
    [say('chunks, the last with PUT')]: async (api) => {
      const bytes = threeChunks()
      let location = await start(api)
      const chunks = chunksOf(bytes)
      const last = chunks.pop()!
      for (const chunk of chunks) location = locationOf(await api.patch(location, chunk.bytes, chunk.range))
      await expectCreated(api, await api.finish(location, digestOf(bytes, algorithm), last.bytes, last.range), bytes)
    },
    [say('a stream, then PUT')]: async (api) => {
      const bytes = randomBytes(100_000)
      const answer = await api.send('PATCH', await start(api), {
        headers: { 'Content-Type': 'application/octet-stream' },
        body: bytes,
        streamed: true,
      })
      expectStatus(answer, 202)
      await expectCreated(api, await api.finish(locationOf(answer), digestOf(bytes, algorithm)), bytes)
    },
    [say('a mount')]: async (api) => {
      const { digest, bytes } = await api.pushBlob(randomBytes(512), { algorithm })
      const answer = await mount(api, digest, api.repository)
      await expectCreated(api, answer, bytes)
      assert.equal(answer.headers['docker-content-digest'], digest)
      expectBytes(await api.get(api.blobPath(digest, api.other)), bytes)
    },
    [say('an empty blob')]: async (api) => {
      const empty = Buffer.alloc(0)
      const digest = digestOf(empty, algorithm)
      await expectCreated(api, await api.finish(await start(api), digest), empty)
      const answer = await api.head(api.blobPath(digest))
      expectStatus(answer, 200)
      assert.equal(answer.headers['content-length'], '0')
    },
    [say('a pushed blob answers with the digest that was given')]: async (api) => {
      const bytes = randomBytes(512)
      const digest = digestOf(bytes, algorithm)
      const answer = await api.finish(await start(api), digest, bytes)
      expectStatus(answer, 201)
      assert.equal(answer.headers['docker-content-digest'], digest)
    },
    [say('a wrong digest with PUT is 400')]: async (api) => {
      const digest = digestOf('something else', algorithm)
      await expectRefusedDigest(api, await api.finish(await start(api), digest, randomBytes(512)), digest)
    },
    [say('a wrong digest after chunks is 400')]: async (api) => {
      const digest = digestOf('something else', algorithm)
      const location = await sendChunks(api, threeChunks(), 3)
      await expectRefusedDigest(api, await api.finish(location, digest), digest)
    },
    [say('a wrong digest with the last chunk is 400')]: async (api) => {
      const bytes = threeChunks()
      const digest = digestOf('something else', algorithm)
      const location = await sendChunks(api, bytes, 2)
      const last = chunksOf(bytes)[2]!
      await expectRefusedDigest(api, await api.finish(location, digest, last.bytes, last.range), digest)
    },
    [say('a wrong digest with a single POST is 400')]: async (api) => {
      const digest = digestOf('something else', algorithm)
      await expectRefusedDigest(api, await postWhole(api, randomBytes(512), digest), digest)
    },
  }
}

export const pushBlobChecks = checksOf('push', {
  ...uploadForms('sha256'),
  ...uploadForms('sha512'),
  'starting an upload is 202 with the Location of a session of its own': async (api) => {
    const answers = [0, 1].map(() => api.send('POST', `/v2/${api.repository}/blobs/uploads/`, { body: '' }))
    const [first, second] = await Promise.all(answers)
    expectStatus(first!, 202)
    assert.match(locationOf(first!), uuid)
    assert.notEqual(locationOf(first!), locationOf(second!))
  },
  'a single POST stores the blob, or opens a session': async (api) => {
    const bytes = randomBytes(512)
    const answer = await postWhole(api, bytes, digestOf(bytes))
    expectStatus(answer, 201, 202)
    if (answer.status === 201) await expectCreated(api, answer, bytes)
    else await expectCreated(api, await api.finish(locationOf(answer), digestOf(bytes), bytes), bytes)
  },
  'a digest of an unknown algorithm is 400': async (api) => {
    const unknown = `md5:${'0'.repeat(32)}`
    expectStatus(await api.finish(await api.startUpload(), unknown, randomBytes(10)), 400)
    expectStatus(await api.finish(await api.startUpload(), 'sha256:0123', randomBytes(10)), 400)
    expectStatus(await api.send('POST', `/v2/${api.repository}/blobs/uploads/?digest=${unknown}`, { body: 'x' }), 400)
  },
  'a PUT without a digest is refused': async (api) => {
    const location = await api.startUpload()
    expectStatus(await api.send('PUT', location, { body: randomBytes(10) }), 400, 404)
  },
  'each chunk is 202 with Location and Range': async (api) => {
    let location = await api.startUpload()
    for (const chunk of chunksOf(threeChunks())) {
      const answer = await api.patch(location, chunk.bytes, chunk.range)
      expectStatus(answer, 202)
      location = locationOf(answer)
      assert.equal(answer.headers.range, `0-${chunk.range.split('-')[1]}`)
    }
  },
  'a first chunk that does not begin at 0 is 416': async (api) => {
    const answer = await api.patch(await api.startUpload(), randomBytes(100), '100-199')
    expectStatus(answer, 416)
  },
  'a chunk out of order is 416, and the session goes on': async (api) => {
    const bytes = threeChunks()
    const chunks = chunksOf(bytes)
    const location = await sendChunks(api, bytes, 1)
    for (const wrong of [chunks[2]!, chunks[0]!]) {
      expectStatus(await api.patch(location, wrong.bytes, wrong.range), 416)
    }
    const status = await api.get(location)
    expectStatus(status, 204)
    assert.equal(status.headers.range, `0-${chunkBytes - 1}`)
    let next = locationOf(status)
    for (const chunk of chunks.slice(1)) next = locationOf(await api.patch(next, chunk.bytes, chunk.range))
    await expectCreated(api, await api.finish(next, digestOf(bytes)), bytes)
  },
  'a last chunk out of order with PUT is 416, and the session goes on': async (api) => {
    const bytes = threeChunks()
    const chunks = chunksOf(bytes)
    const location = await sendChunks(api, bytes, 1)
    expectStatus(await api.finish(location, digestOf(bytes), chunks[2]!.bytes, chunks[2]!.range), 416)
    const answer = await api.patch(location, chunks[1]!.bytes, chunks[1]!.range)
    expectStatus(answer, 202)
    const last = chunks[2]!
    await expectCreated(api, await api.finish(locationOf(answer), digestOf(bytes), last.bytes, last.range), bytes)
  },
  'a Content-Range that is not FIRST-LAST is refused': async (api) => {
    for (const range of ['bytes 0-99/100', '0-', 'x-y', '99-0']) {
      const answer = await api.patch(await api.startUpload(), randomBytes(100), range)
      assert.ok(answer.status >= 400 && answer.status < 500, `${range}: ${describe(answer)}`)
    }
  },
  'a Content-Range that is not as long as the body is refused': async (api) => {
    const location = await api.startUpload()
    const answer = await api.patch(location, randomBytes(100), '0-49')
    assert.ok(answer.status >= 400 && answer.status < 500, describe(answer))
  },
  "an upload's status is 204 with Location and Range": async (api) => {
    const answer = await api.get(await sendChunks(api, threeChunks(), 2))
    expectStatus(answer, 204)
    assert.equal(answer.headers.range, `0-${2 * chunkBytes - 1}`)
    locationOf(answer)
  },
  'an upload that nobody started is 404': async (api) => {
    const location = `/v2/${api.repository}/blobs/uploads/00000000-0000-4000-8000-000000000000`
    expectStatus(await api.get(location), 404)
    expectStatus(await api.patch(location, randomBytes(10)), 404)
    expectStatus(await api.finish(location, digestOf('x'), 'x'), 404)
  },
  'a cancelled upload is 204, and then it is gone': async (api) => {
    const location = await sendChunks(api, threeChunks(), 1)
    expectStatus(await api.delete(location), 204)
    expectStatus(await api.get(location), 404)
    expectStatus(await api.patch(location, randomBytes(10)), 404)
  },
  'an upload that nobody goes on with expires': async (api) => {
    if (api.target.letTimePass === undefined) return
    const location = await sendChunks(api, threeChunks(), 1)
    await api.target.letTimePass(7 * 24 * 3_600_000)
    expectStatus(await api.get(location), 404)
    expectStatus(await api.patch(location, randomBytes(10)), 404)
  },
  'a mount without a source is 201 or 202': async (api) => {
    const { digest, bytes } = await api.pushBlob(randomBytes(512))
    const answer = await mount(api, digest)
    expectStatus(answer, 201, 202)
    if (answer.status === 201) await expectCreated(api, answer, bytes)
    else locationOf(answer)
  },
  'a mount finds the blob without being told where': async (api) => {
    const { digest, bytes } = await api.pushBlob(randomBytes(512))
    await api.pushImage('v1')
    await expectCreated(api, await mount(api, digest), bytes)
  },
  'a mount that cannot be is 202 with a session that works': async (api) => {
    const bytes = randomBytes(512)
    const digest = digestOf(bytes)
    await api.pushBlob(randomBytes(10))
    for (const from of [api.repository, `${api.repository}/nowhere`, undefined]) {
      const answer = await mount(api, digest, from)
      expectStatus(answer, 202)
      locationOf(answer)
    }
    const session = locationOf(await mount(api, digest, api.repository))
    expectStatus(await api.send('PUT', withQuery(session, `digest=${digest}`), { body: bytes }), 201)
    expectBytes(await api.get(api.blobPath(digest, api.other)), bytes)
  },
  'a blob that is there already can be pushed again': async (api) => {
    const { bytes } = await api.pushBlob(randomBytes(512))
    const answer = await api.finish(await api.startUpload(), digestOf(bytes), bytes)
    await expectCreated(api, answer, bytes)
  },
})
