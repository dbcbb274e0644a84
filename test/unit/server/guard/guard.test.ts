import { hashSync } from 'bcryptjs'
import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../../src/lib/logger.ts'
import { createMetrics } from '../../../../src/lib/metrics.ts'
import { Redactor } from '../../../../src/lib/redact.ts'
import {
  createGuard,
  type Access,
  type Admission,
  type Guard,
  type GuardOptions,
} from '../../../../src/server/guard/guard.ts'
import type { Grant } from '../../../../src/server/guard/rights.ts'
import type { Action } from '../../../../src/server/types.ts'
import { FakeClock } from '../../../support/clock.ts'
import { adminToken, basic } from '../support.ts'

// The cheapest that bcrypt has: what is tested is not its strength.
const alice = hashSync('correct horse', 4)
const bob = hashSync('battery staple', 4)

const text = (current: string) => ({ current: () => current })
const grant = (right: string): Grant => {
  const [action, pattern = null] = right.split(':')
  return { action: action as Action, pattern }
}

function accessOf(parts: { anonymous?: string[]; tokens?: Record<string, string[]>; users?: boolean }): Access {
  const tokens = Object.entries(parts.tokens ?? {})
  return {
    anonymous: (parts.anonymous ?? []).map(grant),
    tokens: tokens.map(([name, allow]) => ({ name, token: text(`${name}-secret-token`), allow: allow.map(grant) })),
    users: parts.users
      ? [
          { name: 'alice', passwordHash: text(alice), allow: [grant('read'), grant('push:policies/*')] },
          { name: 'bob', passwordHash: text(bob), allow: [grant('read')] },
        ]
      : [],
  }
}

const guards: Guard[] = []
afterEach(async () => {
  for (const guard of guards.splice(0)) await guard.close()
})

function setUp(access: Access | null, options: Partial<GuardOptions> = {}) {
  const clock = new FakeClock()
  const metrics = createMetrics(clock)
  let log = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    },
  })
  const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
  const guard = createGuard({ access, adminToken, listenHost: '127.0.0.1', clock, logger, metrics, ...options })
  guards.push(guard)
  return { clock, metrics, guard, log: () => log }
}

interface Asked {
  from?: string
  method?: string
  authorization?: string
  headers?: Record<string, string>
}

function request({ from = '127.0.0.1', method = 'GET', authorization, headers = {} }: Asked): IncomingMessage {
  return {
    method,
    headers: { host: 'localhost:8085', ...(authorization !== undefined && { authorization }), ...headers },
    socket: { remoteAddress: from },
  } as unknown as IncomingMessage
}

/** The name of who was let in, or the status of the refusal. */
function told(admission: Admission): string | number {
  return 'caller' in admission ? admission.caller.name : admission.refusal.status
}

async function who(guard: Guard, asked: Asked): Promise<string | number> {
  return told(await guard.admit(request(asked)))
}

async function may(guard: Guard, asked: Asked, right: string): Promise<boolean> {
  const admission = await guard.admit(request(asked))
  const { action, pattern } = grant(right)
  return 'caller' in admission && admission.caller.may(action, pattern ?? undefined)
}

const bearer = (token: string) => `Bearer ${token}`
const far = '203.0.113.7'

