import { describe, expect, it } from 'vitest'
import { ConfigError, RemoteError } from '../../../../src/lib/errors.ts'
import type { BundleStatus } from '../../../../src/model/status.ts'
import type { Steering } from '../../../../src/model/steering.ts'
import type { Action } from '../../../../src/server/types.ts'
import { ask, lookOf, startServer, statusOf, steeringOf, type TestServerOptions } from '../support.ts'

const word = { by: 'ann', at: 1, reason: '' }
const release = statusOf('a').current!
const place = statusOf('a').deployments[0]!

/** Three repositories: one that follows the newest release tag, one that is pinned, one that nothing came of yet. */
const bundles: BundleStatus[] = [
  statusOf('authz', { follow: 'semver *', current: { ...release, version: 'v1.2.0' } }),
  statusOf('team/pinned', {
    pin: { bundle: 'team/pinned', to: { tag: 'stable' }, ...word },
    deployments: [{ ...place, autoDeploy: false }],
  }),
  statusOf('empty', { current: null, look: null }),
]

const listed: Record<string, string[]> = {
  authz: ['v1.2.0', 'v1.10.0', 'main', `main-${'3f2a91c0'.repeat(5)}`],
  'team/pinned': ['stable'],
}

/** What was said, in order. */
type Said = [what: string, bundle: string, ...unknown[]]

async function open(options: { look?: Parameters<typeof lookOf>[1]; held?: boolean } & TestServerOptions = {}) {
  const said: Said[] = []
  const look = lookOf('authz', options.look)
  const steering: Steering = {
    ...steeringOf(),
    async pin(bundle, to) {
      said.push(['pin', bundle, to])
      const tag = 'tag' in to ? to.tag : ''
      if (tag === 'v9.9.9') throw new ConfigError('there is no such version', { code: 'no_version' })
      if (tag === 'v5.0.3') throw new RemoteError('unavailable', 'ghcr.io answered 503', { host: 'ghcr.io' })
      return { to, look }
    },
    async unpin(bundle) {
      said.push(['unpin', bundle])
      return { wasPinned: true, look }
    },
    async switchAutoDeploy(bundle, place, on) {
      said.push(['auto-deploy', bundle, place, on])
    },
    async deploy(bundle, place) {
      said.push(['deploy', bundle, place])
      return []
    },
  }
  const held = options.held === true ? { bundle: '*', ...word, reason: 'freeze' } : null
  const server = await startServer({
    ...options,
    control: {
      status: async () => bundles.map((bundle) => ({ ...bundle, held })),
      tags: async (name) => listed[name] ?? Promise.reject(new Error('it cannot be asked')),
      knownTags: (name) => listed[name],
      steering,
    },
  })
  const send = async (line: string, body?: string, headers: Record<string, string> = {}) => {
    const [method = '', path = ''] = line.split(' ')
    const answer = await ask(`${server.url}${path}`, headers, { method, ...(body !== undefined && { body }) })
    return { ...answer, json: answer.body === '' ? undefined : (JSON.parse(answer.body) as unknown) }
  }
  return { server, said, send }
}

const repos = {
  authz: { auto_deploy: true, pinned_tag: '', pinned_tag_value: 'v1.2.0', tags: ['main', 'v1.10.0', 'v1.2.0'] },
  'team/pinned': { auto_deploy: false, pinned_tag: 'stable', pinned_tag_value: 'stable', tags: ['stable'] },
  empty: { auto_deploy: true, pinned_tag: '', pinned_tag_value: '', tags: [] },
}

const says = (text: string) => ({ message: expect.stringContaining(text) as string })

