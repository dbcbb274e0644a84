import { describe, expect, it } from 'vitest'
import { cut, endlessDrip, hang, headers, nobodyHome, redirect, status } from '../support/faults.ts'
import { reply, type Fault, type HostileRegistry } from '../support/hostile-registry.ts'
import { mount, push, pushed, pushManifest, repositoryName, run, type Failure, type Row } from './drive.ts'

const other = `sha256:${'b'.repeat(64)}`
const digest = pushed.descriptor.digest
const remote = (code: string, statusCode?: number, ...says: string[]): Failure => ({
  kind: 'remote',
  code,
  ...(statusCode !== undefined && { status: statusCode }),
  says: [repositoryName, ...says],
})
/** A try in one piece that comes to nothing. */
const one = { has: 1, start: 1, finish: 1, cancel: 1 }
const sessions: Row[] = [
  {
    name: 'start: 202 without a Location',
    does: push,
    faults: { start: headers({ location: '' }) },
    requests: { has: 1, start: 1 },
    fails: remote('protocol', 202, 'Location'),
  },
  {
    name: 'start: a Location that is no URL',
    does: push,
    faults: { start: headers({ location: 'http://[' }) },
    requests: { has: 1, start: 1 },
    fails: remote('redirect', undefined, 'no URL'),
  },
  {
    name: 'start: a Location that is a file',
    does: push,
    faults: { start: headers({ location: 'file:///etc/passwd' }) },
    requests: { has: 1, start: 1 },
    fails: remote('redirect', undefined, 'file:'),
  },
  {
    name: 'start: a Location elsewhere gets the blob, but no credentials, and what it says counts',
    does: push,
    auth: 'basic',
    faults: {
      start: (answer, { elsewhere }) => ({
        ...answer,
        headers: { ...answer.headers, location: `${elsewhere}/upload?x=1` },
      }),
      elsewhere: (answer) => ({ ...answer, status: 201 }),
    },
    // What was not stored here is not found afterwards; but who says 201 is believed.
    gives: undefined,
    requests: { has: 2, start: 1, elsewhere: 1 },
    also: (registry) => expect(toldElsewhere(registry)).not.toContain('authorization'),
  },
  {
    name: 'start: a Location elsewhere that refuses',
    does: push,
    faults: {
      start: (answer, { elsewhere }) => ({
        ...answer,
        headers: { ...answer.headers, location: `${elsewhere}/upload` },
      }),
    },
    requests: { has: 1, start: 1, elsewhere: 2 },
    fails: remote('not_found', 404),
  },
  {
    name: 'start: 200 with a page for people',
    does: push,
    faults: { start: () => reply(200, { 'content-type': 'text/html' }, '<html>') },
    requests: { has: 1, start: 1 },
    fails: remote('protocol', 200),
  },
  {
    name: 'start: redirects with 302, which would change the request',
    does: push,
    faults: { start: redirect('/elsewhere', 302) },
    requests: { has: 1, start: 1 },
    fails: remote('redirect', undefined, '302'),
  },
  {
    name: 'start: redirects to itself for ever',
    does: push,
    faults: { start: redirect(({ request }) => request.url) },
    requests: { has: 1, start: 11 },
    fails: remote('redirect', undefined, '10 times'),
  },
  {
    name: 'start: 503, twice',
    does: push,
    faults: { start: { fault: status(503), times: 2 } },
    requests: { has: 1, start: 3, finish: 1 },
    waits: [250, 500],
  },
  {
    name: 'has: says that it is there, and it is not: who lies is believed',
    does: push,
    faults: { has: headers({ 'content-length': String(pushed.bytes.length) }) },
    prepare: (registry) => void registry.blobs.set(digest, Buffer.alloc(0)),
    gives: false,
    requests: { has: 1 },
  },
  {
    name: 'has: says that another size is there: sent all the same',
    does: push,
    faults: {},
    prepare: (registry) => void registry.blobs.set(digest, Buffer.from('short')),
    requests: { has: 1, start: 1, finish: 1 },
  },
]

