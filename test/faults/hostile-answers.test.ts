import { gzipSync } from 'node:zlib'
import { describe, it } from 'vitest'
import { ociIndex, ociManifest } from '../../src/oci/media.ts'
import { body, headers, status } from '../support/faults.ts'
import { json, putDocument, reply, type Fault, type HostileReply } from '../support/hostile-registry.ts'
import {
  layer,
  manifest,
  manifestByTag,
  referrers,
  repositoryName,
  resolve,
  run,
  tags,
  type Failure,
  type Operation,
  type Row,
} from './drive.ts'

const zeros = '0'.repeat(64)
const dockerSchema1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
const other = { mediaType: ociManifest, digest: `sha256:${'b'.repeat(64)}`, size: 10 }
const config = { mediaType: 'application/vnd.oci.image.config.v1+json', digest: `sha256:${zeros}`, size: 2 }
const image = { schemaVersion: 2, mediaType: ociManifest, config, layers: [] }

/** The tag stands for this document, and its digest is right: what is in it is not. */
function documents(
  cases: [name: string, document: Record<string, unknown> | string, says: string, mediaType?: string][],
): Row[] {
  return cases.map(([name, document, says, mediaType]) => ({
    name: `manifest: ${name}`,
    does: manifestByTag,
    faults: {},
    prepare: (registry) => void putDocument(registry, document, mediaType === undefined ? {} : { mediaType }),
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'bad_manifest', says: [repositoryName, says] },
  }))
}

