import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { createAssembler } from '../../src/artifact/assemble.ts'
import type { Look } from '../../src/model/release.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Limits } from '../../src/oci/limits.ts'
import { ociIndex, ociManifest } from '../../src/oci/media.ts'
import { body, cut, drip, endless, hang, headers, redirect, status } from '../support/faults.ts'
import {
  json,
  putArtifact,
  putDocument,
  type Artifact,
  type Fault,
  type HostileRegistry,
  type Phase,
} from '../support/hostile-registry.ts'
import { end, entry, file, pax, tar, tarGz } from '../unit/artifact/support.ts'
import {
  bundleBytes,
  checkLook,
  expectClean,
  expectNothingOf,
  expectServed,
  openLookRig,
  type LookRig,
} from './look-rig.ts'

const assembler = createAssembler()
afterAll(() => assembler.close())

interface LookRow {
  name: string
  /** Puts what is offered next, under the tag that is followed; a sound bundle unless said. */
  offers?: (registry: HostileRegistry, good: Artifact) => Artifact
  faults?: Partial<Record<Phase, Fault>>
  limits?: Partial<Limits>
  comes: Pick<Look, 'outcome'> & { code: string; says: string }
  /** What makes it well: that the faults end, that a person asks then too, or only another artifact. */
  mendedBy: 'time' | 'request' | 'another'
}

const sound = (registry: HostileRegistry): Artifact => putArtifact(registry, bundleBytes('next'))
const failed = (code: string, says = 'acme/policies') => ({ outcome: 'failed', code, says }) as const
const refused = (code: string, says: string) => ({ outcome: 'refused', code, says }) as const

/** The transfer went wrong: the artifact may be well. */
const transfers: LookRow[] = [
  ...(
    [
      ['resolve: 500', { head: status(500) }, failed('unavailable')],
      [
        'resolve: 401, whatever the password',
        { head: status(401, { 'www-authenticate': 'Basic realm="x"' }) },
        failed('unauthorized'),
      ],
      ['resolve: redirects to itself for ever', { head: redirect(({ request }) => request.url) }, failed('redirect')],
      [
        'resolve: a page for people',
        { head: body('', { 'content-type': 'text/html' }), manifest: body('<html>', { 'content-type': 'text/html' }) },
        failed('protocol'),
      ],
      [
        'resolve: only schema 1',
        { head: headers({ 'content-type': 'application/vnd.docker.distribution.manifest.v1+json' }) },
        failed('unsupported'),
      ],
      ['resolve: the tag is gone', { head: status(404) }, failed('not_found', 'latest')],
      ['resolve: cut before headers', { head: cut('before headers') }, failed('network')],
      ['manifest: 404 after HEAD', { manifest: status(404) }, failed('not_found')],
      ['manifest: cut in body', { manifest: cut('in body') }, failed('network')],
      ['manifest: a byte at a time', { manifest: drip(1_000) }, failed('timeout')],
      [
        'manifest: Content-Encoding gzip',
        {
          manifest: (reply) => ({
            ...reply,
            headers: { ...reply.headers, 'content-encoding': 'gzip' },
            body: gzipSync(reply.body),
          }),
        },
        failed('protocol'),
      ],
      ['layer: 404', { layer: status(404) }, failed('not_found')],
      [
        'layer: 401, whatever the password',
        { layer: status(401, { 'www-authenticate': 'Basic realm="x"' }) },
        failed('unauthorized'),
      ],
      ['layer: cut before headers', { layer: cut('before headers') }, failed('network')],
      ['layer: cut at the last byte, and never more', { layer: cutForGood() }, failed('network')],
      ['layer: reset at the first byte', { layer: cut('at first byte', 'rst') }, failed('network')],
      ['layer: a byte at a time', { layer: drip(2_000) }, failed('timeout')],
      [
        'layer: Content-Encoding gzip',
        {
          layer: (reply) => ({
            ...reply,
            headers: { ...reply.headers, 'content-encoding': 'gzip' },
            body: gzipSync(reply.body),
          }),
        },
        failed('protocol'),
      ],
      ['layer: redirects to a file', { layer: redirect('file:///etc/passwd') }, failed('redirect')],
      ['layer: 429 for an hour', { layer: status(429, { 'retry-after': '3600' }) }, failed('rate_limited')],
    ] as [string, NonNullable<LookRow['faults']>, LookRow['comes']][]
  ).map(([name, faults, comes]): LookRow => ({ name, faults, comes, mendedBy: 'time' })),
  ...(
    [
      ['manifest: other bytes', { manifest: body('{"schemaVersion":2}') }, refused('digest_mismatch', 'acme/policies')],
      [
        'layer: other bytes of the right length',
        { layer: (reply) => ({ ...reply, body: Buffer.alloc(reply.body.length) }) },
        refused('digest_mismatch', 'acme/policies'),
      ],
      [
        'layer: too short, with a length that says so',
        { layer: body('short') },
        refused('size_mismatch', 'acme/policies'),
      ],
      ['layer: a body without an end', { layer: endless }, refused('size_mismatch', 'acme/policies')],
    ] as [string, NonNullable<LookRow['faults']>, LookRow['comes']][]
  ).map(([name, faults, comes]): LookRow => ({ name, faults, comes, mendedBy: 'request' })),
  {
    name: 'layer: no answer',
    faults: { layer: hang },
    limits: { headersMs: 2_000, tries: 1 },
    comes: failed('timeout'),
    mendedBy: 'time',
  },
]

