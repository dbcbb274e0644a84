import { connect } from 'node:net'
import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger, silentLogger, type Logger } from '../../../../src/lib/logger.ts'
import { Redactor } from '../../../../src/lib/redact.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { ociConfig, ociManifest } from '../../../../src/oci/media.ts'
import type { Action } from '../../../../src/server/types.ts'
import { Api, codesOf, jsonOf, locationOf } from '../../../conformance/distribution/api.ts'
import { startV2Server, type V2Server, type V2ServerOptions } from '../../../conformance/distribution/server.ts'
import { waitFor } from '../../../support/wait.ts'

const servers: V2Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function start(options: V2ServerOptions): Promise<{ server: V2Server; api: Api }> {
  const server = await startV2Server(options)
  servers.push(server)
  return { server, api: new Api(server) }
}

const digest = digestOf('x')
const requests = (name: string): [string, string, Action][] => [
  ['GET', `/v2/${name}/manifests/v1`, 'read'],
  ['HEAD', `/v2/${name}/manifests/v1`, 'read'],
  ['GET', `/v2/${name}/blobs/${digest}`, 'read'],
  ['HEAD', `/v2/${name}/blobs/${digest}`, 'read'],
  ['GET', `/v2/${name}/tags/list`, 'read'],
  ['GET', `/v2/${name}/referrers/${digest}`, 'read'],
  ['GET', `/v2/_catalog`, 'read'],
  ['POST', `/v2/${name}/blobs/uploads/`, 'push'],
  ['POST', `/v2/${name}/blobs/uploads/?digest=${digest}`, 'push'],
  ['POST', `/v2/${name}/blobs/uploads/?mount=${digest}`, 'push'],
  ['GET', `/v2/${name}/blobs/uploads/1`, 'push'],
  ['PATCH', `/v2/${name}/blobs/uploads/1`, 'push'],
  ['PUT', `/v2/${name}/blobs/uploads/1?digest=${digest}`, 'push'],
  ['DELETE', `/v2/${name}/blobs/uploads/1`, 'push'],
  ['PUT', `/v2/${name}/manifests/v1`, 'push'],
  ['DELETE', `/v2/${name}/manifests/v1`, 'delete'],
  ['DELETE', `/v2/${name}/manifests/${digest}`, 'delete'],
  ['DELETE', `/v2/${name}/blobs/${digest}`, 'delete'],
]

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

/** As longshore does it: nobody else may. */
async function pushInto(server: V2Server, name: string): Promise<void> {
  const repository = server.registry.repository(name)
  const config = { mediaType: ociConfig, digest: digestOf('{}'), size: 2 }
  await repository.ingestBlob(once(Buffer.from('{}')), {})
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, config, layers: [] }))
  await repository.put({ mediaType: ociManifest, digest: digestOf(bytes), bytes }, ['v1'])
}

describe('who may not', () => {
  it('is refused with 403 DENIED', async () => {
    const { api } = await start({ may: () => false })
    for (const [method, path] of requests('a/b')) {
      const answer = await api.send(method, path, { body: 'x' })
      expect(answer.status, `${method} ${path}`).toBe(403)
      if (method !== 'HEAD') expect(codesOf(answer)).toEqual(['DENIED'])
      expect(answer.headers['www-authenticate']).toBeUndefined()
    }
  })

  it('is refused with 403 also where others could log in, once it is known who they are', async () => {
    const { api } = await start({ may: () => false, challenge: true })
    const answer = await api.get('/v2/a/manifests/v1')
    expect([answer.status, codesOf(answer), answer.headers['www-authenticate']]).toEqual([403, ['DENIED'], undefined])
  })

  it('is asked who they are when they are nobody yet', async () => {
    const { api } = await start({ may: () => false, anonymous: true, challenge: true })
    for (const [method, path] of requests('a/b')) {
      const answer = await api.send(method, path, { body: 'x' })
      expect(answer.status, `${method} ${path}`).toBe(401)
      if (method !== 'HEAD') expect(codesOf(answer)).toEqual(['UNAUTHORIZED'])
      expect(answer.headers['www-authenticate']).toBe('Basic realm="longshore"')
    }
  })

  it('is not asked where nobody can log in', async () => {
    const { api } = await start({ may: () => false, anonymous: true, challenge: false })
    expect((await api.get('/v2/a/tags/list')).status).toBe(403)
  })
})

it('each request needs the one permission that it is about, for its repository', async () => {
  let asked: [Action, string | undefined][] = []
  const { api } = await start({
    may: (action, target) => {
      asked.push([action, target])
      return false
    },
  })
  for (const [method, path, action] of requests('a/b')) {
    asked = []
    await api.send(method, path, { body: 'x' })
    expect(asked, `${method} ${path}`).toEqual([[action, path === '/v2/_catalog' ? undefined : 'a/b']])
  }
})