describe('without access configured', () => {
  it.each<[Asked, string | number]>([
    [{}, 'loopback'],
    [{ from: '127.9.9.9' }, 'loopback'],
    [{ from: '::1' }, 'loopback'],
    [{ from: '::ffff:127.0.0.1' }, 'loopback'],
    [{ authorization: bearer('meant for somebody else') }, 'loopback'],
    [{ from: far }, 401],
    [{ from: '::ffff:203.0.113.7' }, 401],
    [{ from: far, authorization: bearer(adminToken) }, 'admin'],
    [{ from: far, authorization: basic('any', adminToken) }, 'admin'],
    [{ from: far, authorization: basic('', '') }, 401],
    [{ headers: { forwarded: 'for=1.2.3.4' } }, 403],
    [{ headers: { 'x-forwarded-for': '1.2.3.4' } }, 403],
    [{ headers: { 'x-forwarded-proto': 'https' } }, 403],
    [{ headers: { 'x-forwarded-anything': 'x' } }, 403],
    [{ headers: { 'x-real-ip': '1.2.3.4' } }, 403],
    [{ headers: { host: 'evil.example' } }, 403],
    [{ headers: { host: 'evil.example:8085' } }, 403],
    [{ headers: { host: '127.0.0.1.evil.example' } }, 403],
    [{ headers: { host: 'localhost.' } }, 'loopback'],
    [{ headers: { host: 'LOCALHOST:1' } }, 'loopback'],
    [{ headers: { host: '127.0.0.1:8085' } }, 'loopback'],
    [{ headers: { host: '[::1]:8085' } }, 'loopback'],
  ])('%o is %s', async (asked, expected) => {
    const { guard } = setUp(null)
    expect(await who(guard, asked)).toBe(expected)
  })

  it('lets loopback and the admin token do everything', async () => {
    const { guard } = setUp(null)
    for (const asked of [{}, { from: far, authorization: bearer(adminToken) }])
      for (const right of ['read:bundles/x', 'push:a', 'delete:a', 'deploy:bundles/x', 'admin', 'admin:', 'read:'])
        expect(await may(guard, asked, right)).toBe(true)
  })

  it('asks nobody to log in', () => {
    expect(setUp(null).guard.hasLogins).toBe(false)
  })
})