const finishes: Row[] = [
  {
    name: 'finish: 201 with another digest',
    does: push,
    faults: { finish: headers({ 'docker-content-digest': other }) },
    requests: one,
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [other, digest] },
  },
  {
    name: 'finish: 201 with a digest of an unknown algorithm counts for nothing',
    does: push,
    faults: { finish: headers({ 'docker-content-digest': 'blake3:abc' }) },
    requests: { has: 1, start: 1, finish: 1 },
  },
  {
    name: 'finish: cut before headers, though it was stored: not sent again',
    does: push,
    faults: { finish: { fault: cut('before headers'), times: 1 } },
    requests: { has: 2, start: 1, finish: 1, cancel: 1 },
    waits: [250],
  },
  {
    name: 'finish: reset before headers, always, and never stored',
    does: push,
    faults: {
      finish: (answer, wire) => cut('before headers', 'rst')(answer, wire),
      has: status(404),
    },
    requests: { has: 5, start: 5, finish: 5, cancel: 5 },
    waits: [250, 500, 1000, 2000],
    fails: remote('network'),
  },
  {
    name: 'finish: never answers',
    does: push,
    faults: { finish: nobodyHome },
    limits: { tries: 1 },
    requests: one,
    withinMs: 301_000,
    fails: remote('timeout', undefined, 'after the last byte'),
  },
  {
    name: 'finish: refuses a byte at a time',
    does: push,
    faults: { finish: endlessDrip(1_000, 400) },
    requests: one,
    fails: remote('denied', 400),
  },
  {
    name: 'finish: 500 before a byte was read, always',
    does: push,
    faults: { finish: status(500), has: status(404) },
    requests: { has: 5, start: 5, finish: 5, cancel: 5 },
    fails: remote('unavailable', 500),
  },
  {
    name: 'finish: 429 for an hour',
    does: push,
    faults: { finish: status(429, { 'retry-after': '3600' }) },
    // It is not asked to cancel either: it wants to be left alone.
    requests: { has: 1, start: 1, finish: 1 },
    waits: [],
    fails: { ...remote('rate_limited', 429), retryAfterMs: 3_600_000 },
  },
  {
    name: 'finish: 404 each time',
    does: push,
    faults: { finish: status(404) },
    requests: one,
    fails: remote('not_found', 404),
  },
  {
    name: 'cancel: never answers: the error before it is what counts',
    does: push,
    faults: { finish: status(400), cancel: hang },
    limits: { cancelMs: 50 },
    requests: one,
    fails: remote('denied', 400),
  },
]

