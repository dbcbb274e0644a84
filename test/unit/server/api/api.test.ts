import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { ConfigError, IntegrityError, RemoteError, StorageError } from '../../../../src/lib/errors.ts'
import { createLogger } from '../../../../src/lib/logger.ts'
import { Redactor } from '../../../../src/lib/redact.ts'
import { named } from '../../../../src/server/api/schemas.ts'
import type { Action } from '../../../../src/server/types.ts'
import { adminToken, ask, explanationOf, lookOf, startServer, statusOf, type TestServerOptions } from '../support.ts'

const post = { method: 'POST' }

function tokenFor(...rights: [Action, string | null][]): NonNullable<TestServerOptions['guard']> {
  const allow = rights.map(([action, pattern]) => ({ action, pattern }))
  const token = { name: 'someone', token: { current: () => 'a-token-of-this-test' }, allow }
  return { access: { anonymous: [], tokens: [token], users: [] } }
}
const credentials = { Authorization: 'Bearer a-token-of-this-test' }

describe('what is served and deployed', () => {
  it('is told of all bundles, and of one', async () => {
    const { url } = await startServer()
    const all = await ask(`${url}/api/v1/bundles`)
    expect(all.headers['content-type']).toMatch(/^application\/json/)
    expect(all.headers['x-request-id']).toMatch(/\w/)
    const { bundles } = named.Bundles.parse(JSON.parse(all.body))
    expect(bundles.map(({ name }) => name)).toEqual(['authz', 'team/a'])
    for (const path of ['team/a', 'team%2Fa'])
      expect(named.Bundle.parse(JSON.parse((await ask(`${url}/api/v1/bundles/${path}`)).body)).name).toBe('team/a')
    expect((await ask(`${url}/api/v1/bundles/team`)).status).toBe(404)
  })

  it('is told with its history, as much of it as was asked for', async () => {
    const asked: unknown[] = []
    const { url } = await startServer({
      control: {
        releases: async (bundle, limit) => {
          asked.push([bundle, limit])
          return [statusOf(bundle).current!]
        },
      },
    })
    const answer = await ask(`${url}/api/v1/bundles/team/a/releases?limit=3`)
    expect(named.Releases.parse(JSON.parse(answer.body)).releases[0]?.bundle).toBe('team/a')
    await ask(`${url}/api/v1/bundles/authz/releases`)
    expect(asked).toEqual([
      ['team/a', 3],
      ['authz', 50],
    ])
    expect((await ask(`${url}/api/v1/bundles/none/releases`)).status).toBe(404)
    for (const limit of ['0', '1001', 'x', '1.5']) {
      const wrong = await ask(`${url}/api/v1/bundles/authz/releases?limit=${limit}`)
      expect(wrong.status).toBe(400)
      expect(JSON.parse(wrong.body)).toMatchObject({ code: 'bad_request', problems: [{ key: 'limit' }] })
    }
  })

  it('is explained, with as many tags as were asked for', async () => {
    const asked: unknown[] = []
    const { url } = await startServer({
      control: {
        explain: async (bundle, limit) => {
          asked.push([bundle, limit])
          return bundle === 'none' ? undefined : explanationOf(statusOf(bundle))
        },
      },
    })
    const answer = await ask(`${url}/api/v1/bundles/team/a/explain`)
    expect(named.Explanation.parse(JSON.parse(answer.body))).toEqual(JSON.parse(answer.body))
    await ask(`${url}/api/v1/bundles/authz/explain?limit=3`)
    expect((await ask(`${url}/api/v1/bundles/none/explain`)).status).toBe(404)
    expect((await ask(`${url}/api/v1/bundles/authz/explain?limit=0`)).status).toBe(400)
    expect(asked).toEqual([
      ['team/a', 50],
      ['authz', 3],
      ['none', 50],
    ])
    const guarded = await startServer({ guard: tokenFor(['read', 'bundles/team/*']) })
    expect((await ask(`${guarded.url}/api/v1/bundles/team/a/explain`, credentials)).status).toBe(200)
    expect((await ask(`${guarded.url}/api/v1/bundles/authz/explain`, credentials)).status).toBe(403)
  })

  it('is told of every place', async () => {
    const { url } = await startServer()
    const { deployments } = named.Deployments.parse(JSON.parse((await ask(`${url}/api/v1/deployments`)).body))
    expect(deployments.map(({ bundle, place }) => [bundle, place])).toEqual([
      ['authz', 'prod'],
      ['team/a', 'prod'],
    ])
  })

  it('is shown to each caller as far as it may read', async () => {
    const { url } = await startServer({ guard: tokenFor(['read', 'bundles/team/*']) })
    const all = await ask(`${url}/api/v1/bundles`, credentials)
    expect(named.Bundles.parse(JSON.parse(all.body)).bundles.map(({ name }) => name)).toEqual(['team/a'])
    const places = await ask(`${url}/api/v1/deployments`, credentials)
    expect(named.Deployments.parse(JSON.parse(places.body)).deployments).toHaveLength(1)
    expect((await ask(`${url}/api/v1/bundles/authz`, credentials)).status).toBe(403)
    expect((await ask(`${url}/api/v1/bundles/authz`)).status).toBe(401)
  })
})