describe('with access configured', () => {
  const tokens = {
    ci: ['push:policies/*', 'read'],
    ops: ['deploy:bundles/team/*'],
    root: ['admin'],
    part: ['admin:a/*'],
  }
  const access = accessOf({ anonymous: ['read'], tokens, users: true })
  const ci = { from: far, authorization: bearer('ci-secret-token') }

  it.each<[Asked, string | number]>([
    [{}, 'anonymous'],
    [{ from: far }, 'anonymous'],
    [{ from: far, authorization: basic('', '') }, 'anonymous'],
    [{ from: far, authorization: 'Basic ' }, 'anonymous'],
    [ci, 'ci'],
    [{ authorization: `bearer   ci-secret-token` }, 'ci'],
    [{ authorization: bearer(Buffer.from('ci-secret-token').toString('base64')) }, 'ci'],
    [{ authorization: bearer(Buffer.from('ci-secret-token').toString('base64').replace(/=+$/, '')) }, 'ci'],
    [{ authorization: basic('whoever', 'ci-secret-token') }, 'ci'],
    [{ authorization: basic('', 'ci-secret-token') }, 'ci'],
    [{ authorization: basic('alice', 'correct horse') }, 'alice'],
    [{ authorization: basic('bob', 'battery staple') }, 'bob'],
    [{ authorization: basic('alice', 'battery staple') }, 401],
    [{ authorization: basic('carol', 'correct horse') }, 401],
    [{ authorization: basic('alice', '') }, 401],
    [{ authorization: bearer('ci-secret-toke') }, 401],
    [{ authorization: 'Negotiate abc' }, 401],
    [{ authorization: 'Basic %%%' }, 'anonymous'],
    [{ authorization: bearer(adminToken) }, 'admin'],
    [{ headers: { 'x-forwarded-for': '1.2.3.4' } }, 'anonymous'],
    [{ headers: { host: 'evil.example' } }, 403],
    [{ ...ci, headers: { host: 'longshore.internal' } }, 'ci'],
  ])('%o is %s', async (asked, expected) => {
    const { guard } = setUp(access)
    expect(await who(guard, asked)).toBe(expected)
  })

  it.each<[string, Asked, string[], string[]]>([
    ['anonymous', {}, ['read:bundles/x', 'read:'], ['push:a', 'delete:a', 'deploy:bundles/x', 'admin:']],
    [
      'ci',
      ci,
      ['read:bundles/x', 'push:policies/a', 'push:policies/a/b', 'push'],
      ['push:other', 'push:policies', 'push:xpolicies/a', 'delete:policies/a', 'deploy:policies/a', 'admin'],
    ],
    [
      'ops',
      { authorization: bearer('ops-secret-token') },
      ['deploy:bundles/team/a', 'deploy'],
      ['deploy:bundles/other', 'deploy:', 'read:bundles/team/a', 'read'],
    ],
    [
      'root',
      { authorization: bearer('root-secret-token') },
      ['read:x', 'push:x', 'delete:x', 'deploy:x', 'admin', 'admin:'],
      [],
    ],
    [
      'part',
      { authorization: bearer('part-secret-token') },
      ['read:a/b', 'delete:a/b', 'admin:a/b'],
      ['admin:', 'read:b'],
    ],
    ['alice', { authorization: basic('alice', 'correct horse') }, ['push:policies/x'], ['push:x', 'delete:policies/x']],
  ])('%s may what its rights say, and nothing else', async (_, asked, allowed, denied) => {
    const { guard } = setUp(access)
    for (const right of allowed) expect(`${right} ${await may(guard, asked, right)}`).toBe(`${right} true`)
    for (const right of denied) expect(`${right} ${await may(guard, asked, right)}`).toBe(`${right} false`)
  })

  it('gives this machine nothing that others have not', async () => {
    const { guard } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    expect(await who(guard, {})).toBe('anonymous')
    expect(await may(guard, {}, 'read')).toBe(false)
  })

  it('says whether somebody could log in', () => {
    expect(setUp(access).guard.hasLogins).toBe(true)
    expect(setUp(accessOf({ anonymous: ['read'] })).guard.hasLogins).toBe(false)
  })

  it('follows a token that changes, and a config that does', async () => {
    let secret = 'the first secret'
    const rotating = { name: 'ci', token: { current: () => secret }, allow: [grant('read')] }
    const { guard } = setUp({ anonymous: [], tokens: [rotating], users: [] })
    expect(await who(guard, { authorization: bearer('the first secret') })).toBe('ci')
    secret = 'the second secret'
    expect(await who(guard, { authorization: bearer('the first secret') })).toBe(401)
    expect(await who(guard, { authorization: bearer('the second secret') })).toBe('ci')
    guard.setAccess(null)
    expect(await who(guard, {})).toBe('loopback')
  })

  it('forgets whom it knows a connection as with every such change, and with other credentials', async () => {
    let secret = 'the first secret'
    const rotating = { name: 'ci', token: { current: () => secret }, allow: [grant('read')] }
    const rotated = { anonymous: [], tokens: [rotating], users: [] }
    const { guard } = setUp(rotated)
    const connection = request({})
    const ask = async (token: string) => {
      connection.headers.authorization = bearer(token)
      return told(await guard.admit(connection))
    }
    expect(await ask('the first secret')).toBe('ci')
    expect(await ask('the first secret')).toBe('ci')
    expect(await ask('another secret')).toBe(401)
    delete connection.headers.authorization
    expect(told(await guard.admit(connection))).toBe('anonymous')
    expect(await ask('the first secret')).toBe('ci')
    secret = 'the second secret'
    expect(await ask('the first secret')).toBe(401)
    expect(await ask('the second secret')).toBe('ci')
    guard.setAccess({ ...rotated, tokens: [{ ...rotating, name: 'other' }] })
    expect(await ask('the second secret')).toBe('other')
    guard.setAccess({ ...rotated, tokens: [] })
    expect(await ask('the second secret')).toBe(401)
  })

  it('takes an empty token for nobody', async () => {
    const { guard } = setUp({
      anonymous: [],
      tokens: [{ name: 'ci', token: text(''), allow: [grant('read')] }],
      users: [],
    })
    expect(await who(guard, { authorization: basic('x', '') })).toBe(401)
  })
})

