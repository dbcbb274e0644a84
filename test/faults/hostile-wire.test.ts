import { describe, expect, it } from 'vitest'
import {
  body,
  claimLength,
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
} from '../support/faults.ts'
import type { Fault, Phase } from '../support/hostile-registry.ts'
import {
  checkNoSecret,
  config,
  layer,
  manifest,
  manifestByTag,
  password,
  referrers,
  repositoryName,
  resolve,
  run,
  tags,
  type Failure,
  type Operation,
  type Row,
} from './drive.ts'

const regions = ['before headers', 'in headers', 'at first byte', 'in body', 'at last byte'] as const
const reads: [Phase, Operation][] = [
  ['manifest', manifest],
  ['config', config],
  ['layer', layer],
  ['tags', tags],
  ['referrers', referrers],
]
const backoff = [250, 500, 1000, 2000]
const network: Failure = { kind: 'remote', code: 'network', says: [repositoryName] }

/** A line that is cut wherever it is cut: once is mended, each time is an error after five tries. */
const cuts: Row[] = reads.flatMap(([phase, does]) =>
  regions.flatMap((where): Row[] => [
    {
      name: `${phase}: cut ${where}, once`,
      does,
      faults: { [phase]: { fault: cut(where), times: 1 } },
      requests: { [phase]: 2 },
      waits: [250],
    },
    {
      name: `${phase}: reset ${where}, once`,
      does,
      faults: { [phase]: { fault: cut(where, 'rst'), times: 1 } },
      requests: { [phase]: 2 },
      waits: [250],
    },
  ]),
)

const always: Row[] = [
  ...reads.map(([phase, does]): Row => ({
    name: `${phase}: cut before headers, always`,
    does,
    faults: { [phase]: cut('before headers') },
    requests: { [phase]: 5 },
    waits: backoff,
    fails: network,
  })),
  {
    name: 'resolve: cut in headers, always',
    does: resolve,
    faults: { head: cut('in headers') },
    requests: { head: 5 },
    waits: backoff,
    fails: network,
  },
  {
    name: 'manifest: cut in body, always',
    does: manifest,
    faults: { manifest: cut('in body') },
    requests: { manifest: 5 },
    waits: backoff,
    fails: network,
  },
  {
    // Each brings half of what is left: 12 pieces, and then four that bring nothing.
    name: 'layer: cut in body, always, goes on where it was cut until nothing more comes',
    does: layer,
    faults: { layer: cut('in body') },
    requests: { layer: 16 },
    fails: network,
  },
  {
    name: 'layer: cut before the last byte, always, ends though each brings more',
    does: layer,
    faults: { layer: cutAfter(20) },
    limits: { resumes: 7 },
    requests: { layer: 8 },
    fails: network,
  },
]