const image = { schemaVersion: 2, mediaType: ociManifest }
/** A manifest that cannot be meant; the artifact is only there to be looked for. */
const offering =
  (document: (sound: Artifact, registry: HostileRegistry) => Record<string, unknown> | string): LookRow['offers'] =>
  (registry) => {
    const artifact = sound(registry)
    return { ...artifact, manifest: putDocument(registry, document(artifact, registry)) }
  }
const layers: [name: string, layer: () => Buffer, code: string, says: string][] = [
  ['a gzip bomb', () => tarGz(file('a.rego', Buffer.alloc(2_000_000))), 'bad_archive', '200 times'],
  [
    'a gzip bomb in many files',
    () => tarGz(...Array.from({ length: 40 }, (_, n) => file(`${n}.json`, Buffer.alloc(100_000)))),
    'bad_archive',
    '200 times',
  ],
  [
    'more than it may unpack to',
    () => tarGz(...Array.from({ length: 10 }, (_, n) => entry({ name: `${n}`, content: random(500_000) }))),
    'bad_archive',
    'MiB',
  ],
  ['one file that is too large', () => tarGz(file('a.rego', random(2_200_000))), 'bad_archive', 'a.rego'],
  [
    'too many entries',
    () => tarGz(...Array.from({ length: 101 }, (_, n) => file(`${n}.rego`, 'package a'))),
    'bad_archive',
    '100 entries',
  ],
  ['a name that climbs out', () => tarGz(file('../../etc/cron.d/x')), 'unsafe_path', 'leaves the folder'],
  ['a name that climbs out in the middle', () => tarGz(file('a/../../b')), 'unsafe_path', 'leaves the folder'],
  [
    'a long name that climbs out',
    () => tarGz(pax({ path: '../x' }), file('a.rego')),
    'unsafe_path',
    'leaves the folder',
  ],
  ['a symbolic link', () => tarGz(entry({ name: 'a.rego', type: '2' })), 'unsafe_path', 'symbolic link'],
  ['a hard link', () => tarGz(entry({ name: 'a.rego', type: '1' })), 'unsafe_path', 'hard link'],
  ['a character device', () => tarGz(entry({ name: 'a.rego', type: '3' })), 'unsafe_path', 'character device'],
  ['a block device', () => tarGz(entry({ name: 'a.rego', type: '4' })), 'unsafe_path', 'block device'],
  ['a named pipe', () => tarGz(entry({ name: 'a.rego', type: '6' })), 'unsafe_path', 'named pipe'],
  ['one name twice', () => tarGz(file('a.rego', 'package a'), file('a.rego', 'package b')), 'bad_archive', 'twice'],
  [
    'a file that is a folder too',
    () => tarGz(file('a', 'x'), file('a/b.rego', 'package b')),
    'bad_archive',
    'a folder',
  ],
  [
    'a file of eight hundred terabytes',
    () => tarGz(pax({ size: '800000000000000' }), file('a.rego')),
    'bad_archive',
    'a.rego',
  ],
  [
    'something behind the end',
    () => gzipSync(Buffer.concat([tar(file('a.rego', 'package a')), file('b.rego')])),
    'bad_archive',
    'after its end',
  ],
  ['a cut-off tar', () => gzipSync(file('a.rego', 'package a')), 'bad_archive', 'cut off'],
  ['a cut-off gzip', () => bundleBytes('next').subarray(0, 60), 'bad_archive', 'cut off'],
  ['a damaged gzip', () => damaged(bundleBytes('next')), 'bad_archive', 'damaged'],
  ['nothing but an end', () => gzipSync(end), 'unsupported_artifact', 'no file'],
  ['text that is no archive', () => Buffer.from('not an archive at all'), 'bad_archive', 'archive'],
  [
    'a .manifest of a million brackets',
    () => tarGz(file('.manifest', '['.repeat(1_000_000)), file('a.bin', random(20_000))),
    'bad_bundle',
    '.manifest',
  ],
  ['Rego that is not UTF-8', () => tarGz(file('a.rego', Buffer.from([0xff, 0xfe]))), 'bad_bundle', 'a.rego'],
]
/** The artifact itself is bad, and its digests are right. */
const artifacts: LookRow[] = [
  ...layers.map(([name, layer, code, says]): LookRow => ({
    name: `layer: ${name}`,
    offers: (registry) => putArtifact(registry, layer()),
    comes: refused(code, says),
    mendedBy: 'another',
  })),
  ...(
    [
      ['cut-off JSON', () => '{"layers":[', 'bad_manifest', 'not JSON'],
      ['a million brackets', () => '['.repeat(1_000_000), 'bad_manifest', '64 levels'],
      [
        'both manifests and layers',
        ({ config, layer }) => ({ ...image, config, layers: [layer], manifests: [] }),
        'bad_manifest',
        'both',
      ],
      [
        'an unknown digest algorithm',
        ({ config, layer }) => ({ ...image, config, layers: [{ ...layer, digest: 'md5:0' }] }),
        'bad_manifest',
        'sha256 or sha512',
      ],
      ['no layers', ({ config }) => ({ ...image, config, layers: [] }), 'unsupported_artifact', 'layer'],
      [
        'a layer of a petabyte',
        ({ config, layer }) => ({ ...image, config, layers: [{ ...layer, digest: digestOf('x'), size: 1e15 }] }),
        'bad_archive',
        'more to fetch than 4 MiB',
      ],
      [
        'a config of a petabyte',
        ({ config, layer }) => ({
          ...image,
          config: { ...config, digest: digestOf('x'), size: 1e15 },
          layers: [layer],
        }),
        'bad_archive',
        'more to fetch than 4 MiB',
      ],
      [
        'an index without a member for us',
        ({ manifest }) => ({
          schemaVersion: 2,
          mediaType: ociIndex,
          manifests: [
            {
              mediaType: ociManifest,
              digest: manifest.digest,
              size: manifest.bytes.length,
              platform: { os: 'plan9', architecture: 'vax' },
            },
          ],
        }),
        'unsupported_artifact',
        'plan9/vax',
      ],
      [
        'an index in an index, twelve deep',
        (made, registry) => nestedIndex(made, registry, 12),
        'bad_manifest',
        '10 deep',
      ],
    ] as [string, Parameters<typeof offering>[0], string, string][]
  ).map(([name, document, code, says]): LookRow => ({
    name: `manifest: ${name}`,
    offers: offering(document)!,
    comes: refused(code, says),
    mendedBy: 'another',
  })),
  {
    name: 'manifest: the layer that is served, under another size',
    offers: (registry, good) =>
      putArtifact(registry, good.bytes, {
        claimed: { size: good.bytes.length - 10 },
        more: { annotations: { a: 'b' } },
      }),
    comes: refused('size_mismatch', 'bytes'),
    mendedBy: 'another',
  },
  {
    name: 'layer: larger than its descriptor says',
    offers: (registry) => putArtifact(registry, bundleBytes('next'), { claimed: { size: 5 } }),
    comes: refused('size_mismatch', '5'),
    mendedBy: 'another',
  },
]

