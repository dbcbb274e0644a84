import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../../src/lib/errors.ts'
import type { Steering } from '../../../../src/model/steering.ts'
import { named } from '../../../../src/server/api/schemas.ts'
import { ask, startServer, steeringOf } from '../support.ts'

const post = (sent?: object) => ({ method: 'POST', body: sent === undefined ? '' : JSON.stringify(sent) })
const digest = `sha256:${'a'.repeat(64)}` as const
const json = { 'Content-Type': 'application/json' }

describe('resuming', () => {
  const access = {
    anonymous: [{ action: 'deploy' as const, pattern: 'bundles/team/*' }],
    tokens: [],
    users: [],
  }

  it('is of one bundle, by who may deploy it', async () => {
    const { url } = await startServer({ guard: { access } })
    const answer = await ask(`${url}/api/v1/bundles/team/a/resume`, json, post())
    expect(named.Resumed.parse(JSON.parse(answer.body))).toEqual({ resumed: ['team/a'] })
    expect((await ask(`${url}/api/v1/bundles/authz/resume`, json, post())).status).toBe(401)
    const open = await startServer()
    expect((await ask(`${open.url}/api/v1/bundles/unknown/resume`, json, post())).status).toBe(404)
  })

  it('is of all, by who may deploy all', async () => {
    const { url } = await startServer()
    expect(JSON.parse((await ask(`${url}/api/v1/resume`, json, post())).body)).toEqual({ resumed: ['authz', 'team/a'] })
    const guarded = await startServer({ guard: { access } })
    expect((await ask(`${guarded.url}/api/v1/resume`, json, post())).status).toBe(401)
  })
})

/** A server that notes what it was told. */
async function listening(parts: Partial<Steering> = {}) {
  const told: unknown[][] = []
  const noting = <Name extends keyof Steering>(name: Name) => {
    const answer = parts[name] ?? steeringOf()[name]
    return (...args: unknown[]) => {
      told.push([name, ...args.filter((arg) => !(arg instanceof AbortSignal))])
      return (answer as (...args: unknown[]) => unknown)(...args)
    }
  }
  const names = Object.keys(steeringOf()) as (keyof Steering)[]
  const steering = Object.fromEntries(names.map((name) => [name, noting(name)])) as unknown as Steering
  const { url } = await startServer({ control: { steering } })
  return { told, post: (path: string, sent?: object) => ask(`${url}/api/v1${path}`, json, post(sent)) }
}

const said = { by: 'loopback', reason: '' }

describe('pinning', () => {
  it.each([
    ['v1.4.2', { tag: 'v1.4.2' }],
    ['latest', { tag: 'latest' }],
    ['41', { tag: '41' }],
    ['@41', { release: 41 }],
    [`@${digest}`, { digest }],
    [digest, { digest }],
  ])('takes %s', async (version, to) => {
    const server = await listening()
    const answer = await server.post('/bundles/authz/pin', { version, reason: 'safe' })
    expect(named.Pinned.parse(JSON.parse(answer.body))).toMatchObject({ to, look: { bundle: 'authz' } })
    expect(server.told).toEqual([['pin', 'authz', to, { by: 'loopback', reason: 'safe' }]])
  })

  it.each(['', '@', '@v1', '@0', '-x', 'a b', '@sha256:1'])('takes no %j, and says what it takes', async (version) => {
    const server = await listening()
    const answer = await server.post('/bundles/authz/pin', { version })
    expect(answer.status).toBe(400)
    expect(server.told).toEqual([])
  })

  it('is taken off, and rolled back', async () => {
    const server = await listening()
    const off = await server.post('/bundles/team/a/unpin')
    expect(named.Unpinned.parse(JSON.parse(off.body))).toMatchObject({ wasPinned: true })
    const back = await server.post('/bundles/team/a/rollback')
    expect(named.Pinned.parse(JSON.parse(back.body)).to).toEqual({ release: 7 })
    await server.post('/bundles/team/a/rollback', { release: 3 })
    expect(server.told).toEqual([
      ['unpin', 'team/a', said],
      ['rollback', 'team/a', null, said],
      ['rollback', 'team/a', 3, said],
    ])
  })
})