const lengths: Row[] = [
  {
    name: 'layer: claims more bytes than it sends, and goes',
    does: layer,
    faults: { layer: finAfter(claimLength((honest) => honest + 5)) },
    requests: { layer: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '3005 bytes', '3000'] },
  },
  {
    name: 'layer: claims fewer bytes than it sends',
    does: layer,
    faults: { layer: claimLength((honest) => honest - 5) },
    requests: { layer: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '2995 bytes', '3000'] },
  },
  {
    name: 'manifest: claims fewer bytes than it sends',
    does: manifest,
    faults: { manifest: claimLength((honest) => honest - 1) },
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName] },
  },
  {
    name: 'manifest: claims more bytes than it sends, and goes',
    does: manifest,
    faults: { manifest: finAfter(claimLength((honest) => honest + 1)) },
    requests: { manifest: 5 },
    fails: network,
  },
  {
    name: 'layer: two lengths that differ',
    does: layer,
    faults: { layer: headers({ 'content-length': ['3000', '3001'] }) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'protocol', says: [repositoryName] },
  },
  {
    name: 'layer: a length that is negative',
    does: layer,
    faults: { layer: headers({ 'content-length': '-1' }) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'protocol', says: [repositoryName] },
  },
  {
    name: 'layer: shorter, with a length that says so',
    does: layer,
    faults: { layer: body('short') },
    requests: { layer: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '5 bytes'] },
  },
  {
    name: 'layer: other bytes of the right length',
    does: layer,
    faults: { layer: (reply) => ({ ...reply, body: Buffer.alloc(reply.body.length, 'x') }) },
    requests: { layer: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName, 'sha256:'] },
  },
  {
    name: 'layer: other bytes of the right length after it was cut',
    does: layer,
    faults: {
      layer: async (reply, wire) =>
        wire.nth === 0 ? cut('in body')(reply, wire) : { ...reply, body: Buffer.alloc(reply.body.length, 'x') },
    },
    requests: { layer: 2 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName] },
  },
  {
    name: 'layer: after it was cut, another range than the one that was asked for',
    does: layer,
    faults: {
      layer: async (reply, wire) =>
        wire.nth === 0
          ? cut('in body')(reply, wire)
          : { ...reply, headers: { ...reply.headers, 'content-range': 'bytes 0-2999/3000' } },
    },
    requests: { layer: 2 },
    fails: { kind: 'remote', code: 'protocol', status: 206, says: [repositoryName, '1500-2999'] },
  },
  {
    name: 'layer: after it was cut, 416',
    does: layer,
    faults: {
      layer: async (reply, wire) =>
        wire.nth === 0 ? cut('in body')(reply, wire) : { ...reply, status: 416, body: Buffer.alloc(0) },
    },
    requests: { layer: 2 },
    fails: { kind: 'remote', code: 'denied', status: 416, says: [repositoryName] },
  },
  {
    name: 'layer: a part, though all was asked for',
    does: layer,
    faults: { layer: (reply) => ({ ...reply, status: 206 }) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'protocol', status: 206, says: [repositoryName] },
  },
]

const endlessRows: Row[] = [
  {
    name: 'manifest: a body without an end',
    does: manifest,
    faults: { manifest: endless },
    requests: { manifest: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '4194304'] },
  },
  {
    name: 'layer: a body without an end',
    does: layer,
    faults: { layer: endless },
    requests: { layer: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '3000'] },
  },
  {
    name: 'config: a body without an end',
    does: config,
    faults: { config: endless },
    requests: { config: 1 },
    fails: { kind: 'integrity', code: 'size_mismatch', says: [repositoryName, '2 bytes'] },
  },
  ...(['tags', 'referrers'] as const).map((phase): Row => ({
    name: `${phase}: a body without an end`,
    does: phase === 'tags' ? tags : referrers,
    faults: { [phase]: endless },
    requests: { [phase]: 1 },
    fails: { kind: 'remote', code: 'protocol', status: 200, says: [repositoryName, '4 MiB'] },
  })),
  {
    name: 'layer: an error with a body without an end',
    does: layer,
    faults: { layer: (reply, wire) => endless({ ...reply, status: 404 }, wire) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'not_found', status: 404, says: [repositoryName] },
  },
  {
    name: 'manifest: interim answers without an end',
    does: manifest,
    faults: { manifest: endlessInterim },
    limits: { tries: 1 },
    requests: { manifest: 1 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'layer: interim answers without an end',
    does: layer,
    faults: { layer: endlessInterim },
    limits: { tries: 1 },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'layer: headers without an end',
    does: layer,
    faults: { layer: raw(`HTTP/1.1 200 OK\r\n${'x-more: of the same\r\n'.repeat(50_000)}`) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'protocol', says: [repositoryName] },
  },
  {
    name: 'manifest: something that is not HTTP',
    does: manifest,
    faults: { manifest: raw('SSH-2.0-OpenSSH_9.9\r\n') },
    requests: { manifest: 1 },
    fails: { kind: 'remote', code: 'protocol', says: [repositoryName, 'HTTP'] },
  },
  {
    name: 'layer: a second answer behind the first is nobody’s',
    does: async (about) => [await layer(about), await tags(about)],
    faults: {
      layer: async (reply, wire) => {
        const forged =
          'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{"tags":["forged"]}'
        await wire.write(Buffer.concat([wire.headOf(reply), reply.body, Buffer.from(forged)]))
      },
    },
    gives: [expect.stringMatching(/^sha256:/), 'latest'],
    requests: { layer: 1, tags: 1 },
  },
]