describe('a hostile registry, behind a bundle that is served', () => {
  it.each([...transfers, ...artifacts].map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    await using rig = await openLookRig(assembler, row.limits)
    await rig.look()
    await expectServed(rig, rig.good)
    const bad = (row.offers ?? sound)(rig.registry, rig.good)
    for (const [phase, fault] of Object.entries(row.faults ?? {})) rig.registry.fault(phase as Phase, afterLogin(fault))
    checkLook(await rig.look(), row.comes)
    await expectServed(rig, rig.good)
    await expectNothingOf(rig, bad)
    expectClean(rig)
    await expectMended(rig, row, bad)
  })
})

describe('a hostile registry, and a bundle that is released all the same', () => {
  it.each<{ name: string; faults: Partial<Record<Phase, Fault>> }>([
    { name: 'referrers: a million brackets', faults: { referrers: body('['.repeat(1_000_000)) } },
    { name: 'referrers: without an end', faults: { referrers: endless } },
    { name: 'referrers: 500', faults: { referrers: status(500) } },
    { name: 'referrers: one that is not there', faults: { referrers: () => json(indexOf('nothing'), ociIndex) } },
    {
      name: 'referrers: one whose bytes are others',
      faults: {
        referrers: () => json(indexOf('nothing'), ociIndex),
        manifest: (reply, { request }) =>
          request.url.endsWith(digestOf('nothing'))
            ? { ...reply, status: 200, headers: { 'content-type': ociManifest }, body: Buffer.from('something') }
            : reply,
      },
    },
    { name: 'referrers: a signature that is no manifest', faults: { cosign: () => json({}, ociManifest) } },
  ])('$name', async ({ faults }) => {
    await using rig = await openLookRig(assembler)
    await rig.look()
    const next = sound(rig.registry)
    for (const [phase, fault] of Object.entries(faults)) rig.registry.fault(phase as Phase, afterLogin(fault))
    expect(await rig.look()).toMatchObject({ outcome: 'released' })
    await expectServed(rig, next)
    expectClean(rig)
  })

  it('a tag that moves between HEAD and GET: what was resolved is what is released', async () => {
    await using rig = await openLookRig(assembler)
    await rig.look()
    const next = sound(rig.registry)
    rig.registry.fault(
      'head',
      afterLogin((reply) => {
        putArtifact(rig.registry, bundleBytes('too late'))
        return reply
      }),
      1,
    )
    expect(await rig.look()).toMatchObject({ outcome: 'released', fingerprint: next.manifest.digest })
    await expectServed(rig, next)
  })

  it('a lying referrer does not get in', async () => {
    await using rig = await openLookRig(assembler)
    const referrer = putArtifact(rig.registry, Buffer.from('a signature'), {
      tag: 'aside',
      more: { subject: about(rig.good) },
    })
    rig.registry.fault('layer', (reply, { request }) =>
      request.url.endsWith(referrer.layer.digest) ? { ...reply, body: Buffer.from('forgeries!!') } : reply,
    )
    expect(await rig.look()).toMatchObject({ outcome: 'released' })
    await expectServed(rig, rig.good)
    expect(await rig.repository.head(referrer.manifest.digest)).toBeUndefined()
    expectClean(rig)
  })
})

