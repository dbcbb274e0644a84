import { describe, expect, it } from 'vitest'
import { body, cut, drip, endless, endlessDrip, hang, headers, redirect, status } from '../support/faults.ts'
import {
  json,
  reply,
  type Fault,
  type HostileRegistry,
  type HostileReply,
  type Wire,
} from '../support/hostile-registry.ts'
import {
  layer,
  manifest,
  password,
  repositoryName,
  resolve,
  run,
  tags,
  type Failure,
  type Operation,
  type Row,
} from './drive.ts'

const refusedAs = (code: string, statusCode: number, ...says: string[]): Failure => ({
  kind: 'remote',
  code,
  status: statusCode,
  says,
})
const operations: ['head' | 'manifest' | 'layer' | 'tags', Operation][] = [
  ['head', resolve],
  ['manifest', manifest],
  ['layer', layer],
  ['tags', tags],
]
const challenge = (parameters: string): Fault => status(401, { 'www-authenticate': `Bearer ${parameters}` })

const loops: Row[] = [
  ...operations.map(([phase, does]): Row => ({
    name: `${phase}: 401 whatever the token`,
    does,
    auth: 'bearer',
    faults: {
      [phase]: (_reply: HostileReply, wire: Wire) =>
        reply(401, { 'www-authenticate': `Bearer realm="${wire.origin}/token",service="x"` }),
    } satisfies Row['faults'],
    requests: { [phase]: 2, token: 1 },
    fails: refusedAs('unauthorized', 401, repositoryName),
  })),
  {
    name: 'head: 401 whatever the password',
    does: resolve,
    auth: 'basic',
    faults: { head: status(401, { 'www-authenticate': 'Basic realm="x"' }) },
    requests: { head: 2 },
    fails: refusedAs('unauthorized', 401, repositoryName),
  },
  {
    name: 'head: 401 without a word how',
    does: resolve,
    auth: 'basic',
    faults: { head: status(401) },
    requests: { head: 1 },
    fails: refusedAs('unauthorized', 401, repositoryName),
  },
  {
    name: 'head: 401 with a scheme that nobody knows',
    does: resolve,
    auth: 'basic',
    faults: { head: status(401, { 'www-authenticate': 'Negotiate YII==, Digest realm="x"' }) },
    requests: { head: 1 },
    fails: refusedAs('unauthorized', 401, repositoryName),
  },
  {
    name: 'manifest: wants more scope each time',
    does: manifest,
    auth: 'bearer',
    faults: {
      manifest: (_reply, { origin, nth }) =>
        reply(403, {
          'www-authenticate': `Bearer realm="${origin}/token",error="insufficient_scope",scope="repository:r${nth}:pull"`,
        }),
      token: (_reply, { nth }) => json({ token: `token-${nth}` }),
    },
    requests: { manifest: 3, token: 2 },
    fails: refusedAs('denied', 403, repositoryName),
  },
  {
    name: 'manifest: 403, and nothing is tried again',
    does: manifest,
    faults: { manifest: status(403) },
    requests: { manifest: 1 },
    fails: refusedAs('denied', 403, repositoryName),
  },
]

const realm = (name: string, parameters: string, says: string): Row => ({
  name: `realm: ${name}`,
  does: resolve,
  auth: 'bearer',
  faults: { head: challenge(parameters) },
  requests: { head: 1 },
  fails: refusedAs('protocol', 401, says),
})
const realms: Row[] = [
  realm('a file', 'realm="file:///etc/passwd"', 'file:'),
  realm('no URL', 'realm="http://["', 'no URL'),
  realm('with a login of its own', `realm="http://eve:${password}@127.0.0.1/token"`, 'credentials of its own'),
  realm('empty', 'realm=""', 'missing'),
]