const small = { chunkBytes: 8_000 }
const inChunks: Fault = (answer, { nth }) => (nth === 0 ? { ...answer, status: 413 } : answer)
const chunks: Row[] = [
  {
    name: 'chunks: too large in one piece',
    does: push,
    faults: { finish: inChunks },
    limits: small,
    requests: { has: 1, start: 2, finish: 2, patch: 3, cancel: 1 },
  },
  {
    name: 'chunks: 413 for each chunk too',
    does: push,
    faults: { finish: inChunks, patch: status(413) },
    limits: small,
    requests: { has: 1, start: 2, finish: 1, patch: 1, cancel: 2 },
    fails: remote('denied', 413),
  },
  {
    name: 'chunks: 416 without an end',
    does: push,
    faults: { finish: inChunks, patch: status(416), status: () => reply(204, { range: '0-0' }) },
    limits: small,
    requests: { has: 1, start: 2, finish: 1, patch: 5, status: 5, cancel: 2 },
    fails: remote('protocol', undefined, 'disagree'),
  },
  {
    name: 'chunks: 416, and more there than was ever sent',
    does: push,
    faults: { finish: inChunks, patch: status(416), status: () => reply(204, { range: '0-999999999' }) },
    limits: small,
    requests: { has: 1, start: 2, finish: 1, patch: 1, status: 1, cancel: 2 },
    fails: remote('protocol', undefined, 'disagree'),
  },
  {
    name: 'chunks: goes back to the beginning each time',
    does: push,
    faults: { finish: inChunks, patch: headers({ range: '0-0' }) },
    limits: small,
    requests: { has: 1, start: 2, finish: 1, patch: 5, cancel: 2 },
    fails: remote('protocol', undefined, 'disagree'),
  },
  {
    name: 'chunks: nonsense for a range counts for nothing',
    does: push,
    faults: { finish: inChunks, patch: headers({ range: 'bytes=-5' }) },
    limits: small,
    requests: { has: 1, start: 2, finish: 2, patch: 3, cancel: 1 },
  },
  ...(
    [
      ['a petabyte', '1000000000000000', 2],
      ['more digits than a number has', '9'.repeat(400), 3],
      ['negative', '-1', 3],
      ['nonsense', 'much', 3],
      ['a fraction', '0.5', 3],
    ] as const
  ).map(([name, value, patches]): Row => ({
    name: `chunks: OCI-Chunk-Min-Length is ${name}`,
    does: push,
    faults: { finish: inChunks, start: headers({ 'oci-chunk-min-length': value }) },
    limits: { ...small, chunkMaxBytes: 15_000 },
    requests: { has: 1, start: 2, finish: 2, patch: patches, cancel: 1 },
  })),
  {
    name: 'chunks: the next one is to go elsewhere, which gets no credentials',
    does: push,
    auth: 'basic',
    faults: {
      finish: inChunks,
      patch: (answer, { elsewhere }) => ({
        ...answer,
        headers: { ...answer.headers, location: `${elsewhere}/upload` },
      }),
      elsewhere: (answer) => ({ ...answer, status: 202 }),
    },
    limits: small,
    requests: { has: 2, start: 2, finish: 1, patch: 1, elsewhere: 3, cancel: 2 },
    fails: remote('protocol', 202),
    also: (registry) => expect(toldElsewhere(registry)).not.toContain('authorization'),
  },
]

const mounts: Row[] = [
  {
    name: 'mount: 201 with another digest: copied instead',
    does: mount,
    faults: { has: status(404), mount: headers({ 'docker-content-digest': other }) },
    gives: false,
    requests: { mount: 1 },
  },
  {
    name: 'mount: 202 without a Location',
    does: mount,
    faults: { has: status(404), mount: status(202) },
    requests: { mount: 1 },
    fails: remote('protocol', 202, 'Location'),
  },
  ...[400, 403, 404, 405].map((code): Row => ({
    name: `mount: ${code}: copied instead`,
    does: mount,
    faults: { has: status(404), mount: status(code) },
    gives: false,
    requests: { mount: 1 },
  })),
  {
    name: 'mount: 500, always',
    does: mount,
    faults: { has: status(404), mount: status(500) },
    requests: { mount: 5 },
    fails: remote('unavailable', 500),
  },
]

const manifests: Row[] = [
  {
    name: 'put-manifest: 201 with another digest',
    does: pushManifest,
    faults: { 'put-manifest': headers({ 'docker-content-digest': other }) },
    requests: { 'put-manifest': 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [other] },
  },
  {
    name: 'put-manifest: cut before headers, once',
    does: pushManifest,
    faults: { 'put-manifest': { fault: cut('before headers'), times: 1 } },
    requests: { 'put-manifest': 2 },
    waits: [250],
  },
  {
    name: 'put-manifest: redirects with 301, which would change the request',
    does: pushManifest,
    faults: { 'put-manifest': redirect('/v2/', 301) },
    requests: { 'put-manifest': 1 },
    fails: remote('redirect', undefined, '301'),
  },
  {
    name: 'put-manifest: 400 with a page for people',
    does: pushManifest,
    faults: { 'put-manifest': status(400, {}, '<html><b>no</b></html>') },
    requests: { 'put-manifest': 1 },
    fails: remote('denied', 400),
  },
]

describe.concurrent('a hostile registry, to whom it is pushed', () => {
  for (const row of [...sessions, ...finishes]) it(row.name, () => run(row))
  for (const row of chunks) it(row.name, () => run(row))
  for (const row of [...mounts, ...manifests]) it(row.name, () => run(row))
})

function toldElsewhere({ requests }: HostileRegistry): string {
  return JSON.stringify(requests.filter(({ phase }) => phase === 'elsewhere'))
}