describe('a browser', () => {
  it.each<[Asked, string | number]>([
    [{ method: 'POST' }, 'loopback'],
    [{ method: 'POST', headers: { origin: 'http://localhost:8085' } }, 'loopback'],
    [{ method: 'POST', headers: { origin: 'http://localhost:3000' } }, 403],
    [{ method: 'POST', headers: { origin: 'https://evil.example' } }, 403],
    [{ method: 'DELETE', headers: { origin: 'null' } }, 403],
    [{ method: 'POST', headers: { origin: 'https://policy.example.com' } }, 'loopback'],
    [{ method: 'POST', headers: { origin: 'http://policy.example.com' } }, 403],
    [{ method: 'POST', headers: { host: 'policy.example.com', origin: 'https://policy.example.com' } }, 'loopback'],
    [{ method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } }, 403],
    [{ method: 'POST', headers: { 'sec-fetch-site': 'same-origin' } }, 'loopback'],
    [{ method: 'GET', headers: { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' } }, 'loopback'],
    [{ headers: { host: 'policy.example.com' } }, 'loopback'],
    [{ headers: { host: 'policy.example.com:8443' } }, 'loopback'],
  ])('%o is %s', async (asked, expected) => {
    const { guard } = setUp(null, { publicUrl: 'https://policy.example.com' })
    expect(await who(guard, asked)).toBe(expected)
  })

  it('has no more say with credentials, which it sends by itself', async () => {
    const { guard } = setUp(accessOf({ tokens: { root: ['admin'] } }))
    const asked = {
      method: 'POST',
      authorization: bearer('root-secret-token'),
      headers: { origin: 'https://evil.example' },
    }
    expect(await who(guard, asked)).toBe(403)
  })

  it('may use the name that we listen on', async () => {
    const { guard } = setUp(null, { listenHost: 'policy.internal' })
    expect(await who(guard, { headers: { host: 'policy.internal:8085' } })).toBe('loopback')
  })
})

describe('failed attempts', () => {
  const wrong = { from: far, authorization: bearer('guess') }

  it('are slowed per source, more each time, up to a bound', async () => {
    const { guard, clock } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    for (let index = 0; index < 3; index++) expect(await who(guard, wrong)).toBe(401)
    const delays: (number | undefined)[] = []
    for (let index = 0; index < 8; index++) {
      const answer = who(guard, wrong)
      delays.push(clock.nextInMs())
      await clock.advance(10_000)
      expect(await answer).toBe(401)
    }
    expect(delays).toEqual([200, 400, 800, 1600, 3200, 5000, 5000, 5000])
  })

  it('slow nobody else: not another source, not who has the right token', async () => {
    const { guard, clock } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    for (let index = 0; index < 10; index++) void who(guard, wrong)
    await clock.advance(60_000)
    const slowed = who(guard, wrong)
    expect(await who(guard, { ...wrong, from: '203.0.113.8' })).toBe(401)
    expect(await who(guard, { from: far, authorization: bearer('ci-secret-token') })).toBe('ci')
    expect(await who(guard, { from: far })).toBe('anonymous')
    expect(clock.nextInMs()).toBe(5000)
    await clock.advance(5000)
    expect(await slowed).toBe(401)
  })

  it('count for the whole /64 of an IPv6 address', async () => {
    const { guard, clock } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    for (let index = 1; index <= 3; index++) await who(guard, { ...wrong, from: `2001:db8::${index}` })
    void who(guard, { ...wrong, from: '2001:db8:0:0:ffff::9' })
    expect(clock.nextInMs()).toBe(200)
    expect(await who(guard, { ...wrong, from: '2001:db8:0:1::9' })).toBe(401)
  })

  it('are forgotten after a while', async () => {
    const { guard, clock } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    for (let index = 0; index < 3; index++) await who(guard, wrong)
    await clock.advance(601_000)
    expect(await who(guard, wrong)).toBe(401)
  })

  it('are counted, and logged without the secret', async () => {
    const { guard, metrics, log } = setUp(accessOf({ tokens: { ci: ['read'] }, users: true }))
    await who(guard, { from: far, authorization: basic('alice', 'hunter-two') })
    await who(guard, { from: far, authorization: basic('hunter-three', 'x') })
    await who(guard, { from: '203.0.113.9', authorization: bearer('hunter-four') })
    const text = await metrics.text()
    expect(text).toContain('longshore_login_failures_total{scheme="basic"} 2\n')
    expect(text).toContain('longshore_login_failures_total{scheme="bearer"} 1\n')
    expect(log()).toContain(far)
    expect(log()).toContain('alice')
    expect(log()).not.toMatch(/hunter/)
  })

  it('do not fill the log', async () => {
    const { guard, clock, log } = setUp(accessOf({ tokens: { ci: ['read'] } }))
    for (let index = 0; index < 100; index++) void who(guard, wrong)
    await clock.advance(100_000)
    expect(log().trim().split('\n')).toHaveLength(7)
  })
})

describe('passwords', () => {
  const users = accessOf({ users: true })

  it('are checked once; who was right before waits for nobody', async () => {
    const { guard } = setUp(users)
    const right = { from: far, authorization: basic('alice', 'correct horse') }
    expect(guard.admit(request(right))).toBeInstanceOf(Promise)
    expect(await who(guard, right)).toBe('alice')
    expect(guard.admit(request(right))).not.toBeInstanceOf(Promise)
    expect(guard.admit(request({ ...right, authorization: basic('alice', 'correct horsf') }))).toBeInstanceOf(Promise)
  })

  it('are checked once for many connections that come at the same time', async () => {
    const { guard } = setUp(users)
    const right = { from: far, authorization: basic('alice', 'correct horse') }
    const all = await Promise.all(Array.from({ length: 20 }, () => who(guard, right)))
    expect(new Set(all)).toEqual(new Set(['alice']))
  })

  it('stop counting when the hash changes', async () => {
    let hash = alice
    const { guard } = setUp({
      anonymous: [],
      tokens: [],
      users: [{ name: 'alice', passwordHash: { current: () => hash }, allow: [] }],
    })
    const right = { from: far, authorization: basic('alice', 'correct horse') }
    expect(await who(guard, right)).toBe('alice')
    hash = bob
    expect(await who(guard, right)).toBe(401)
  })

  it('wait in a bounded queue, few for one account from one source; the rest is told to come back', async () => {
    const { guard, metrics } = setUp(users)
    const guesses = Array.from({ length: 10 }, (_, index) =>
      who(guard, { from: far, authorization: basic('alice', `guess ${index}`) }),
    )
    const elsewhere = who(guard, { from: '203.0.113.8', authorization: basic('alice', 'correct horse') })
    const neighbour = who(guard, { from: far, authorization: basic('bob', 'battery staple') })
    expect(await elsewhere).toBe('alice')
    expect(await neighbour).toBe('bob')
    expect((await settled(guesses.slice(4))).every((answer) => answer === 429)).toBe(true)
    expect(await metrics.text()).toContain('longshore_limited_total{limit="password_checks"} 6\n')
  })

  it('of one source never fill the queue, however many accounts it tries: another source gets in', async () => {
    const names = Array.from({ length: 40 }, (_, index) => `user${index}`)
    const many = names.map((name) => ({ name, passwordHash: text(alice), allow: [grant('read')] }))
    const { guard } = setUp({ anonymous: [], tokens: [], users: many })
    const guesses = names.flatMap((name) =>
      [1, 2].map((nth) => who(guard, { from: far, authorization: basic(name, `guess ${nth}`) })),
    )
    const elsewhere = who(guard, { from: '203.0.113.8', authorization: basic('user7', 'correct horse') })
    expect(await elsewhere).toBe('user7')
    expect((await Promise.all(guesses.slice(20))).every((answer) => answer === 429)).toBe(true)
    expect(await guesses[0]).toBe(401)
  })

  it('wait in a queue that is bounded for all together, too', async () => {
    const { guard } = setUp(users, { maxWaitingChecks: 2 })
    const guesses = Array.from({ length: 6 }, (_, index) =>
      who(guard, { from: `203.0.113.${index}`, authorization: basic('alice', `guess ${index}`) }),
    )
    expect((await Promise.all(guesses)).filter((answer) => answer === 429)).toHaveLength(4)
  })

  it('are guessed more slowly for an account the more often they were wrong', async () => {
    const { guard, clock } = setUp(users)
    for (let index = 0; index < 3; index++) {
      expect(await who(guard, { from: far, authorization: basic('alice', `guess ${index}`) })).toBe(401)
    }
    const right = who(guard, { from: far, authorization: basic('alice', 'correct horse') })
    expect(clock.nextInMs()).toBe(200)
    await clock.advance(200)
    expect(await right).toBe('alice')
    expect(await who(guard, { from: far, authorization: basic('bob', 'battery staple') })).toBe('bob')
  })
})

function settled(answers: Promise<string | number>[]): Promise<(string | number)[]> {
  return Promise.all(answers)
}