const tokens: Row[] = [
  {
    name: 'token: never answers',
    does: resolve,
    auth: 'bearer',
    faults: { token: hang },
    // The registry itself answers in time, however much else there is to do.
    limits: { headersMs: 2_000, tries: 2 },
    requests: { head: 2, token: 2 },
    fails: { kind: 'remote', code: 'timeout', says: [] },
  },
  {
    name: 'token: a byte at a time, for metadata',
    does: resolve,
    auth: 'bearer',
    faults: { token: drip(2_000) },
    limits: { tries: 1 },
    requests: { head: 1, token: 1 },
    fails: { kind: 'remote', code: 'timeout', says: [] },
  },
  {
    name: 'token: a byte at a time, for a blob',
    does: layer,
    auth: 'bearer',
    faults: { token: endlessDrip(1_000) },
    limits: { tries: 1 },
    requests: { layer: 1, token: 1 },
    fails: { kind: 'remote', code: 'timeout', says: ['log in'] },
  },
  {
    name: 'token: a refusal a byte at a time',
    does: layer,
    auth: 'bearer',
    faults: { token: endlessDrip(1_000, 403) },

    requests: { layer: 1, token: 1 },
    fails: refusedAs('denied', 403, 'token'),
  },
  {
    name: 'token: a body without an end',
    does: resolve,
    auth: 'bearer',
    faults: { token: endless },
    requests: { head: 1, token: 1 },
    fails: { kind: 'remote', code: 'protocol', status: 200, says: ['log in', 'token'] },
  },
  {
    name: 'token: a token of a megabyte',
    does: resolve,
    auth: 'bearer',
    faults: { token: () => json({ token: 'x'.repeat(1024 * 1024) }) },
    requests: { head: 1, token: 1 },
    fails: { kind: 'remote', code: 'protocol', status: 200, says: ['log in', 'token'] },
  },
  ...(
    [
      ['a page for people', body('<html>Sign in</html>', { 'content-type': 'text/html' })],
      ['nothing', body('')],
      ['JSON without a token', body('{"expires_in":300}')],
      ['an empty token', body('{"token":""}')],
      ['a number for a token', body('{"token":12345}')],
      ['a token with a line break', body(JSON.stringify({ token: 'a\r\nx-evil: 1' }))],
      ['a hundred thousand brackets', body('['.repeat(100_000))],
      ['a list', body('[]')],
    ] as [string, Fault][]
  ).map(([name, fault]): Row => ({
    name: `token: ${name}`,
    does: resolve,
    auth: 'bearer',
    faults: { token: fault },
    requests: { head: 1, token: 1 },
    fails: refusedAs('protocol', 200, 'log in', 'token'),
  })),
  {
    name: 'token: refuses the login',
    does: resolve,
    auth: 'bearer',
    faults: { token: status(401, {}, 'wrong password') },
    requests: { head: 1, token: 1 },
    fails: refusedAs('unauthorized', 401, 'token as robot'),
  },
  {
    name: 'token: says the password aloud when it refuses',
    does: resolve,
    auth: 'bearer',
    faults: { token: status(403, {}, `you sent ${password}`) },
    requests: { head: 1, token: 1 },
    fails: refusedAs('denied', 403, 'token as robot'),
  },
  {
    name: 'token: 500, always',
    does: resolve,
    auth: 'bearer',
    faults: { token: status(500) },
    requests: { head: 5, token: 5 },
    fails: refusedAs('unavailable', 500, 'token as robot'),
  },
  {
    name: 'token: 503, once',
    does: resolve,
    auth: 'bearer',
    faults: { token: { fault: status(503), times: 1 } },
    requests: { head: 3, token: 2 },
    waits: [250],
  },
  {
    name: 'token: cut in the body, once',
    does: resolve,
    auth: 'bearer',
    faults: { token: { fault: cut('in body'), times: 1 } },
    requests: { head: 3, token: 2 },
    waits: [250],
  },
  {
    name: 'token: redirects to itself for ever',
    does: resolve,
    auth: 'bearer',
    faults: { token: redirect(({ request }) => request.url) },
    requests: { head: 1, token: 11 },
    fails: { kind: 'remote', code: 'redirect', says: ['10 times'] },
  },
  {
    name: 'token: redirects elsewhere, which gets no password',
    does: resolve,
    auth: 'bearer',
    faults: { token: redirect(({ elsewhere }) => `${elsewhere}/token`), elsewhere: () => json({ token: 'other' }) },
    requests: { head: 2, token: 1, elsewhere: 1 },
    fails: refusedAs('unauthorized', 401, repositoryName),
    also: (registry) => expect(toldElsewhere(registry)).not.toContain('authorization'),
  },
  {
    name: 'token: lives for ever, or so it says',
    does: async (about) => [await resolve(about), await resolve(about)],
    auth: 'bearer',
    faults: { token: () => reply(200, {}, '{"token":"token-that-nobody-may-see","expires_in":1e308}') },
    requests: { head: 3, token: 1 },
  },
  {
    name: 'token: ended before it began, or so it says',
    does: resolve,
    auth: 'bearer',
    faults: { token: () => reply(200, {}, '{"token":"token-that-nobody-may-see","expires_in":-1e9}') },
    requests: { head: 2, token: 1 },
  },
]