describe('a look that does not come to an end', () => {
  it('ends after an hour, and holds up nobody after that', async () => {
    await using rig = await openLookRig(assembler)
    await rig.look()
    sound(rig.registry)
    const [asked, isAsked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    rig.registry.fault('layer', () => asked.resolve())
    const looking = rig.look()
    await asked.promise
    isAsked.resolve()
    await rig.clock.advance(3_600_000)
    checkLook(await looking, {
      outcome: 'failed',
      code: 'timeout',
      says: `looking at ${rig.registry.name} took longer than 1h`,
    })
    await expectServed(rig, rig.good)
    expectClean(rig)
    rig.registry.heal()
    expect(await rig.look()).toMatchObject({ outcome: 'released' })
  })

  it('a Retry-After of thirty years keeps it from being looked at for six hours', async () => {
    await using rig = await openLookRig(assembler)
    await rig.look()
    rig.registry.fault('head', status(429, { 'retry-after': '999999999' }))
    const { nextAt, endedAt } = await rig.look()
    expect(nextAt! - endedAt).toBe(6 * 3_600_000)
  })
})

/** A fault of what the registry would give to somebody who has logged in. */
function afterLogin(fault: Fault): Fault {
  return (reply, wire) => (reply.status === 401 ? reply : fault(reply, wire))
}

async function expectMended(rig: LookRig, { mendedBy }: LookRow, bad: Artifact): Promise<void> {
  rig.registry.heal()
  // Not before the host may be asked again.
  await rig.hasty.pass(3_600_000)
  if (mendedBy !== 'time') expect(await rig.look('schedule')).toMatchObject({ outcome: 'refused' })
  const next = mendedBy === 'another' ? putArtifact(rig.registry, bundleBytes('well again')) : bad
  expect(await rig.look(mendedBy === 'time' ? 'schedule' : 'request')).toMatchObject({ outcome: 'released' })
  await expectServed(rig, next)
  expectClean(rig)
}

/** All but the last byte, and then nothing at all. */
function cutForGood(): Fault {
  return (reply, wire) => cut(wire.nth === 1 ? 'at last byte' : 'before headers')(reply, wire)
}

function about({ manifest }: Artifact) {
  return { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length }
}

function indexOf(text: string) {
  const manifests = [{ mediaType: ociManifest, digest: digestOf(text), size: text.length }]
  return { schemaVersion: 2, mediaType: ociIndex, manifests }
}

function nestedIndex(made: Artifact, registry: HostileRegistry, depth: number): Record<string, unknown> {
  let inner = about(made)
  for (let level = 1; level < depth; level++) {
    const raw = putDocument(registry, { schemaVersion: 2, mediaType: ociIndex, manifests: [inner] })
    inner = { mediaType: ociIndex, digest: raw.digest, size: raw.bytes.length }
  }
  return { schemaVersion: 2, mediaType: ociIndex, manifests: [inner] }
}

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  copy.fill(0xff, 40, 60)
  return copy
}

/** Does not compress, and is the same each time. */
function random(bytes: number): Buffer {
  const out = Buffer.alloc(bytes)
  let x = 1
  for (let at = 0; at + 4 <= bytes; at += 4) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 0x9e3779b9
    out.writeInt32LE(x | 0, at)
  }
  return out
}