const indexOf = (member: object) => ({ schemaVersion: 2, mediaType: ociIndex, manifests: [{ ...other, ...member }] })
const nested = (depth: number) => `${'[['.repeat(depth / 2)}${']]'.repeat(depth / 2)}`
const manifests: Row[] = [
  ...documents([
    ['cut-off JSON', '{"schemaVersion":2,"layers":[', 'not JSON'],
    ['nothing', '', 'not JSON'],
    ['a list', '[]', 'not an object'],
    ['null', 'null', 'not an object'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1'), 'not JSON'],
    ['a million brackets', nested(1_000_000), '64 levels'],
    ['a config nested a thousand deep', `{"config":${nested(1_000)}}`, '64 levels'],
    ['schemaVersion 1 as an OCI manifest', { ...image, schemaVersion: 1 }, 'schemaVersion 2'],
    ['both manifests and layers', { ...image, manifests: [other] }, 'both an index and an image'],
    ['both layers and manifests, as an index', { ...image, mediaType: ociIndex, manifests: [other] }, 'both an index'],
    ['an image that came as an index', { ...image, mediaType: ociIndex }, 'content of an image manifest'],
    ['an index that came as an image', { schemaVersion: 2, mediaType: ociManifest, manifests: [] }, 'of an index'],
    ['another mediaType than Content-Type', { ...image, mediaType: ociIndex }, 'calls itself', ociManifest],
    ['a layer with md5', { ...image, layers: [{ ...other, digest: `md5:${'0'.repeat(32)}` }] }, 'sha256 or sha512'],
    ['a layer with a short sha256', { ...image, layers: [{ ...other, digest: 'sha256:abc' }] }, 'sha256 or sha512'],
    ['a digest that is a path', { ...image, config: { ...config, digest: 'sha256:../../etc/passwd' } }, 'sha256 or'],
    ['a layer of -1 bytes', { ...image, layers: [{ ...other, size: -1 }] }, 'no valid size'],
    ['a layer of 1e300 bytes', { ...image, layers: [{ ...other, size: 1e300 }] }, 'no valid size'],
    ['a layer of "5" bytes', { ...image, layers: [{ ...other, size: '5' }] }, 'no valid size'],
    ['layers that are no list', { ...image, layers: { 0: other } }, 'not a list'],
    ['a layer that is null', { ...image, layers: [null] }, 'not a descriptor'],
    ['no config', { ...image, config: undefined }, 'not a descriptor'],
    ['a media type with a line break', { ...image, layers: [{ ...other, mediaType: 'a/b\r\nx: y' }] }, 'media type'],
    ['annotations that are a text', { ...image, annotations: 'abc' }, 'annotations that are not an object'],
    ['annotations that are a list', { ...image, annotations: ['a'] }, 'annotations that are not an object'],
    ['a platform that is a text', indexOf({ platform: 'linux/amd64' }), 'a platform that is not an object'],
    ['a system that is a number', indexOf({ platform: { os: 5, architecture: 'x' } }), 'os is not a string'],
    ['annotations that are no strings', { ...image, annotations: { a: { b: 1 } } }, 'not a string'],
  ]),
  {
    name: 'manifest: 5 MiB of it',
    does: manifestByTag,
    faults: {},
    prepare: (registry) => void putDocument(registry, { ...image, annotations: { a: 'x'.repeat(5 * 1024 * 1024) } }),
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '4194304'] },
  },
  ...(['resolve', 'manifest'] as const).map((what): Row => ({
    name: `${what}: only in schema 1`,
    does: what === 'resolve' ? resolve : manifestByTag,
    faults: {},
    prepare: (registry) => void putDocument(registry, { schemaVersion: 1 }, { mediaType: dockerSchema1 }),
    requests: what === 'resolve' ? { head: 1 } : { manifest: 1 },
    fails: { kind: 'remote', code: 'unsupported', says: [repositoryName, 'schema 1'] },
  })),
  {
    name: 'manifest: a page for people',
    does: manifest,
    faults: { manifest: body('<html>Sign in</html>', { 'content-type': 'text/html' }) },
    requests: { manifest: 1 },
    fails: { kind: 'remote', code: 'protocol', status: 200, says: [repositoryName, 'text/html'] },
  },
  {
    name: 'manifest: other bytes than the digest that was asked for',
    does: manifest,
    faults: { manifest: body(JSON.stringify(image)) },
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName] },
  },
  {
    name: 'manifest: other bytes than the header says',
    does: manifestByTag,
    faults: { manifest: headers({ 'docker-content-digest': `sha256:${zeros}` }) },
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName, zeros] },
  },
  {
    name: 'manifest: a digest header of an unknown algorithm counts for nothing',
    does: manifestByTag,
    faults: { manifest: headers({ 'docker-content-digest': `blake3:${zeros}` }) },
    requests: { manifest: 1 },
  },
  {
    name: 'resolve: a digest header of an unknown algorithm: fetched and hashed instead',
    does: resolve,
    faults: { head: headers({ 'docker-content-digest': 'md5:abc' }) },
    requests: { head: 1, manifest: 1 },
  },
  {
    name: 'resolve: no digest header: fetched and hashed instead',
    does: resolve,
    faults: { head: headers({ 'docker-content-digest': '' }), manifest: headers({ 'docker-content-digest': '' }) },
    requests: { head: 1, manifest: 1 },
  },
  {
    name: 'resolve: by digest, and the registry says another one',
    does: ({ repository, artifact }) => repository.head(artifact.manifest.digest),
    faults: { head: headers({ 'docker-content-digest': `sha256:${zeros}` }) },
    requests: { head: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [zeros] },
  },
  {
    name: 'resolve: the tag changes between HEAD and GET: each is what it was',
    does: async ({ repository }) => {
      const found = await repository.head('latest')
      return (await repository.manifest(found!.digest)).digest === found!.digest
    },
    faults: {
      head: (answer, wire) => {
        // As soon as it is looked at, it is another.
        if (wire.nth === 0) moved?.()
        return answer
      },
    },
    prepare: (registry) => {
      moved = () => void putDocument(registry, { ...image, annotations: { moved: 'on' } })
    },
    gives: true,
    requests: { head: 1, manifest: 1 },
  },
  {
    name: 'resolve: a HEAD that says there is, and a GET that says there is not',
    does: async ({ repository, artifact }) => {
      await repository.head('latest')
      return repository.manifest(artifact.manifest.digest)
    },
    faults: { manifest: status(404) },
    requests: { head: 1, manifest: 1 },
    fails: { kind: 'remote', code: 'not_found', status: 404, says: [repositoryName] },
  },
]
let moved: (() => void) | undefined