describe('rights', () => {
  const routes: [method: string, path: string, right: [Action, string | null], wrong: [Action, string | null][]][] = [
    ['GET', '/api/v1/bundles', ['read', 'x'], [['deploy', null]]],
    ['GET', '/api/v1/openapi.json', ['read', 'x'], [['deploy', null]]],
    ['GET', '/api/v1/deployments', ['read', 'x'], [['push', null]]],
    ['GET', '/api/v1/messages', ['read', 'x'], [['push', null]]],
    ['POST', '/api/v1/messages/resend', ['deploy', 'x'], [['read', null]]],
    [
      'GET',
      '/api/v1/bundles/team/a',
      ['read', 'bundles/team/a'],
      [
        ['read', 'team/a'],
        ['deploy', null],
      ],
    ],
    ['GET', '/api/v1/bundles/team/a/releases', ['read', 'bundles/team/a'], [['read', 'bundles/team']]],
    [
      'POST',
      '/api/v1/bundles/team/a/look',
      ['deploy', 'bundles/team/*'],
      [
        ['read', null],
        ['deploy', 'bundles/b'],
      ],
    ],
    [
      'POST',
      '/v1/bundles/team/a/rebuild',
      ['deploy', 'bundles/team/*'],
      [
        ['read', null],
        ['deploy', 'bundles/b'],
      ],
    ],
    [
      'POST',
      '/api/v1/config/reload',
      ['admin', null],
      [
        ['deploy', null],
        ['admin', 'bundles/*'],
      ],
    ],
    [
      'GET',
      '/metrics',
      ['read', null],
      [
        ['read', 'bundles/*'],
        ['deploy', null],
      ],
    ],
  ]

  it.each(routes)('%s %s needs %s', async (method, path, right, wrong) => {
    const { url, guard } = await startServer({ guard: tokenFor(right) })
    expect((await ask(`${url}${path}`, credentials, { method })).status).toBe(200)
    expect((await ask(`${url}${path}`, {}, { method })).status).toBe(401)
    expect((await ask(`${url}${path}`, { Authorization: `Bearer ${adminToken}` }, { method })).status).toBe(200)
    for (const other of wrong) {
      guard.setAccess(tokenFor(other).access!)
      expect((await ask(`${url}${path}`, credentials, { method })).status).toBe(403)
    }
  })
})

describe('look', () => {
  it('answers when the look is done, whatever it came to', async () => {
    const failed = lookOf('team/a', { outcome: 'failed', message: 'no route to host', code: 'network', failures: 2 })
    const { url } = await startServer({ control: { look: async () => failed } })
    const answer = await ask(`${url}/api/v1/bundles/team/a/look`, {}, post)
    expect(answer.status).toBe(200)
    expect(named.Look.parse(JSON.parse(answer.body))).toEqual(failed)
  })

  it('takes an empty body, whatever it is called, and JSON; nothing else', async () => {
    const { url } = await startServer()
    const path = `${url}/api/v1/bundles/authz/look`
    const json = { 'Content-Type': 'application/json' }
    expect((await ask(path, json, post)).status).toBe(200)
    expect((await ask(path, json, { ...post, body: '{}' })).status).toBe(200)
    expect(
      (await ask(path, { 'Content-Type': 'application/json; charset=utf-8' }, { ...post, body: '{}' })).status,
    ).toBe(200)
    expect((await ask(path, json, { ...post, body: '{' })).status).toBe(400)
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data'])
      expect((await ask(path, { 'Content-Type': type }, { ...post, body: 'a=b' })).status).toBe(415)
    expect((await ask(path, {}, { ...post, body: '{}' })).status).toBe(415)
    expect((await ask(path, json, { ...post, body: `"${'x'.repeat(2 ** 16)}"` })).status).toBe(413)
  })

  it('knows only what is configured', async () => {
    const { url } = await startServer()
    expect((await ask(`${url}/api/v1/bundles/none/look`, {}, post)).status).toBe(404)
    expect((await ask(`${url}/v1/bundles/none/rebuild`, {}, post)).status).toBe(404)
  })
})