describe('approving', () => {
  it.each([
    [undefined, null],
    ['41', { release: 41 }],
    ['@41', { release: 41 }],
    [digest, { digest }],
  ])('takes %s', async (release, which) => {
    const server = await listening()
    const answer = await server.post('/bundles/team/a/approve', { release, reason: 'tried it' })
    expect(named.Approved.parse(JSON.parse(answer.body))).toMatchObject({ release: 7, isNew: true })
    expect(server.told).toEqual([['approve', 'team/a', which, { by: 'loopback', reason: 'tried it' }]])
  })

  it.each(['', '0', 'v1.4.2', 'sha256:1'])('takes no %j', async (release) => {
    const server = await listening()
    expect((await server.post('/bundles/authz/approve', { release })).status).toBe(400)
    expect(server.told).toEqual([])
  })
})

describe('holding', () => {
  it('is of one bundle or of all, with who and why', async () => {
    const server = await listening()
    const answer = await server.post('/bundles/team/a/hold', { reason: 'freeze' })
    expect(named.Held.parse(JSON.parse(answer.body))).toEqual({ held: true })
    await server.post('/hold')
    expect(server.told).toEqual([
      ['hold', 'team/a', { by: 'loopback', reason: 'freeze' }],
      ['hold', '*', said],
    ])
    expect((await server.post('/bundles/unknown/hold')).status).toBe(404)
  })
})

describe('auto-deploy', () => {
  it('is switched for all places of a bundle or for one', async () => {
    const server = await listening()
    expect(JSON.parse((await server.post('/bundles/authz/auto-deploy', { on: false })).body)).toEqual({ on: false })
    await server.post('/bundles/authz/auto-deploy', { on: true, to: 'prod' })
    expect(server.told).toEqual([
      ['switchAutoDeploy', 'authz', null, false, said],
      ['switchAutoDeploy', 'authz', 'prod', true, said],
    ])
  })

  it.each([{}, { on: 'yes' }, { on: true, too: 'prod' }, { on: true, to: '' }])('takes no %j', async (sent) => {
    const server = await listening()
    expect((await server.post('/bundles/authz/auto-deploy', sent)).status).toBe(400)
    expect(server.told).toEqual([])
  })
})

describe('deploying', () => {
  it('is answered when it begins, with what begins', async () => {
    const server = await listening()
    const answer = await server.post('/bundles/authz/deploy', { to: 'prod', reason: 'lost there' })
    expect(answer.status).toBe(202)
    expect(named.Forced.parse(JSON.parse(answer.body)).deployments).toMatchObject([{ place: 'prod' }])
    expect(server.told).toEqual([['deploy', 'authz', 'prod', { by: 'loopback', reason: 'lost there' }]])
  })

  it('says in a dry run what would be done', async () => {
    const server = await listening()
    const answer = await server.post('/bundles/authz/deploy', { dryRun: true })
    expect(answer.status).toBe(200)
    expect(named.Plans.parse(JSON.parse(answer.body)).plans).toMatchObject([{ place: 'prod', does: 'deploy' }])
    expect(server.told).toEqual([['plan', 'authz', null]])
  })

  it('that cannot be is refused with the reason and what to do', async () => {
    const deploy = () =>
      Promise.reject(new ConfigError('authz goes to no place', { code: 'no_place', hint: 'Name one.' }))
    const server = await listening({ deploy })
    const answer = await server.post('/bundles/authz/deploy')
    expect(answer.status).toBe(422)
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 'no_place',
      detail: 'authz goes to no place',
      hint: 'Name one.',
    })
  })
})

describe('GET /api/v1/bundles/NAME/events', () => {
  it('tells what happened', async () => {
    const { url } = await startServer()
    const answer = await ask(`${url}/api/v1/bundles/team/a/events?limit=2`)
    expect(named.Events.parse(JSON.parse(answer.body)).events).toMatchObject([{ bundle: 'team/a', by: 'ann' }])
    expect((await ask(`${url}/api/v1/bundles/unknown/events`)).status).toBe(404)
  })
})
