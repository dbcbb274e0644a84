import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import {
  body,
  cut,
  drip,
  endless,
  endlessDrip,
  endlessInterim,
  hang,
  headers,
  raw,
  redirect,
  stall,
  status,
} from '../support/faults.ts'
import {
  hostileRegistry,
  json,
  putArtifact,
  reply,
  type Fault,
  type HostileReply,
} from '../support/hostile-registry.ts'
import {
  config,
  HastyClock,
  hostileClient,
  layer,
  layerBytes,
  manifest,
  mount,
  push,
  pushManifest,
  referrers,
  resolve,
  tags,
} from './drive.ts'
import { leavesNothing, long, type Class } from './leak-rounds.ts'
import { rounds } from './leaks.ts'

const wire = (['before headers', 'in headers', 'at first byte', 'in body', 'at last byte'] as const).flatMap(
  (where): Class[] => [
    { name: `layer: cut ${where}`, does: layer, faults: { layer: cut(where) } },
    { name: `manifest: reset ${where}`, does: manifest, faults: { manifest: cut(where, 'rst') } },
  ],
)
const answers: Class[] = [
  { name: 'layer: endless', does: layer, faults: { layer: endless } },
  { name: 'layer: an endless error', does: layer, faults: { layer: (r, w) => endless({ ...r, status: 404 }, w) } },
  { name: 'config: wrong bytes', does: config, faults: { config: body('xx') } },
  { name: 'layer: wrong size', does: layer, faults: { layer: body('short') } },
  { name: 'layer: not HTTP', does: layer, faults: { layer: raw('SSH-2.0\r\n\r\n') } },
  { name: 'layer: a redirect loop', does: layer, faults: { layer: redirect(({ request }) => request.url) } },
  {
    name: 'layer: a redirect elsewhere, which breaks off',
    does: layer,
    faults: {
      layer: redirect(({ elsewhere, request }) => `${elsewhere}${request.url}`),
      elsewhere: cut('at first byte'),
    },
  },
  {
    name: 'layer: a redirect with a long body',
    does: layer,
    faults: { layer: (_r, { elsewhere }) => long(reply(307, { location: elsewhere })) },
  },
  {
    name: 'layer: 416 after it was cut',
    does: layer,
    faults: { layer: (r, w) => (w.nth % 2 === 0 ? cut('in body')(r, w) : { ...r, status: 416 }) },
  },
  {
    name: 'layer: another range after it was cut',
    does: layer,
    faults: {
      layer: (r, w) =>
        w.request.headers.range === undefined
          ? cut('in body')(r, w)
          : { ...r, headers: { ...r.headers, 'content-range': 'bytes 1-2/3' } },
    },
  },
  { name: 'resolve: 500', does: resolve, faults: { head: status(500) } },
  { name: 'resolve: 429', does: resolve, faults: { head: status(429, { 'retry-after': '1' }) } },
  { name: 'manifest: HTML', does: manifest, faults: { manifest: body('<html>', { 'content-type': 'text/html' }) } },
  {
    name: 'tags: two pages for ever',
    does: tags,
    faults: { tags: (r, { nth }) => ({ ...r, headers: { ...r.headers, link: `<?last=${nth % 2}>; rel="next"` } }) },
  },
  {
    name: 'referrers: half a document',
    does: referrers,
    faults: { referrers: (r) => ({ ...r, body: Buffer.from('{') }) },
  },
  { name: 'token: refused', does: resolve, auth: 'bearer', faults: { token: status(403) } },
  {
    name: 'token: refused each second time, after a long answer that nobody read',
    does: layer,
    auth: 'bearer',
    faults: { token: alternately(json({ token: 'stale' }), reply(403)), layer: (r) => long(r) },
  },
  { name: 'token: endless', does: resolve, auth: 'bearer', faults: { token: endless } },
  {
    name: 'token: in vain',
    does: resolve,
    auth: 'bearer',
    faults: {
      head: (_r, { origin }) => reply(401, { 'www-authenticate': `Bearer realm="${origin}/token"` }),
      token: (_r, { nth }) => json({ token: `token-${nth}` }),
    },
  },
  { name: 'push: 500 before a byte was read', does: push, faults: { finish: status(500) } },
  { name: 'push: cut', does: push, faults: { finish: cut('before headers', 'rst'), has: status(404) } },
  { name: 'push: no Location', does: push, faults: { start: headers({ location: '' }) } },
  {
    name: 'push: 416 for ever',
    does: push,
    faults: { finish: status(413), patch: status(416) },
    limits: { chunkBytes: 8_000 },
  },
  {
    name: 'mount: 202 each time',
    does: mount,
    faults: { has: status(404), mount: (_r, { nth }) => reply(202, { location: `/x/${nth}` }) },
  },
  {
    name: 'push: another digest',
    does: pushManifest,
    faults: { 'put-manifest': headers({ 'docker-content-digest': `sha256:${'b'.repeat(64)}` }) },
  },
]
const slow: Class[] = [
  {
    name: 'resolve: no answer',
    does: resolve,
    faults: { head: hang },
    limits: { headersMs: 2_000, tries: 1 },
    atOnce: true,
  },
  {
    name: 'layer: no answer',
    does: layer,
    faults: { layer: hang },
    limits: { headersMs: 2_000, tries: 1 },
    atOnce: true,
  },
  { name: 'layer: stops', does: layer, faults: { layer: stall }, limits: { stallMs: 2_000, tries: 1 }, atOnce: true },
  { name: 'layer: a byte at a time', does: layer, faults: { layer: drip(20_000) } },
  { name: 'layer: an error a byte at a time', does: layer, faults: { layer: endlessDrip(20_000, 404) } },
  { name: 'manifest: interim answers', does: manifest, faults: { manifest: endlessInterim } },
]

describe('a hostile registry leaves nothing behind', () => {
  it.each([...wire, ...answers, ...slow].map((one) => [one.name, one] as const))('%s', (_name, one) =>
    leavesNothing(one),
  )

  it('not even a listener on the signal of a caller who asks for long', async () => {
    const clock = new HastyClock()
    await using registry = await hostileRegistry({ pass: (ms) => clock.pass(ms) })
    const artifact = putArtifact(registry, layerBytes)
    const client = hostileClient(registry, clock, { limits: { tries: 2, circuitFailures: Infinity } })
    const repository = client.repository(registry.name)
    const { signal } = new AbortController()
    for (const phase of ['head', 'layer', 'tags'] as const) registry.fault(phase, cut('before headers'))
    for (let at = 0; at < rounds; at++) {
      await repository.head('latest', signal).catch(() => undefined)
      await Array.fromAsync(repository.blob(artifact.layer, signal)).catch(() => undefined)
      await Array.fromAsync(repository.tags(signal)).catch(() => undefined)
    }
    expect(getEventListeners(signal, 'abort').length).toBeLessThan(5)
    await client.close()
  })
})

function alternately(one: HostileReply, other: HostileReply): Fault {
  let count = 0
  return () => (count++ % 2 === 0 ? one : other)
}