describe('a mount', () => {
  it('takes nothing from a repository that the caller may not read', async () => {
    const { api } = await start({ may: (action, target) => action !== 'read' || target !== 'secret' })
    const secret = await api.pushImage('v1', {}, 'secret')
    const { digest } = await api.pushBlob(Buffer.from('secret'), { repository: 'secret' })
    for (const query of [`?mount=${digest}&from=secret`, `?mount=${digest}`]) {
      expect((await api.send('POST', `/v2/other/blobs/uploads/${query}`, { body: '' })).status).toBe(202)
    }
    expect((await api.head(`/v2/other/blobs/${digest}`)).status).toBe(404)
    expect(secret.answer.status).toBe(201)
  })

  it('that does not say from where looks through all repositories, page by page', async () => {
    const { server, api } = await start({})
    const { digest } = await api.pushBlob(Buffer.from('x'), { repository: 'z' })
    const others = Array.from({ length: 1000 }, (_, nth) => `a/${1000 + nth}`)
    const asked: unknown[] = []
    server.registry.repositories = async ({ after, limit }) => {
      asked.push(after)
      return after === undefined ? others.slice(0, limit) : ['z']
    }
    const answer = await api.send('POST', `/v2/b/blobs/uploads/?mount=${digest}&from=`, { body: '' })
    expect([answer.status, asked]).toEqual([201, [undefined, 'a/1999']])
  })

  it('from what is no name opens a session', async () => {
    const { api } = await start({})
    const { digest } = await api.pushBlob(Buffer.from('x'), { repository: 'a' })
    for (const from of ['../a', 'A', '%2e%2e%2fa']) {
      const answer = await api.send('POST', `/v2/b/blobs/uploads/?mount=${digest}&from=${from}`, { body: '' })
      expect(answer.status).toBe(202)
      expect(locationOf(answer)).toMatch(/^\/v2\/b\/blobs\/uploads\//)
    }
  })
})

it('the catalog names what the caller may read, over several pages', async () => {
  const names = ['a/1', 'a/2', 'b/1', 'b/2', 'b/3']
  const { api } = await start({ may: (action, target) => action !== 'read' || target?.startsWith('a/') !== true })
  for (const name of names) await api.pushImage('v1', {}, name)
  const first = await api.get('/v2/_catalog?n=2')
  expect(jsonOf(first)).toEqual({ repositories: ['b/1', 'b/2'] })
  expect(first.headers.link).toBe('</v2/_catalog?last=b%2F2&n=2>; rel="next"')
  const second = await api.get('/v2/_catalog?last=b%2F2&n=2')
  expect(jsonOf(second)).toEqual({ repositories: ['b/3'] })
  expect(second.headers.link).toBeUndefined()
})

it('the catalog looks through no more repositories than a page needs', async () => {
  const { server, api } = await start({})
  let pages = 0
  server.registry.repositories = async ({ limit }) => {
    if (++pages > 3) throw new Error('asked for more than it needs')
    return Array.from({ length: limit }, (_, nth) => `a/${pages}/${1000 + nth}`)
  }
  expect(jsonOf(await api.get('/v2/_catalog?n=2'))).toEqual({ repositories: ['a/1/1000', 'a/1/1001'] })
  expect(pages).toBe(1)
})

describe('what is served as bundles', () => {
  it('cannot be written or deleted, and the answer says why', async () => {
    const { api } = await start({})
    for (const [method, path, action] of requests('bundles/authz')) {
      if (action === 'read') continue
      const answer = await api.send(method, path, { body: 'x' })
      expect(answer.status, `${method} ${path}`).toBe(405)
      expect(answer.headers.allow).toBe('GET, HEAD')
      expect(codesOf(answer)).toEqual(['UNSUPPORTED'])
      expect(answer.body.toString()).toMatch(/read only/)
    }
  })

  it('is not there where there is a reason for that, by no way', async () => {
    const { server, api } = await start({
      whyHidden: (bundle) => (bundle === 'authz' ? 'it is watched only' : undefined),
    })
    for (const bundle of ['authz', 'other']) {
      await server.registry.repository(`bundles/${bundle}`).ingestBlob(once(Buffer.from(bundle)), {})
      await pushInto(server, `bundles/${bundle}`)
    }
    for (const [method, path, action] of requests('bundles/authz')) {
      if (action !== 'read' || path === '/v2/_catalog') continue
      const answer = await api.send(method, path)
      expect(answer.status, `${method} ${path}`).toBe(404)
      if (method === 'GET') expect(answer.body.toString()).toMatch(/NAME_UNKNOWN.*it is watched only/)
    }
    expect(jsonOf(await api.get('/v2/_catalog')).repositories).toEqual(['bundles/other'])
    for (const [bundle, status] of [
      ['authz', 202],
      ['other', 201],
    ] as const) {
      for (const from of ['', `&from=bundles/${bundle}`]) {
        const path = `/v2/${bundle}${from.length}/blobs/uploads/?mount=${digestOf(bundle)}${from}`
        expect((await api.send('POST', path, { body: '' })).status, path).toBe(status)
      }
    }
  })

  it('is pulled byte for byte, by tag and digest', async () => {
    const { server, api } = await start({})
    const repository = server.registry.repository('bundles/authz')
    const blob = Buffer.from('{ }')
    const config = { mediaType: ociConfig, digest: digestOf(blob), size: blob.length }
    await repository.putBlob(config, async function* () {
      yield blob
    })
    const bytes = Buffer.from(`{"schemaVersion":2 ,"layers":[],"config":${JSON.stringify(config)}, "x":1.0}\n`)
    const digest = digestOf(bytes)
    await repository.put({ mediaType: ociManifest, digest, bytes }, ['r1', 'latest'])
    for (const reference of ['r1', 'latest', digest]) {
      const answer = await api.get(`/v2/bundles/authz/manifests/${reference}`)
      expect(answer.body).toEqual(bytes)
      expect(answer.headers).toMatchObject({
        'content-type': ociManifest,
        'content-length': String(bytes.length),
        'docker-content-digest': digest,
      })
      expect((await api.head(`/v2/bundles/authz/manifests/${reference}`)).status).toBe(200)
    }
    expect((await api.get(`/v2/bundles/authz/blobs/${config.digest}`)).body).toEqual(blob)
    expect(jsonOf(await api.get('/v2/bundles/authz/tags/list')).tags).toEqual(['latest', 'r1'])
    expect(jsonOf(await api.get('/v2/_catalog')).repositories).toEqual(['bundles/authz'])
  })
})

it('a client that goes away in the middle of a push is nothing to complain of', async () => {
  const complaints: unknown[] = []
  const notes: unknown[] = []
  const logger = Object.assign(Object.create(silentLogger) as Logger, {
    error: (...said: unknown[]) => complaints.push(said),
    debug: (_: unknown, text: string) => notes.push(text),
  })
  const { server, api } = await start({ logger })
  const path = await api.startUpload()
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome`)
  await waitFor(
    'some of it',
    async () => (await server.registry.uploads.status(api.repository, path.split('/').at(-1)!)) === 4,
  )
  socket.destroy()
  await waitFor('it to be noticed', () => notes.includes('the client went away'))
  expect(complaints).toEqual([])
})

describe('a line for those who ask later', () => {
  async function auditedBy(run: (api: Api) => Promise<unknown>): Promise<Record<string, unknown>[]> {
    const lines: Record<string, unknown>[] = []
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>)
        done()
      },
    })
    const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
    const { api } = await start({ logger })
    await run(api)
    return lines.filter((line) => line.audit === true)
  }

  it('is written for each push', async () => {
    const lines = await auditedBy((api) => api.pushImage('v1', {}, 'a/b'))
    expect(lines.map(({ who, action, repository, kind }) => [who, action, repository, kind])).toEqual([
      ['ann', 'push', 'a/b', 'blob'],
      ['ann', 'push', 'a/b', 'blob'],
      ['ann', 'push', 'a/b', 'manifest'],
    ])
    expect(lines[2]).toMatchObject({ reference: 'v1', digest: expect.stringMatching(/^sha256:/) })
  })

  it('is written for a blob that comes in one request', async () => {
    const lines = await auditedBy((api) =>
      api.send('POST', `/v2/a/blobs/uploads/?digest=${digestOf('whole')}`, { body: 'whole' }),
    )
    expect(lines).toMatchObject([
      { who: 'ann', action: 'push', repository: 'a', kind: 'blob', digest: digestOf('whole') },
    ])
  })

  it('is written for each mount and delete, and not for what did not happen', async () => {
    const lines = await auditedBy(async (api) => {
      const image = await api.pushImage('v1', {}, 'a')
      const blob = await api.pushBlob(Buffer.from('x'), { repository: 'a' })
      await api.send('POST', `/v2/b/blobs/uploads/?mount=${blob.digest}&from=a`, { body: '' })
      await api.delete('/v2/a/manifests/none')
      await api.delete('/v2/a/manifests/v1')
      await api.delete(`/v2/a/manifests/${image.digest}`)
      await api.delete(`/v2/a/blobs/${blob.digest}`)
    })
    const pushed = lines.slice(0, 4).map((line) => line.digest)
    const deleted = lines.slice(4).map(({ action, repository, kind }) => [action, repository, kind])
    expect(lines.slice(5).map((line) => line.digest)).toEqual([pushed[2], pushed[2], pushed[3]])
    expect(deleted).toEqual([
      ['mount', 'b', 'blob'],
      ['delete', 'a', 'tag'],
      ['delete', 'a', 'manifest'],
      ['delete', 'a', 'blob'],
    ])
  })
})