describe('the registry watcher’s routes', () => {
  // A line each for what the registry watcher answers: request, body, status, JSON, and what is done.
  it.each<[line: string, body: string | undefined, status: number, json: unknown, ...said: Said[]]>([
    ['GET /ping', undefined, 200, { message: 'pong' }],
    ['GET /ping/', undefined, 200, { message: 'pong' }],
    ['GET /repos', undefined, 200, repos],
    [
      'GET /debug/caches',
      undefined,
      200,
      {
        authz: { cached_tags: repos.authz.tags, cached_digest: release.sourceDigest },
        'team/pinned': { cached_tags: ['stable'], cached_digest: statusOf('team/pinned').current!.sourceDigest },
        empty: { cached_tags: [], cached_digest: '' },
      },
    ],
    ['GET /tags/authz', undefined, 200, { repo_tag: 'v1.2.0' }],
    ['GET /tags/team/pinned', undefined, 200, { repo_tag: 'stable' }],
    ['GET /tags/team%2Fpinned', undefined, 200, { repo_tag: 'stable' }],
    ['GET /tags/empty', undefined, 400, says('no tag that counts')],
    ['GET /tags/other', undefined, 400, says('other is not watched')],
    ['POST /tags/other', '{"pinned_tag":"v1.0.0"}', 400, says('other is not watched')],
    ['POST /tags/other/reset', undefined, 400, says('other is not watched')],
    ['POST /tags/authz', '{}', 400, says('pinned_tag, auto_deploy or both')],
    ['POST /tags/authz', '{"other":1}', 400, says('pinned_tag, auto_deploy or both')],
    ['POST /tags/authz', '{"pinned_tag":null}', 400, says('pinned_tag, auto_deploy or both')],
    ['POST /tags/authz', '', 400, says('no JSON')],
    ['POST /tags/authz', '{"pinned_tag":"hi", "auto_deploy: "true"}', 400, says('no JSON')],
    ['POST /tags/authz', '{"auto_deploy":"true"}', 400, says('auto_deploy')],
    ['POST /tags/authz', '{"pinned_tag":1}', 400, says('pinned_tag')],
    ['POST /tags/authz', `{"x":"${'x'.repeat(70_000)}"}`, 400, says('65536 bytes')],
    ['POST /tags/authz', '{"pinned_tag":"no tag"}', 400, says('has no tag no tag')],
    [
      'POST /tags/authz',
      '{"pinned_tag":"v9.9.9"}',
      400,
      says('ghcr.io/acme/policies has no tag v9.9.9'),
      ['pin', 'authz', { tag: 'v9.9.9' }],
    ],
    [
      'POST /tags/authz',
      '{"pinned_tag":"v5.0.3"}',
      400,
      says('ghcr.io answered 503'),
      ['pin', 'authz', { tag: 'v5.0.3' }],
    ],
    [
      'POST /tags/authz',
      '{"auto_deploy":false}',
      200,
      { message: 'Auto deployment set to false' },
      ['auto-deploy', 'authz', null, false],
    ],
    ['POST /tags/authz', '{"auto_deploy":true}', 200, { message: 'Auto deployment set to true' }],
    [
      'POST /tags/team/pinned',
      '{"auto_deploy":true}',
      200,
      { message: 'Auto deployment set to true' },
      ['auto-deploy', 'team/pinned', null, true],
    ],
    [
      'POST /tags/authz',
      '{"pinned_tag":"v1.2.3"}',
      200,
      { message: 'Deploying to v1.2.3' },
      ['pin', 'authz', { tag: 'v1.2.3' }],
      ['deploy', 'authz', 'prod'],
    ],
    [
      'POST /tags/team/pinned',
      '{"pinned_tag":"v1.2.3","auto_deploy":true}',
      200,
      { message: 'Deploying to v1.2.3' },
      ['pin', 'team/pinned', { tag: 'v1.2.3' }],
      ['deploy', 'team/pinned', 'prod'],
      ['auto-deploy', 'team/pinned', null, true],
    ],
    [
      'POST /tags/authz',
      '{"pinned_tag":"v1.2.3","auto_deploy":false}',
      200,
      { message: 'Deploying to v1.2.3' },
      ['auto-deploy', 'authz', null, false],
      ['pin', 'authz', { tag: 'v1.2.3' }],
      ['deploy', 'authz', 'prod'],
    ],
    ['POST /tags/authz', '{"pinned_tag":""}', 200, { message: 'Deploying to ' }, ['deploy', 'authz', 'prod']],
    [
      'POST /tags/team/pinned',
      '{"pinned_tag":""}',
      200,
      { message: 'Deploying to ' },
      ['unpin', 'team/pinned'],
      ['deploy', 'team/pinned', 'prod'],
    ],
    ['POST /tags/authz/reset', undefined, 200, { message: 'pinned_tag is already ' }],
    [
      'POST /tags/team/pinned/reset',
      '{}',
      200,
      { message: 'Deploying to ' },
      ['unpin', 'team/pinned'],
      ['auto-deploy', 'team/pinned', null, true],
      ['deploy', 'team/pinned', 'prod'],
    ],
    ['PUT /tags/authz', '{}', 405, says('GET, HEAD, POST')],
    ['GET /tags/authz/reset', undefined, 405, says('POST')],
    ['POST /repos', '{}', 405, says('GET')],
  ])('%s %s: %s', async (line, body, status, json, ...expected) => {
    const { send, said } = await open()
    const answer = await send(line, body)
    expect([answer.status, answer.json]).toEqual([status, json])
    expect(answer.headers['content-type']).toMatch(/^application\/json/)
    expect(said).toEqual(expected)
  })

  it('does not deploy twice what a new release brings there by itself', async () => {
    const { send, said } = await open({ look: { outcome: 'released' } })
    await send('POST /tags/authz', '{"pinned_tag":"v1.2.3"}')
    expect(said).toEqual([['pin', 'authz', { tag: 'v1.2.3' }]])
    await send('POST /tags/team/pinned', '{"pinned_tag":"v1.2.3"}')
    expect(said.at(-1)).toEqual(['deploy', 'team/pinned', 'prod'])
  })

  it.each([['refused'], ['failed']] as const)('deploys nothing that is %s', async (outcome) => {
    const { send, said } = await open({ look: { outcome, message: 'a.rego: no such rule' } })
    const answer = await send('POST /tags/authz', '{"pinned_tag":"v1.2.3"}')
    expect([answer.status, answer.json]).toEqual([400, says('a.rego: no such rule')])
    expect(said).toEqual([['pin', 'authz', { tag: 'v1.2.3' }]])
  })

  it('changes nothing of what is held, but for auto-deploy', async () => {
    const { send, said } = await open({ held: true })
    for (const line of ['POST /tags/authz', 'POST /tags/team/pinned/reset']) {
      const answer = await send(line, '{"pinned_tag":"v1.2.3"}')
      expect([answer.status, answer.json]).toEqual([400, says('held by ann: freeze')])
    }
    expect(said).toEqual([])
    await send('POST /tags/authz', '{"auto_deploy":false}')
    expect(said).toEqual([['auto-deploy', 'authz', null, false]])
  })

  it('takes a body whatever type it is said to have', async () => {
    const { send } = await open()
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
    expect((await send('POST /tags/authz', '{"auto_deploy":true}', headers)).status).toBe(200)
  })
})

