import { describe, expect, it } from 'vitest'
import { cut, endlessDrip, headers, nobodyHome, redirect, status } from '../support/faults.ts'
import { reply, type Fault } from '../support/hostile-registry.ts'
import { pushAtOnce, repositoryName, run, type Failure, type Row } from './drive.ts'

const other = `sha256:${'b'.repeat(64)}`
const remote = (code: string, statusCode?: number, ...says: string[]): Failure => ({
  kind: 'remote',
  code,
  ...(statusCode !== undefined && { status: statusCode }),
  says: [repositoryName, ...says],
})

/** Whatever stands against it, it is pushed as any other blob is. */
const asAnyOther = { 'at-once': 1, start: 1, finish: 1 }
const mended: [name: string, fault: Fault][] = [
  ['refused', status(400)],
  ['not known', status(404)],
  ['too large', status(413)],
  ['503', status(503)],
  ['500 with a page for people', status(500, { 'content-type': 'text/html' }, '<html>')],
  ['200, which says nothing', () => reply(200)],
  ['refused a byte at a time', endlessDrip(1_000, 400)],
  ['a line cut before the headers', cut('before headers')],
  ['a line reset before the headers', cut('before headers', 'rst')],
  ['a redirect with 302, which would change the request', redirect('/elsewhere', 302)],
  ['a redirect to a file', redirect('file:///etc/passwd')],
]

const rows: Row[] = [
  ...mended.map(([name, fault]): Row => ({
    name: `at once: ${name}: goes as any other`,
    does: pushAtOnce,
    faults: { 'at-once': fault },
    requests: asAnyOther,
    waits: [],
  })),
  {
    name: 'at once: no answer: goes as any other',
    does: pushAtOnce,
    faults: { 'at-once': nobodyHome },
    requests: asAnyOther,
    withinMs: 302_000,
  },
  {
    name: 'at once: a session instead',
    does: pushAtOnce,
    faults: {},
    requests: { 'at-once': 1, finish: 1 },
  },
  {
    name: 'at once: a session that does not take the bytes: another one',
    does: pushAtOnce,
    faults: { finish: { fault: status(416), times: 1 } },
    requests: { 'at-once': 1, start: 1, finish: 2, cancel: 1 },
  },
  {
    name: 'at once: a session without a Location',
    does: pushAtOnce,
    faults: { 'at-once': headers({ location: '' }) },
    requests: { 'at-once': 1 },
    fails: remote('protocol', 202, 'Location'),
  },
  {
    name: 'at once: 201 with another digest',
    does: pushAtOnce,
    faults: { 'at-once': () => reply(201, { 'docker-content-digest': other }) },
    requests: { 'at-once': 1 },
    fails: { kind: 'integrity', code: 'digest_mismatch', says: [other] },
  },
  {
    name: 'at once: 429 for an hour: not asked again',
    does: pushAtOnce,
    faults: { 'at-once': status(429, { 'retry-after': '3600' }) },
    requests: { 'at-once': 1 },
    waits: [],
    fails: { ...remote('rate_limited', 429), retryAfterMs: 3_600_000 },
  },
  {
    name: 'at once: 307 to somebody else, who gets the blob, but no credentials',
    does: pushAtOnce,
    auth: 'basic',
    faults: {
      'at-once': (answer, wire) =>
        wire.request.headers.authorization === undefined ? answer : redirect(`${wire.elsewhere}/up`)(answer, wire),
      elsewhere: () => reply(201),
    },
    gives: undefined,
    requests: { 'at-once': 2, elsewhere: 1 },
    also: ({ requests }) =>
      expect(JSON.stringify(requests.filter(({ phase }) => phase === 'elsewhere'))).not.toContain('authorization'),
  },
]

describe.concurrent('a hostile registry, to whom a small blob goes with the first request', () => {
  for (const row of rows) it(row.name, () => run(row))
})
