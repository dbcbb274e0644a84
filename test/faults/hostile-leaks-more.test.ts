import { gzipSync } from 'node:zlib'
import { describe, it } from 'vitest'
import { ociIndex, ociManifest } from '../../src/oci/media.ts'
import {
  body,
  claimLength,
  cut,
  drip,
  endless,
  endlessDrip,
  hang,
  headers,
  raw,
  redirect,
  status,
} from '../support/faults.ts'
import { json, reply, type Fault } from '../support/hostile-registry.ts'
import {
  config,
  layer,
  manifest,
  manifestByTag,
  push,
  pushAtOnce,
  referrers,
  resolve,
  tags,
  type Operation,
} from './drive.ts'
import { leavesNothing, long, type Class } from './leak-rounds.ts'

const html = { 'content-type': 'text/html' }
const brackets = '['.repeat(200_000)
const gzipped: Fault = (answer) => ({
  ...answer,
  headers: { ...answer.headers, 'content-encoding': 'gzip' },
  body: gzipSync(answer.body),
})
const next = (to: string): Fault => headers({ link: `<${to}>; rel="next"` })
const at = (name: string, does: Operation, faults: Class['faults'], more: Partial<Class> = {}): Class => ({
  ...{ name, does, faults },
  ...more,
})

const access: Class[] = [
  at('token: a page for people', resolve, { token: body('<html>Sign in</html>', html) }, { auth: 'bearer' }),
  at(
    'token: never answers',
    layer,
    { token: hang },
    {
      ...{ auth: 'bearer', limits: { headersMs: 1_000, tries: 1 }, atOnce: true },
    },
  ),
  at('token: a byte at a time', layer, { token: endlessDrip(20_000) }, { auth: 'bearer' }),
  at('token: a refusal a byte at a time', layer, { token: endlessDrip(20_000, 403) }, { auth: 'bearer' }),
  at('token: cut in the body', resolve, { token: cut('in body') }, { auth: 'bearer' }),
  at('token: reset before the headers', layer, { token: cut('before headers', 'rst') }, { auth: 'bearer' }),
  at('token: 500, at length', resolve, { token: () => long(reply(500)) }, { auth: 'bearer' }),
  at('token: redirects to itself', resolve, { token: redirect(({ request }) => request.url) }, { auth: 'bearer' }),
  at('token: a hundred thousand brackets', resolve, { token: body(brackets) }, { auth: 'bearer' }),
  at(
    'head: 401 whatever the password',
    resolve,
    { head: status(401, { 'www-authenticate': 'Basic realm="x"' }) },
    {
      auth: 'basic',
    },
  ),
  at(
    'layer: 401, at length, with a realm that is a file',
    layer,
    {
      layer: () => long(reply(401, { 'www-authenticate': 'Bearer realm="file:///etc/passwd"' })),
    },
    { auth: 'bearer' },
  ),
  at('layer: 503, at length, with a date', layer, {
    layer: () => long(reply(503, { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' })),
  }),
]

const answers: Class[] = [
  at('resolve: cut before the headers', resolve, { head: cut('before headers') }),
  at('resolve: no digest, and a body of a manifest that is another', manifestByTag, {
    manifest: headers({ 'docker-content-digest': `sha256:${'0'.repeat(64)}` }),
  }),
  at('config: reset at the first byte', config, { config: cut('at first byte', 'rst') }),
  at('config: without an end', config, { config: endless }),
  at('tags: reset in the body', tags, { tags: cut('in body', 'rst') }),
  at('tags: without an end', tags, { tags: endless }),
  at('tags: the next page elsewhere', tags, { tags: (r, w) => next(`${w.elsewhere}/v2/x`)(r, w) }),
  at('tags: gzip', tags, { tags: gzipped }),
  at('referrers: cut in the body', referrers, { referrers: cut('in body') }),
  at('referrers: without an end', referrers, { referrers: endless }),
  at('referrers: brackets', referrers, { referrers: body(brackets) }),
  at('referrers: a page for people, and a tag index that is cut off', referrers, {
    referrers: () => long(reply(200, html)),
    'referrers-tag': () => reply(200, { 'content-type': ociIndex }, '{"'),
  }),
  at('manifest: without an end', manifest, { manifest: endless }),
  at('manifest: gzip', manifest, { manifest: gzipped }),
  at('manifest: brackets', manifestByTag, { manifest: () => json(brackets, ociManifest) }),
  at('manifest: 304', manifest, { manifest: status(304, { 'content-length': '' }) }),
  at('manifest: claims fewer bytes than it sends', manifest, { manifest: claimLength((honest) => honest - 1) }),
  at('manifest: headers a byte at a time', manifest, { manifest: drip(20_000, 'head') }),
  at('layer: claims fewer bytes than it sends', layer, { layer: claimLength((honest) => honest - 5) }),
  at('layer: two lengths', layer, { layer: headers({ 'content-length': ['3000', '3001'] }) }),
  at('layer: headers without an end', layer, {
    layer: raw(`HTTP/1.1 200 OK\r\n${'x-more: of the same\r\n'.repeat(5_000)}`),
  }),
  at('layer: a part, though all was asked for', layer, { layer: (r) => ({ ...r, status: 206 }) }),
  at('layer: gzip', layer, { layer: gzipped }),
  at('layer: redirects to a file', layer, { layer: redirect('file:///etc/passwd') }),
  at('layer: a second answer behind the first', layer, {
    layer: (r, wire) => wire.write(Buffer.concat([wire.headOf(r), r.body, Buffer.from('HTTP/1.1 200 OK\r\n\r\n')])),
  }),
  at('push: reset where it begins', push, { start: cut('in headers', 'rst') }),
  at('push: 429 where it ends, at length', push, { finish: () => long(reply(429, { 'retry-after': '1' })) }),
  at('at once: reset before the headers', pushAtOnce, { 'at-once': cut('before headers', 'rst') }),
]

describe('nor does it leave anything behind', () => {
  it.each([...access, ...answers].map((one) => [one.name, one] as const))('%s', (_name, one) => leavesNothing(one))
})