/** Identity was asked for. */
const gzipped: Fault = (answer) => ({
  ...answer,
  headers: { ...answer.headers, 'content-encoding': 'gzip' },
  body: gzipSync(answer.body),
})
const encodings: Row[] = (
  [
    ['manifest', manifest, { kind: 'remote', code: 'protocol', status: 200 }],
    ['layer', layer, { kind: 'remote', code: 'protocol', status: 200 }],
    ['tags', tags, { kind: 'remote', code: 'protocol', status: 200 }],
    ['referrers', referrers, { kind: 'remote', code: 'protocol', status: 200 }],
  ] as const
).map(([phase, does, fails]): Row => ({
  name: `${phase}: Content-Encoding gzip, though identity was asked for`,
  does,
  faults: { [phase]: gzipped },
  requests: { [phase]: 1 },
  fails: { ...fails, says: [repositoryName, 'gzip'] },
}))
encodings.push({
  name: 'layer: Content-Encoding gzip on bytes that are right is a stray word of the storage',
  does: layer,
  faults: { layer: headers({ 'content-encoding': 'gzip' }) },
  requests: { layer: 1 },
})

const next = (to: (nth: number) => string): Fault => {
  return (answer, { nth }) => ({ ...answer, headers: { ...answer.headers, link: `<${to(nth)}>; rel="next"` } })
}
const protocol = (...says: string[]): Failure => ({
  kind: 'remote',
  code: 'protocol',
  says: [repositoryName, ...says],
})
const answered = (...says: string[]): Failure => ({ ...protocol(...says), status: 200 })

/** The same for tags and referrers, but for how an honest page looks. */
const lists: Row[] = (
  [
    ['tags', tags, 'tags'],
    ['referrers', referrers, 'manifests'],
  ] as ['tags' | 'referrers', Operation, string][]
).flatMap(([phase, does, field]): Row[] => [
  {
    name: `${phase}: the next page is the same page`,
    does,
    faults: {
      [phase]: (answer: HostileReply, wire: Parameters<Fault>[1]) => next(() => wire.request.url)(answer, wire),
    },
    requests: { [phase]: 1 },
    fails: protocol('same page'),
  },
  {
    name: `${phase}: two pages that name each other`,
    does,
    faults: { [phase]: next((nth) => `?last=${nth % 2}`) },
    requests: { [phase]: 3 },
    fails: protocol('same page'),
  },
  {
    name: `${phase}: pages without an end`,
    does,
    faults: { [phase]: next((nth) => `?last=${nth}`) },
    limits: { pages: 20 },
    requests: { [phase]: 20 },
    fails: protocol('more than 20 pages'),
  },
  {
    name: `${phase}: pages that are more than fits together`,
    does,
    faults: {
      [phase]: (answer: HostileReply, wire: Parameters<Fault>[1]) =>
        next((nth) => `?last=${nth}`)(padded(answer, 400_000), wire),
    },
    limits: { listBytes: 1024 * 1024 },
    requests: { [phase]: 3 },
    fails: protocol('more than 1 MiB'),
  },
  {
    name: `${phase}: one page that is too large`,
    does,
    faults: { [phase]: (answer: HostileReply) => padded(answer, 5 * 1024 * 1024) },
    requests: { [phase]: 1 },
    fails: answered('more than 4 MiB'),
  },
  {
    name: `${phase}: the next page elsewhere`,
    does,
    faults: {
      [phase]: (answer: HostileReply, wire: Parameters<Fault>[1]) => next(() => `${wire.elsewhere}/v2/x`)(answer, wire),
    },
    requests: { [phase]: 1 },
    fails: protocol('next page at 127.0.0.1:'),
  },
  {
    name: `${phase}: the next page is a file`,
    does,
    faults: { [phase]: next(() => 'file:///etc/passwd') },
    requests: { [phase]: 1 },
    fails: protocol('next page at'),
  },
  {
    name: `${phase}: the next page is no URL`,
    does,
    faults: { [phase]: next(() => 'http://[') },
    requests: { [phase]: 1 },
    fails: protocol('no URL'),
  },
  {
    name: `${phase}: a Link header of brackets is read at once, and as nothing`,
    does,
    faults: { [phase]: headers({ link: '<'.repeat(15_000) }) },
    requests: { [phase]: 1 },
  },
  {
    name: `${phase}: cut-off JSON`,
    does,
    faults: { [phase]: (answer: HostileReply) => ({ ...answer, body: Buffer.from(`{"${field}":[`) }) },
    requests: { [phase]: 1 },
    fails: answered('not JSON'),
  },
  {
    name: `${phase}: a million brackets`,
    does,
    faults: { [phase]: (answer: HostileReply) => ({ ...answer, body: Buffer.from(nested(1_000_000)) }) },
    requests: { [phase]: 1 },
    fails: answered('64 levels'),
  },
  {
    name: `${phase}: something else than a list`,
    does,
    faults: {
      [phase]: (answer: HostileReply) => ({
        ...answer,
        body: Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, [field]: 'all of them' })),
      }),
    },
    requests: { [phase]: 1 },
    fails: answered('list'),
  },
])