describe('rebuild', () => {
  it.each([
    [{ outcome: 'released' }, 200],
    [{ outcome: 'unchanged' }, 200],
    [{ outcome: 'refused', code: 'bad_bundle', message: 'x.rego:1: parse error' }, 422],
    [{ outcome: 'failed', code: 'timeout', message: 'too slow' }, 504],
    [{ outcome: 'failed', code: 'unauthorized', message: 'ghcr.io said no' }, 502],
    [{ outcome: 'failed', code: 'circuit_open', message: 'left alone' }, 503],
    [{ outcome: 'failed', code: 'disk_full', message: 'no space' }, 507],
    [{ outcome: 'failed', code: null, message: null }, 502],
  ] as const)('after %o is %s, with the reason', async (parts, status) => {
    const { url } = await startServer({ control: { look: async (bundle) => lookOf(bundle, parts) } })
    const answer = await ask(`${url}/v1/bundles/team/a/rebuild`, {}, post)
    expect(answer.status).toBe(status)
    if ('message' in parts && parts.message !== null) expect(answer.body).toContain(parts.message)
    else expect(answer.body).not.toBe('')
  })
})

describe('reload', () => {
  it('says what came of it, and leaves an audit line', async () => {
    let log = ''
    const stream = new Writable({
      write(chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        done()
      },
    })
    const logger = createLogger({ level: 'info', pretty: false, redactor: new Redactor(), stream })
    const { url } = await startServer({ logger })
    const answer = await ask(`${url}/api/v1/config/reload`, { 'X-Request-Id': 'mine-1' }, post)
    expect(named.Reloaded.parse(JSON.parse(answer.body))).toEqual({ added: ['new'], changed: [], removed: [] })
    expect(JSON.parse(log)).toMatchObject({
      audit: true,
      who: 'loopback',
      action: 'reload',
      requestId: 'mine-1',
      added: ['new'],
    })
  })

  it('tells every problem of a config that is refused', async () => {
    const problems = [
      { file: 'longshore.yaml', line: 3, key: 'bundles.a', message: 'unknown key', hint: 'did you mean b' },
    ]
    const { url } = await startServer({
      control: {
        reload: async () => {
          throw new ConfigError('the config has 1 problem', { problems, hint: 'mend it' })
        },
      },
    })
    const answer = await ask(`${url}/api/v1/config/reload`, {}, post)
    expect(answer).toMatchObject({ status: 422, headers: { 'content-type': 'application/problem+json' } })
    const problem = named.Problem.parse(JSON.parse(answer.body))
    expect(problem).toMatchObject({
      title: 'Unprocessable Entity',
      detail: 'the config has 1 problem',
      code: 'bad_config',
      hint: 'mend it',
      problems,
    })
  })
})

describe('what fails', () => {
  it.each([
    [new RemoteError('unavailable', 'ghcr.io is down', { host: 'ghcr.io' }), 502, 'unavailable'],
    [new RemoteError('timeout', 'ghcr.io is slow', { host: 'ghcr.io' }), 504, 'timeout'],
    [new IntegrityError('bad_bundle', 'no'), 422, 'bad_bundle'],
    [new StorageError('io', 'disk'), 500, 'io'],
    [new Error('a secret reason'), 500, 'internal'],
  ])('%s becomes a problem document with status %s', async (error, status, code) => {
    const { url } = await startServer({
      control: {
        status: async () => {
          throw error
        },
      },
    })
    const answer = await ask(`${url}/api/v1/bundles`)
    expect(answer.status).toBe(status)
    expect(named.Problem.parse(JSON.parse(answer.body))).toMatchObject({ status, code })
    expect(answer.body).not.toContain('secret')
  })
})