const slow: Row[] = [
  ...(
    [
      ['head', resolve],
      ['manifest', manifest],
      ['layer', layer],
      ['tags', tags],
    ] as [Phase, Operation][]
  ).map(([phase, does]): Row => ({
    name: `${phase}: no answer at all`,
    does,
    faults: { [phase]: hang },
    limits: { headersMs: 50, tries: 2 },
    requests: { [phase]: 2 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  })),
  {
    name: 'layer: stops in the middle, once',
    does: layer,
    faults: { layer: { fault: stall, times: 1 } },
    limits: { stallMs: 2_000 },
    requests: { layer: 2 },
  },
  {
    name: 'layer: stops in the middle, always',
    does: layer,
    faults: { layer: stall },
    limits: { stallMs: 1_000, tries: 2 },
    requests: { layer: 2 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'manifest: a byte at a time',
    does: manifest,
    faults: { manifest: drip(1_000) },
    limits: { tries: 2 },
    requests: { manifest: 2 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'manifest: headers a byte at a time',
    does: manifest,
    faults: { manifest: drip(1_000, 'head') },
    limits: { tries: 1 },
    requests: { manifest: 1 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'layer: headers a byte at a time',
    does: layer,
    faults: { layer: drip(1_000, 'head') },
    limits: { tries: 1 },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName] },
  },
  {
    name: 'layer: a byte at a time',
    does: layer,
    faults: { layer: drip(1_000) },
    limits: { tries: 2 },
    requests: { layer: 2 },
    fails: { kind: 'remote', code: 'timeout', says: [repositoryName, 'in 1m'] },
  },
  {
    name: 'layer: an error whose body comes a byte at a time',
    does: layer,
    faults: { layer: endlessDrip(1_000, 404) },

    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'not_found', status: 404, says: [repositoryName] },
  },
  {
    name: 'layer: a redirect whose body comes a byte at a time',
    does: layer,
    faults: {
      layer: (reply, wire) =>
        endlessDrip(1_000, 307)(
          { ...reply, headers: { location: wire.request.url.replace('/blobs/', '/moved/') } },
          wire,
        ),
    },

    requests: { layer: 1, unknown: 1 },
    fails: { kind: 'remote', code: 'not_found', status: 404, says: [repositoryName] },
  },
]

/** Everything that another origin was told. */
function toldElsewhere(requests: { phase: Phase; headers: Record<string, string> }[]): string {
  return JSON.stringify(requests.filter(({ phase }) => phase === 'elsewhere'))
}

const redirects: Row[] = [
  ...(
    [
      ['head', resolve],
      ['manifest', manifestByTag],
      ['layer', layer],
      ['tags', tags],
      ['referrers', referrers],
    ] as [Phase, Operation][]
  ).map(([phase, does]): Row => ({
    name: `${phase}: redirects to itself for ever`,
    does,
    faults: { [phase]: redirect(({ request }) => request.url) },
    requests: { [phase]: 11 },
    fails: { kind: 'remote', code: 'redirect', says: [repositoryName, '10 times'] },
  })),
  {
    name: 'layer: another origin gets no credentials',
    does: layer,
    auth: 'basic',
    faults: {
      layer: onceIn(redirect(({ elsewhere, request }) => `${elsewhere}${request.url}?sig=signature-of-a-url`)),
    },
    requests: { layer: 2, elsewhere: 1 },
    also: (registry) => checkNoSecret(toldElsewhere(registry.requests).replaceAll('signature-of-a-url', '')),
  },
  {
    name: 'layer: another origin that asks for credentials gets none',
    does: layer,
    auth: 'basic',
    faults: {
      layer: onceIn(redirect(({ elsewhere, request }) => `${elsewhere}${request.url}?sig=signature-of-a-url`)),
      elsewhere: (reply) => ({ ...reply, status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }),
    },
    requests: { layer: 2, elsewhere: 1 },
    fails: { kind: 'remote', code: 'unauthorized', status: 401, says: [repositoryName] },
    also: (registry) => expect(toldElsewhere(registry.requests)).not.toContain('authorization'),
  },
  {
    name: 'layer: another origin that sends back does not get our credentials used',
    does: layer,
    auth: 'basic',
    faults: {
      layer: onceIn(redirect(({ elsewhere, request }) => `${elsewhere}${request.url}`)),
      elsewhere: redirect(({ origin, request }) => `${origin}${request.url}`),
    },
    requests: { layer: 3, elsewhere: 1 },
    fails: { kind: 'remote', code: 'unauthorized', status: 401, says: [repositoryName] },
  },
  {
    name: 'layer: another origin with other bytes',
    does: layer,
    faults: {
      layer: redirect(({ elsewhere, request }) => `${elsewhere}${request.url}`),
      elsewhere: (reply) => ({ ...reply, body: Buffer.alloc(reply.body.length, 'x') }),
    },
    requests: { layer: 1, elsewhere: 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [repositoryName] },
  },
  ...(
    [
      ['file:///etc/passwd', 'file:'],
      ['ftp://127.0.0.1/x', 'ftp:'],
      ['data:application/octet-stream,x', 'data:'],
      ['http://', 'no URL'],
      ['', 'nowhere'],
    ] as const
  ).map(([to, says]): Row => ({
    name: `layer: redirects to "${to}"`,
    does: layer,
    faults: { layer: redirect(to) },
    requests: { layer: 1 },
    fails: { kind: 'remote', code: 'redirect', says: [repositoryName, says] },
  })),
  {
    name: 'layer: redirects to a URL with a login of its own, which is not used',
    does: layer,
    faults: {
      layer: redirect(({ elsewhere, request }) => `${elsewhere.replace('//', `//eve:${password}@`)}${request.url}`),
    },
    requests: { layer: 1, elsewhere: 1 },
    also: (registry) => expect(toldElsewhere(registry.requests)).not.toContain('authorization'),
  },
  {
    name: 'layer: after it was cut elsewhere, the registry is asked again',
    does: layer,
    faults: {
      layer: redirect(({ elsewhere, request }) => `${elsewhere}${request.url}`),
      elsewhere: { fault: cut('in body'), times: 1 },
    },
    requests: { layer: 2, elsewhere: 2 },
  },
]

describe.concurrent('a hostile registry, on the wire', () => {
  for (const row of [...cuts, ...always]) it(row.name, () => run(row))
  for (const row of [...lengths, ...endlessRows]) it(row.name, () => run(row))
  for (const row of slow) it(row.name, () => run(row))
  for (const row of redirects) it(row.name, () => run(row))
})

/** So many bytes of each answer, and the end. */
function cutAfter(bytes: number): Fault {
  return async (reply, wire) => {
    await wire.write(Buffer.concat([wire.headOf(reply), reply.body.subarray(0, bytes)]))
    wire.fin()
  }
}

function finAfter(change: Fault): Fault {
  return async (reply, wire) => {
    const changed = await change(reply, wire)
    if (changed === undefined) return
    await wire.write(Buffer.concat([wire.headOf(changed), wire.bodyOf(changed)]))
    wire.fin()
  }
}

/** Only where the registry would have answered with content: not in place of its question who we are. */
function onceIn(fault: Fault): Fault {
  return (reply, wire) => (reply.status === 200 ? fault(reply, wire) : reply)
}