const sixHoursMs = 6 * 3_600_000
/** With one try each that comes to nothing: the header decides how long is waited. */
const retryAfter = (name: string, value: string, waits: number[]): Row => ({
  name: `429: Retry-After ${name}`,
  does: manifest,
  faults: { manifest: { fault: status(429, { 'retry-after': value }), times: 1 } },
  requests: { manifest: 2 },
  waits,
})
const tooLong = (name: string, value: string, retryAfterMs: number): Row => ({
  name: `429: Retry-After ${name}: not waited for`,
  does: manifest,
  faults: { manifest: status(429, { 'retry-after': value }) },
  requests: { manifest: 1 },
  waits: [],
  fails: { ...refusedAs('rate_limited', 429, repositoryName), retryAfterMs },
})
const storms: Row[] = [
  retryAfter('in seconds', '7', [7_000]),
  // The backoff has begun to pass when the date is read: the clock stands still.
  retryAfter('as a date', 'Thu, 01 Jan 2026 00:00:30 GMT', [30_000]),
  retryAfter('as a date in the past', 'Thu, 01 Jan 1970 00:00:00 GMT', [250]),
  retryAfter('absent', '', [250]),
  retryAfter('zero', '0', [250]),
  retryAfter('nonsense', 'soon', [250]),
  retryAfter('negative', '-5', [250]),
  tooLong('of an hour', '3600', 3_600_000),
  tooLong('of thirty years', '999999999', sixHoursMs),
  tooLong('of more digits than a number has', '9'.repeat(400), sixHoursMs),
  tooLong('in the year 9999', 'Fri, 31 Dec 9999 23:59:59 GMT', sixHoursMs),
  ...operations.map(([phase, does]): Row => ({
    name: `${phase}: a storm of 429`,
    does,
    faults: { [phase]: status(429) },
    requests: { [phase]: 5 },
    fails: refusedAs('rate_limited', 429, repositoryName),
  })),
  {
    name: '429: after one that is too long, the host is left alone',
    does: async (about) => {
      await manifest(about).catch(() => undefined)
      return tags(about)
    },
    faults: { manifest: status(429, { 'retry-after': '3600' }) },
    requests: { manifest: 1 },
    fails: { ...refusedAs('rate_limited', 429, repositoryName) },
  },
  {
    name: '429: thirty years are over after six hours',
    does: async (about) => {
      await manifest(about).catch(() => undefined)
      await about.clock.pass(sixHoursMs)
      return tags(about)
    },
    faults: { manifest: status(429, { 'retry-after': '999999999' }) },
    gives: 'latest',
    withinMs: sixHoursMs,
    requests: { manifest: 1, tags: 1 },
  },
]

const failures: Row[] = [
  ...operations.flatMap(([phase, does]): Row[] => [
    {
      name: `${phase}: 500, always`,
      does,
      faults: { [phase]: status(500, {}, 'a stack trace\u001b[31m in red') },
      requests: { [phase]: 5 },
      waits: [250, 500, 1000, 2000],
      fails: refusedAs('unavailable', 500, repositoryName),
    },
    {
      name: `${phase}: 503, twice`,
      does,
      faults: { [phase]: { fault: status(503, { 'retry-after': '2' }), times: 2 } },
      requests: { [phase]: 3 },
      waits: [2_000, 2_000],
    },
  ]),
  {
    name: 'manifest: 501 is not tried again',
    does: manifest,
    faults: { manifest: status(501) },
    requests: { manifest: 1 },
    fails: refusedAs('unsupported', 501, repositoryName),
  },
  {
    name: 'manifest: an error of a hundred thousand brackets',
    does: manifest,
    faults: { manifest: status(400, {}, '['.repeat(100_000)) },
    requests: { manifest: 1 },
    fails: refusedAs('denied', 400, repositoryName),
  },
  {
    name: 'manifest: an error with a thousand errors of a kilobyte',
    does: manifest,
    faults: {
      manifest: (_reply) => ({
        ...json({ errors: Array(1000).fill({ code: 'X', message: 'y'.repeat(1000) }) }),
        status: 400,
      }),
    },
    requests: { manifest: 1 },
    fails: refusedAs('denied', 400, repositoryName),
  },
  {
    name: 'manifest: an error that is cut off is still that error',
    does: manifest,
    faults: { manifest: (honest, wire) => cut('in body')({ ...honest, status: 404 }, wire) },
    requests: { manifest: 1 },
    fails: refusedAs('not_found', 404, repositoryName),
  },
  {
    name: 'manifest: 304, though nothing was asked on a condition',
    does: manifest,
    faults: { manifest: status(304, { 'content-length': '' }) },
    requests: { manifest: 1 },
    fails: refusedAs('protocol', 304, repositoryName),
  },
  {
    name: 'manifest: 204',
    does: manifest,
    faults: { manifest: status(204) },
    requests: { manifest: 1 },
    fails: refusedAs('protocol', 204, repositoryName),
  },
  {
    name: 'layer: the headers of a manifest that was refused say nothing of it',
    does: layer,
    faults: { layer: headers({ 'www-authenticate': 'Bearer realm="http://127.0.0.1:1/"' }) },
    requests: { layer: 1 },
  },
]

describe.concurrent('a hostile registry, in whom it lets in and when', () => {
  for (const row of [...loops, ...realms]) it(row.name, () => run(row))
  for (const row of tokens) it(row.name, () => run(row))
  for (const row of storms) it(row.name, () => run(row))
  for (const row of failures) it(row.name, () => run(row))
})

function toldElsewhere({ requests }: HostileRegistry): string {
  return JSON.stringify(requests.filter(({ phase }) => phase === 'elsewhere'))
}