const moreLists: Row[] = [
  {
    name: 'tags: a page for people',
    does: tags,
    faults: { tags: body('<html>Sign in</html>', { 'content-type': 'text/html' }) },
    requests: { tags: 1 },
    fails: answered('text/html'),
  },
  {
    name: 'tags: names that are none are left out',
    does: tags,
    faults: { tags: () => json({ tags: ['ok', '../../etc', '', null, { a: 1 }, 'x'.repeat(200), 'a\nb', '-x'] }) },
    gives: 'ok',
    requests: { tags: 1 },
  },
  {
    name: 'referrers: one with a digest that is none',
    does: referrers,
    faults: {
      referrers: () =>
        json({ schemaVersion: 2, mediaType: ociIndex, manifests: [{ ...other, digest: 'sha256:..' }] }, ociIndex),
    },
    requests: { referrers: 1 },
    fails: answered('digest'),
  },
  {
    name: 'referrers: an image instead of an index',
    does: referrers,
    faults: { referrers: () => json(image, ociIndex) },
    requests: { referrers: 1 },
    fails: answered('calls itself'),
  },
  {
    name: 'referrers: says that it filtered, and did not',
    does: ({ repository, artifact }) =>
      repository.referrers(artifact.manifest.digest, { artifactType: 'a/b' }).then((found) => found.length),
    faults: {
      referrers: () =>
        json({ schemaVersion: 2, mediaType: ociIndex, manifests: [{ ...other, artifactType: 'x/y' }] }, ociIndex),
    },
    gives: 0,
    requests: { referrers: 1 },
  },
  {
    name: 'referrers: a page for people, and a tag index that is an image',
    does: referrers,
    faults: {
      referrers: () => reply(200, { 'content-type': 'text/html' }, '<html>'),
      'referrers-tag': () => json(image, ociManifest),
    },
    gives: 0,
    requests: { referrers: 1, 'referrers-tag': 1 },
  },
  {
    name: 'referrers: 404, and a tag index that is cut-off JSON',
    does: referrers,
    faults: { referrers: status(404), 'referrers-tag': () => reply(200, { 'content-type': ociIndex }, '{"') },
    requests: { referrers: 1, 'referrers-tag': 1 },
    fails: { kind: 'integrity', code: 'bad_manifest', says: [repositoryName, 'not JSON'] },
  },
]

function padded(answer: HostileReply, bytes: number): HostileReply {
  return { ...answer, body: Buffer.concat([answer.body, Buffer.alloc(bytes, ' ')]) }
}

describe.concurrent('a hostile registry, in what it answers', () => {
  for (const row of manifests) it(row.name, () => run(row))
  for (const row of encodings) it(row.name, () => run(row))
  for (const row of [...lists, ...moreLists]) it(row.name, () => run(row))
})
