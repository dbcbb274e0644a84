import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { describeApproved } from '../../../src/cli/approve.ts'
import {
  describeExplanation,
  describePlace,
  describePromotion,
  describeVerdict,
} from '../../../src/cli/explain-text.ts'
import { Output } from '../../../src/cli/output.ts'
import type { PlaceVerdict } from '../../../src/model/explain.ts'
import type { Verdict } from '../../../src/model/follow.ts'
import type { Promotion } from '../../../src/model/promotion.ts'
import type { Approved } from '../../../src/model/steering.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { explanationOf, lookOf, releaseOf, statusOf } from '../server/support.ts'

const now = 1_000_000
const streams = { stdout: new PassThrough(), stderr: new PassThrough() }
const output = new Output({ ...streams, json: false, color: false, terminal: false, columns: undefined })
const word = { by: 'ann', at: now - 180_000, reason: 'change freeze' }

it('says what counts, what is served, and why of each tag and place', () => {
  const current = { ...releaseOf('authz', Buffer.from('a')), number: 3, activatedAt: now - 60_000 }
  const look = lookOf('authz', { endedAt: now - 5000, version: 'v1.0.0' })
  const bundle = statusOf('authz', { current, look, follow: 'semver ^1' })
  const explained = explanationOf(bundle)
  explained.tags.askedAt = now - 5000
  expect(describeExplanation(explained, now, output)).toEqual([
    'bundle:     authz',
    'store:      ghcr.io/acme/policies',
    'counts:     semver ^1, as the config says',
    'serves:     1.0.0, release 3, since 1m (first)',
    'last look:  5s ago: unchanged, v1.0.0',
    '',
    'PLACE  WHY',
    'prod   release 1 waits for its turn',
    '',
    'TAG     WHY (semver ^1)',
    'v1.0.0  this is what counts',
    'latest  not a version',
    'and 1 more: longshore explain authz --all',
    '3 tags, as listed 5s ago',
  ])
})

const promotion = { from: 'authz', place: 'staging', delayMs: 3_600_000, approval: true, promoted: 3, waiting: null }
const waiting = {
  ...{ release: 4, version: 'v1.5.0', digest: digestOf('four'), isThere: true },
  ...{ until: now + 60_000, needsApproval: true },
}

it.each<[Promotion, string]>([
  [promotion, 'release 3 from authz at staging'],
  [{ ...promotion, place: null, promoted: null }, 'nothing yet from authz'],
  [
    { ...promotion, waiting },
    'release 3 from authz at staging; release 4 (v1.5.0) waits 1m more, and for an approval: longshore approve prod',
  ],
  [
    { ...promotion, waiting: { ...waiting, isThere: false, until: null, needsApproval: false } },
    'release 3 from authz at staging; release 4 (v1.5.0) waits to be at staging',
  ],
])('says how far a promotion is: %j', (is, line) => {
  expect(describePromotion(is, 'prod', now)).toBe(line)
  const lines = describeExplanation(explanationOf(statusOf('prod', { promotion: is })), now, output)
  expect(lines.find((each) => each.startsWith('promotes:'))).toMatch(/^promotes: {3}/)
  expect(lines).toContain('counts:     what is promoted from authz')
})

it.each<[Partial<Approved>, string[]]>([
  [{}, ['prod: release 4 (v1.5.0) is approved, and goes on']],
  [{ isNew: false }, ['prod: release 4 (v1.5.0) was approved before, and goes on']],
  [
    { waiting: { ...waiting, needsApproval: false } },
    ['prod: release 4 (v1.5.0) is approved', 'release 4 (v1.5.0) waits 1m more'],
  ],
  [
    { waiting: { ...waiting, isThere: false, until: null, needsApproval: false } },
    ['prod: release 4 (v1.5.0) is approved', 'release 4 (v1.5.0) waits to be at staging'],
  ],
  [{ waiting: { ...waiting, release: 5 } }, ['prod: release 4 (v1.5.0) is approved, and goes on']],
])('says what an approval came to: %j', (more, lines) => {
  const approved = {
    release: 4,
    version: 'v1.5.0',
    digest: digestOf('four'),
    isNew: true,
    waiting: null,
    look: null,
    place: 'staging',
  }
  expect(describeApproved('prod', { ...approved, ...more }, now)).toEqual(lines)
})