describe('probes', () => {
  it('answer ping', async () => {
    const { url } = await startServer()
    for (const path of ['/ping', '/ping/']) expect((await ask(`${url}${path}`)).body).toBe('{"message":"pong"}')
  })

  it('say why it is not ready', async () => {
    const reasons: string[] = ['authz has no release yet']
    const { url } = await startServer({ control: { unready: async () => reasons } })
    const before = await ask(`${url}/health/ready`)
    expect(before.status).toBe(503)
    expect(JSON.parse(before.body)).toEqual({
      ready: false,
      reasons: ['authz has no release yet'],
      warnings: [],
    })
    expect((await ask(`${url}/health/live`)).status).toBe(200)
    reasons.pop()
    expect(JSON.parse((await ask(`${url}/health/ready`)).body)).toEqual({ ready: true, reasons: [], warnings: [] })
  })

  it('stay ready where somebody has to mend something, but everybody is served, and say what', async () => {
    const { url } = await startServer({ control: { warnings: () => ['the content folder is lost'] } })
    const answer = await ask(`${url}/health/ready`)
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toEqual({ ready: true, reasons: [], warnings: ['the content folder is lost'] })
  })

  it('give metrics in the text that Prometheus reads', async () => {
    const { url } = await startServer()
    const answer = await ask(`${url}/metrics`)
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(answer.body).toMatch(/^# TYPE longshore_http_requests_total counter$/m)
  })

  it('tell a person where to go', async () => {
    const { url } = await startServer()
    expect((await ask(`${url}/`)).body).toContain('/bundles/NAME')
  })
})

describe('the description', () => {
  interface Description {
    openapi: string
    info: { version: string }
    paths: Record<
      string,
      Record<
        string,
        { parameters?: { name: string; in: string }[]; responses: Record<string, unknown>; security: unknown[] }
      >
    >
    components: { schemas: Record<string, { type?: string; properties?: Record<string, unknown> }> }
  }

  it('names every route, made from what checks it', async () => {
    const { url } = await startServer()
    const answer = await ask(`${url}/api/v1/openapi.json`)
    const description = JSON.parse(answer.body) as Description
    expect(description).toMatchObject({ openapi: '3.1.1', info: { version: '1.2.3' } })
    expect(
      Object.entries(description.paths)
        .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
        .sort(),
    ).toEqual([
      'get /',
      'get /api/v1/bundles',
      'get /api/v1/bundles/{name}',
      'get /api/v1/bundles/{name}/events',
      'get /api/v1/bundles/{name}/explain',
      'get /api/v1/bundles/{name}/releases',
      'get /api/v1/deployments',
      'get /api/v1/events',
      'get /api/v1/messages',
      'get /api/v1/openapi.json',
      'get /api/v1/verify-content',
      'get /health/live',
      'get /health/ready',
      'get /metrics',
      'get /ping',
      'get /ping/',
      'post /api/v1/backup',
      'post /api/v1/bundles/{name}/approve',
      'post /api/v1/bundles/{name}/auto-deploy',
      'post /api/v1/bundles/{name}/deploy',
      'post /api/v1/bundles/{name}/hold',
      'post /api/v1/bundles/{name}/look',
      'post /api/v1/bundles/{name}/pin',
      'post /api/v1/bundles/{name}/resume',
      'post /api/v1/bundles/{name}/rollback',
      'post /api/v1/bundles/{name}/unpin',
      'post /api/v1/config/reload',
      'post /api/v1/gc',
      'post /api/v1/hold',
      'post /api/v1/messages/resend',
      'post /api/v1/resume',
      'post /api/v1/verify-content',
      'post /v1/bundles/{name}/rebuild',
    ])
    expect(
      description.paths['/api/v1/bundles/{name}/releases']?.get?.parameters?.map((parameter) => parameter.name),
    ).toEqual(['name', 'limit'])
    expect(description.paths['/ping']?.get?.security).toEqual([])
    expect(Object.keys(description.components.schemas).sort()).toEqual(Object.keys(named).sort())
    expect(Object.keys(description.components.schemas.Look?.properties ?? {})).toContain('outcome')
  })

  it('refers to nothing that it does not hold', async () => {
    const { url } = await startServer()
    const { body } = await ask(`${url}/api/v1/openapi.json`)
    const { components } = JSON.parse(body) as Description
    const references = [...body.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name!)
    expect(references.length).toBeGreaterThan(10)
    for (const name of references) expect(components.schemas).toHaveProperty(name)
    expect(body).not.toMatch(/\$id|\$schema|"~standard"/)
  })
})