describe('who may', () => {
  const authorization = { Authorization: 'Bearer a-token-of-this-test' }
  const withRights = (...rights: [Action, string | null][]): TestServerOptions => {
    const allow = rights.map(([action, pattern]) => ({ action, pattern }))
    const token = { name: 'someone', token: { current: () => 'a-token-of-this-test' }, allow }
    return { guard: { access: { anonymous: [], tokens: [token], users: [] } } }
  }

  it('read, reads, and of what it may read alone', async () => {
    const { send } = await open(withRights(['read', 'bundles/team/*']))
    expect(Object.keys((await send('GET /repos', undefined, authorization)).json as object)).toEqual(['team/pinned'])
    expect(Object.keys((await send('GET /debug/caches', undefined, authorization)).json as object)).toEqual([
      'team/pinned',
    ])
    expect((await send('GET /tags/authz', undefined, authorization)).status).toBe(403)
    const answer = await send('POST /tags/team/pinned', '{"auto_deploy":true}', authorization)
    expect([answer.status, answer.json]).toEqual([403, says('someone may not deploy bundles/team/pinned')])
  })

  it('deploy, changes', async () => {
    const { send } = await open(withRights(['deploy', 'bundles/authz']))
    expect((await send('POST /tags/authz', '{"auto_deploy":true}', authorization)).status).toBe(200)
    expect((await send('POST /tags/team/pinned/reset', '', authorization)).status).toBe(403)
    expect((await send('GET /repos', undefined, authorization)).status).toBe(403)
  })

  it('show no credentials, is asked for them, but for ping', async () => {
    const { send } = await open(withRights(['read', null]))
    for (const line of ['GET /repos', 'GET /tags/authz', 'POST /tags/authz', 'GET /debug/caches']) {
      const answer = await send(line)
      expect([answer.status, answer.json], line).toEqual([401, says('')])
    }
    expect((await send('GET /ping')).status).toBe(200)
  })
})

describe('a page of another origin', () => {
  const origin = 'https://watcher.example.com'
  const page = { Origin: origin, 'Sec-Fetch-Site': 'cross-site' }
  const options = { corsOrigins: [origin] }

  it('that is configured may ask before it asks', async () => {
    const { send } = await open({ ...options, guard: { access: { anonymous: [], tokens: [], users: [] } } })
    const asked = { ...page, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' }
    const answer = await send('OPTIONS /tags/authz', undefined, asked)
    expect(answer).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': expect.stringMatching(/Authorization, Content-Type/) as string,
        vary: 'Origin',
      },
    })
  })

  it('that is configured may use these routes, and reads their refusals', async () => {
    const { send } = await open(options)
    for (const line of ['GET /repos', 'POST /tags/team/pinned/reset', 'GET /ping'])
      expect(await send(line, '', page), line).toMatchObject({
        status: 200,
        headers: { 'access-control-allow-origin': origin },
      })
    const refused = await send('POST /tags/other', '{}', page)
    expect(refused).toMatchObject({ status: 400, headers: { 'access-control-allow-origin': origin } })
  })

  it('that is configured may use no others', async () => {
    const { server } = await open(options)
    const answer = await ask(`${server.url}/api/v1/hold`, page, { method: 'POST' })
    expect(answer.status).toBe(403)
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin')
  })

  it.each([
    ['that is not configured', options, 'https://evil.example'],
    ['with a name that begins as a configured one', options, `${origin}.evil.example`],
    ['where none is configured', {}, origin],
  ])('%s may change nothing and read nothing', async (_what, more, from) => {
    const { send, said } = await open(more)
    const answer = await send('POST /tags/team/pinned/reset', '', { Origin: from })
    expect([answer.status, answer.json]).toEqual([403, says('another origin')])
    expect(said).toEqual([])
    for (const { headers } of [answer, await send('GET /repos', undefined, { Origin: from })])
      expect(headers).not.toHaveProperty('access-control-allow-origin')
  })
})