it('counts a digest that is followed for no tag', () => {
  const digest = digestOf('x')
  const explained = explanationOf(statusOf('authz'))
  const not = { code: 'not_followed', follow: digest } as const
  const verdicts = [
    { tag: digest, verdict: { code: 'taken' } as const },
    { tag: 'v1.0.0', verdict: not },
  ]
  explained.tags = { ...explained.tags, follow: digest, askedAt: now, total: 2, verdicts }
  const lines = describeExplanation(explained, now, output)
  expect(lines.at(-4)).toMatch(new RegExp(`^TAG +WHY \\(${digest.slice(0, 19)}\\)$`))
  expect(lines.at(-1)).toBe('1 tag, as listed 0s ago')
})

it('says who pinned it, and why the tags are not known', () => {
  const look = lookOf('authz', { endedAt: now, outcome: 'failed', message: 'it is down' })
  const pin = { bundle: 'authz', to: { release: 41 }, ...word }
  const explained = explanationOf(statusOf('authz', { look, pin, current: null }))
  explained.places = []
  explained.tags = { ...explained.tags, error: { code: 'unavailable', message: 'it is down' } }
  expect(describeExplanation(explained, now, output).slice(2)).toEqual([
    'counts:     release 41, pinned by ann 3m ago: change freeze; the config says latest',
    'serves:     nothing yet',
    'last look:  0s ago: failed: it is down',
    '',
    'the tags are not known: it is down',
  ])
})

it.each<[Verdict, string]>([
  [{ code: 'taken' }, 'this is what counts'],
  [{ code: 'older_than', tag: 'v2' }, 'older than v2'],
  [{ code: 'same_version_as', tag: '1.0.0' }, 'the same version as 1.0.0'],
  [{ code: 'step_down', tag: 'v2' }, 'older than v2, which ran and is gone: never a step down by itself'],
  [{ code: 'prerelease' }, 'a prerelease, and those were not asked for'],
  [{ code: 'outside_range', range: '^1' }, 'outside ^1'],
  [{ code: 'no_match', pattern: '^x' }, 'does not match ^x'],
  [{ code: 'no_number' }, 'has no number to order it by'],
  [{ code: 'no_time' }, 'does not say when it was made'],
  [{ code: 'gone' }, 'gone: the store does not have it'],
  [{ code: 'not_followed', follow: 'latest' }, 'not followed: only latest is'],
  [
    { code: 'not_followed', follow: digestOf('four') },
    `not followed: ${digestOf('four').slice(0, 19)} is, whatever its tags`,
  ],
  [{ code: 'not_promoted', from: 'authz' }, 'not promoted from authz'],
])('a tag: %j', (verdict, sentence) => {
  expect(describeVerdict(verdict)).toBe(sentence)
})

const failed = { code: 'failed', release: 3, attempts: 2, error: 'no route' } as const
it.each<[PlaceVerdict, string]>([
  [{ code: 'up_to_date', release: 3 }, 'up to date with release 3'],
  [{ code: 'drifted', error: 'no longer so' }, 'changed by somebody else: no longer so'],
  [{ code: 'no_release' }, 'waits for the first release'],
  [{ code: 'held', hold: { bundle: '*', ...word } }, 'held by ann 3m ago: change freeze; go on with: longshore resume'],
  [
    { code: 'held', hold: { bundle: 'authz', ...word, reason: '' } },
    'held by ann 3m ago; go on with: longshore resume authz',
  ],
  [{ code: 'auto_deploy_off', switched: null }, 'auto-deploy is off, as the config says'],
  [
    { code: 'auto_deploy_off', switched: { bundle: 'authz', place: null, on: false, ...word } },
    'auto-deploy is off, switched by ann 3m ago: change freeze',
  ],
  [{ code: 'deploying', release: 3, attempt: 2 }, 'release 3 is being deployed, attempt 2'],
  [{ ...failed, againAt: now + 60_000 }, 'release 3 failed 2 times, again in 1m: no route'],
  [{ ...failed, attempts: 0, againAt: now + 60_000 }, 'release 3 was not tried yet, again in 1m: no route'],
  [{ ...failed, againAt: null }, 'release 3 failed 2 times, given up: no route'],
])('a place: %j', (verdict, sentence) => {
  expect(describePlace(verdict, 'authz', now)).toBe(sentence)
})
