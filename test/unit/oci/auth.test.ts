import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../src/lib/errors.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import type { Answer } from '../../../src/oci/answer.ts'
import { Authenticator } from '../../../src/oci/auth.ts'
import type { Credential } from '../../../src/oci/credentials.ts'
import { defaultLimits, type Limits } from '../../../src/oci/limits.ts'
import { unionScopes } from '../../../src/oci/scope.ts'
import { realmOf, type RealmRequest } from '../../../src/oci/token.ts'
import { FakeClock } from '../../support/clock.ts'
import { scriptedServer, type Received, type Reply, type ScriptedServer } from '../../support/scripted-server.ts'
import { waitFor } from '../../support/wait.ts'
import { failureOf, manifestOf, manifestReply, testClient } from './setup.ts'

const manifest = manifestOf()
const path = '/v2/acme/app/manifests/v1'

function scopesOf(request: Received): string[] {
  return new URL(request.url, 'http://x').searchParams.getAll('scope')
}

/** A registry that takes exactly the tokens in `valid`, and the server that gives them. */
async function registry(options: { valid: string[]; challenge?: (server: ScriptedServer) => string; token?: Reply }) {
  const server = await scriptedServer()
  const bearer = `Bearer realm="${server.origin}/token",service="reg",scope="repository:user/image:pull"`
  const guarded = (reply: Reply) => (request: Received) =>
    options.valid.some((token) => request.headers.authorization === `Bearer ${token}`)
      ? reply
      : { status: 401, headers: { 'www-authenticate': options.challenge?.(server) ?? bearer } }
  server.on(`HEAD ${path}`, guarded(manifestReply(manifest)))
  server.on(`GET ${path}`, guarded(manifestReply(manifest)))
  server.on('GET /token', options.token ?? { body: JSON.stringify({ token: 't1', expires_in: 300 }) })
  return server
}

describe('bearer tokens', () => {
  it('gets an anonymous one with the scope that we need, not the one that the challenge names', async () => {
    await using server = await registry({ valid: ['t1'] })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    await repository.head('v1')
    expect(server.asked()).toEqual([
      `HEAD ${path}`,
      `GET /token?service=reg&scope=repository%3Aacme%2Fapp%3Apull`,
      `HEAD ${path}`,
      `HEAD ${path}`,
    ])
    expect(server.requests[1]!.headers.authorization).toBeUndefined()
  })

  it('logs in at the realm with what it has, and hides the token', async () => {
    await using server = await registry({
      valid: ['token-from-access'],
      token: { body: '{"access_token":"token-from-access"}' },
    })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'pass:word' } } })
    await t.client.repository(`${server.host}/acme/app`).head('v1')
    expect(server.requests[1]!.headers.authorization).toBe(`Basic ${Buffer.from('me:pass:word').toString('base64')}`)
    expect(t.redactor.redact('x token-from-access pass:word')).toBe('x *** ***')
  })

  it('takes a token without a lifetime, or with a short one, for 60 s and renews it 5 s early', async () => {
    await using server = await registry({ valid: ['t1'], token: { body: '{"token":"t1","expires_in":10}' } })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    const tokens = () => server.asked().filter((line) => line.startsWith('GET /token')).length
    await repository.head('v1')
    await t.clock.advance(54_000)
    await repository.head('v1')
    expect(tokens()).toBe(1)
    await t.clock.advance(1_000)
    await repository.head('v1')
    expect(tokens()).toBe(2)
  })

  it('gets one for all that ask at the same time', async () => {
    await using server = await registry({ valid: ['t1'] })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    await Promise.all(Array.from({ length: 8 }, () => repository.head('v1')))
    expect(server.asked().filter((line) => line.startsWith('GET /token'))).toHaveLength(1)
  })

  it('gets another one, once, when a registry no longer takes the one it has', async () => {
    const valid = ['t1']
    await using server = await registry({ valid })
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    valid[0] = 't2'
    server.on('GET /token', { body: '{"token":"t2"}' })
    expect(await repository.head('v1')).toBeDefined()
    valid[0] = 'none'
    server.on('GET /token', { body: '{"token":"t3"}' })
    const before = server.requests.length
    expect(await failureOf(repository.head('v1'))).toMatchObject({ code: 'unauthorized' })
    expect(server.requests.length - before).toBe(3)
  })

  it('asks for more when the scope was too small, and remembers it', async () => {
    let want = 1
    const more = 'repository:acme/app:pull,push repository:acme/base:pull'
    await using server = await registry({
      valid: ['wide'],
      challenge: (own) =>
        `Bearer realm="${own.origin}/token",service="reg"${want++ === 1 ? '' : `,error="insufficient_scope",scope="${more}"`}`,
    })
    server.on('GET /token', (request) => ({
      body: JSON.stringify({ token: scopesOf(request).length > 1 ? 'wide' : 'narrow' }),
    }))
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    expect(await repository.head('v1')).toBeDefined()
    const asked = server.requests.filter(({ url }) => url.startsWith('/token')).map(scopesOf)
    expect(asked).toEqual([
      ['repository:acme/app:pull'],
      ['repository:acme/app:pull,push', 'repository:acme/base:pull'],
    ])
    await repository.head('v1')
    expect(server.asked().filter((line) => line.startsWith('GET /token'))).toHaveLength(2)
  })

  it('exchanges an identity token by POST, and falls back to GET where that is not known', async () => {
    await using server = await registry({ valid: ['t1'] })
    server.on('POST /token', { body: '{"access_token":"t1"}' }, { status: 404 })
    await using t = testClient({ registries: { [server.host]: { identityToken: 'refresh-me' } } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    const form = new URLSearchParams(server.requests[1]!.body.toString())
    expect(Object.fromEntries(form)).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'refresh-me',
      service: 'reg',
      scope: 'repository:acme/app:pull',
    })
    await t.clock.advance(100_000)
    await repository.head('v1')
    expect(server.asked().slice(-3)).toEqual([
      'POST /token',
      expect.stringContaining('GET /token?') as string,
      `HEAD ${path}`,
    ])
    expect(t.redactor.redact('refresh-me')).toBe('***')
  })

  it.each([400, 401, 404, 405, 501])('takes %i for a server that knows no OAuth2', async (status) => {
    await using server = await registry({ valid: ['t1'] })
    server.on('POST /token', { status })
    await using t = testClient({ registries: { [server.host]: { identityToken: 'refresh-me' } } })
    expect(await t.client.repository(`${server.host}/acme/app`).head('v1')).toMatchObject({ digest: manifest.digest })
    expect(
      server
        .asked()
        .slice(1, 3)
        .map((line) => line.split('?')[0]),
    ).toEqual(['POST /token', 'GET /token'])
  })

  it('does not take a failure of the server for that', async () => {
    await using server = await registry({ valid: ['t1'] })
    server.on('POST /token', { status: 403 })
    await using t = testClient({ registries: { [server.host]: { identityToken: 'refresh-me' } } })
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error).toMatchObject({ code: 'denied', status: 403 })
    expect(server.asked().filter((line) => line.startsWith('GET /token'))).toEqual([])
  })

  it('does not take an identity token elsewhere', async () => {
    await using stranger = await scriptedServer()
    await using server = await registry({ valid: ['t1'] })
    server.on('POST /token', { status: 307, headers: { location: `${stranger.origin}/token` } })
    await using t = testClient({ registries: { [server.host]: { identityToken: 'refresh-me' } } })
    expect(await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))).toMatchObject({
      code: 'redirect',
    })
    expect(stranger.requests).toHaveLength(0)
  })

  it('sends a configured token as it is', async () => {
    await using server = await registry({ valid: ['mine'] })
    await using t = testClient({ registries: { [`${server.host}/acme`]: { token: 'mine' } } })
    await t.client.repository(`${server.host}/acme/app`).head('v1')
    expect(server.requests).toHaveLength(1)
  })

  it('asks nobody for another one when a configured token is refused', async () => {
    await using server = await registry({ valid: ['theirs'] })
    await using t = testClient({ registries: { [server.host]: { token: 'mine' } } })
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error).toMatchObject({ code: 'unauthorized', status: 401 })
    expect(server.asked()).toEqual([`HEAD ${path}`])
  })

  it('goes on for the others when the one that asked first gives up', async () => {
    let release: (reply: Reply) => void = () => undefined
    await using server = await registry({ valid: ['t1'] })
    server.on('GET /token', () => new Promise((resolve) => (release = resolve)))
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    const aborter = new AbortController()
    const first = failureOf(repository.head('v1', aborter.signal))
    const second = repository.head('v1')
    await waitFor('the token to be asked for', () => server.asked().some((asked) => asked.startsWith('GET /token')))
    aborter.abort(new Error('enough'))
    expect((await first).message).toBe('enough')
    release({ body: '{"token":"t1"}' })
    expect(await second).toBeDefined()
  })

  it.each([
    ['too big', { body: `{"token":"${'x'.repeat(130 * 1024)}"}` }],
    ['HTML', { body: '<html>' }],
    ['without a token', { body: '{}' }],
    ['with a token that ends the header', { body: JSON.stringify({ token: 'a\r\nx: y' }) }],
  ])('refuses an answer of the token server that is %s', async (_what, token) => {
    await using server = await registry({ valid: ['t1'], token })
    await using t = testClient()
    expect(await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))).toMatchObject({
      code: 'protocol',
    })
  })

  it('has a typed end for a token server that does not come to one', async () => {
    await using server = await registry({ valid: [], token: { body: '{}', stall: true } })
    await using t = testClient({ limits: { tries: 1 } })
    const blob = { mediaType: 'x/y', digest: manifest.digest, size: 1 }
    const asks = { 'www-authenticate': 'Bearer realm="/token",service="reg"' }
    server.on(`GET /v2/acme/app/blobs/${blob.digest}`, { status: 401, headers: asks })
    const work = failureOf(Array.fromAsync(t.client.repository(`${server.host}/acme/app`).blob(blob)))
    await waitFor('the token server to be asked', () => server.asked().some((asked) => asked.includes('/token')))
    await t.clock.advance(60_000)
    expect(await work).toMatchObject({
      name: 'RemoteError',
      code: 'timeout',
      message: expect.stringContaining(`cannot log in to ${server.host}`) as string,
    })
  })

  it('asks where the registry is for this repository: plain HTTP may be set for a path only', async () => {
    await using proxy = await scriptedServer()
    const guarded = (request: Received) =>
      request.headers.authorization === 'Bearer t1'
        ? manifestReply(manifest)
        : { status: 401, headers: { 'www-authenticate': 'Bearer realm="/token",service="reg"' } }
    proxy.on(`HEAD http://registry.test${path}`, guarded)
    proxy.on('GET http://registry.test/token', { body: '{"token":"t1"}' })
    const registries = { 'registry.test/acme': { plainHttp: true } }
    await using t = testClient({ registries, proxy: { httpProxy: proxy.origin } })
    expect(await t.client.repository('registry.test/acme/app').head('v1')).toMatchObject({ digest: manifest.digest })
  })

  it('gives the token of one login to no other at the same registry', async () => {
    await using server = await scriptedServer()
    const challenge = { status: 401, headers: { 'www-authenticate': `Bearer realm="${server.origin}/token"` } }
    const used: string[] = []
    server.on(`HEAD ${path}`, ({ headers }) => {
      if (headers.authorization === undefined) return challenge
      used.push(headers.authorization)
      return manifestReply(manifest)
    })
    server.on('GET /token', ({ headers }) => {
      const who = Buffer.from(headers.authorization?.slice(6) ?? '', 'base64').toString()
      return { body: JSON.stringify({ token: `token-of-${who.split(':')[0]}` }) }
    })
    await using t = testClient({ registries: { [server.host]: { username: 'all', password: 'hunter22' } } })
    const name = `${server.host}/acme/app`
    await t.client.repository(name).head('v1')
    await t.client.repository(name, { username: 'one', password: 'hunter23' }).head('v1')
    await t.client.repository(name).head('v1')
    expect(used).toEqual(['Bearer token-of-all', 'Bearer token-of-one', 'Bearer token-of-all'])
  })

  it.each([
    ['a realm that cannot be used', 'file:///token'],
    ['a token server that is gone', 'http://127.0.0.1:1/token'],
    ['a token server that gives none', '/no-token'],
  ])('asks the registry again after %s: it may have mended that', async (_what, realm) => {
    await using server = await registry({ valid: ['t1'], challenge: () => `Bearer realm="${now.realm}"` })
    const now = { realm }
    server.on('GET /no-token', { status: 200, body: '{}' })
    await using t = testClient({ limits: { tries: 1 } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    for (let time = 0; time < 2; time++) await failureOf(repository.head('v1'))
    now.realm = '/token'
    expect(await repository.head('v1')).toMatchObject({ digest: manifest.digest })
  })

  it('says what the token server said', async () => {
    const token = { status: 403, body: '{"errors":[{"code":"DENIED","message":"locked"}]}' }
    await using server = await registry({ valid: [], token })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error).toMatchObject({ code: 'denied', message: expect.stringContaining('DENIED: locked') as string })
  })
})

describe('what is remembered', () => {
  const header = (realm: string, service = 'reg') => [`Bearer realm="https://${realm}/token",service="${service}"`]

  /** An authenticator whose token servers give `HOST:SERVICE:N`. */
  function rig(lookup: () => Promise<Credential | undefined> = async () => undefined, limits: Partial<Limits> = {}) {
    const clock = new FakeClock()
    const redactor = new Redactor()
    const asked: string[] = []
    const send: RealmRequest = async ({ url }) => {
      asked.push(url.host)
      const token = `${url.host}:${url.searchParams.get('service')}:${asked.length}`
      const bytes = async () => Buffer.from(JSON.stringify({ token, expires_in: 3600 }))
      return { status: 200, bytes, discard: async () => undefined } as unknown as Answer
    }
    const options = { host: 'reg.test', origin: 'https://reg.test', lookup, send, clock, redactor }
    const auth = new Authenticator({ ...options, limits: { ...defaultLimits, ...limits } })
    const scopes = ['repository:a/b:pull']
    return {
      auth,
      clock,
      redactor,
      asked,
      answer: (given: string[]) => auth.answer(given, 'a/b', scopes, undefined),
      scopes,
    }
  }

  it('is a token for each token server and service', async () => {
    const { answer } = rig()
    expect(await answer(header('one.test'))).toBe('Bearer one.test:reg:1')
    expect(await answer(header('two.test'))).toBe('Bearer two.test:reg:2')
    expect(await answer(header('two.test', 'other'))).toBe('Bearer two.test:other:3')
    expect(await answer(header('one.test'))).toBe('Bearer one.test:reg:1')
  })

  it('is who we are, for a minute: a new password gets a new token', async () => {
    let password = 'hunter22'
    const { auth, answer, clock, scopes } = rig(async () => ({ username: 'me', password }))
    await answer(header('one.test'))
    password = 'hunter23'
    expect(await auth.current('a/b', scopes)).toBe('Bearer one.test:reg:1')
    await clock.advance(60_000)
    expect(await auth.current('a/b', scopes)).toBe('Bearer one.test:reg:2')
    expect(await auth.current('a/b', scopes)).toBe('Bearer one.test:reg:2')
  })

  it('is not who was refused: it is looked up again at once, but not where only the scope was too small', async () => {
    let lookups = 0
    const { auth, scopes } = rig(async () => ({ username: 'me', password: `password-${++lookups}` }))
    const used = await auth.answer(header('one.test'), 'a/b', scopes, undefined)
    await auth.answer(header('one.test'), 'a/b', scopes, used)
    expect(lookups).toBe(2)
    const [plain = ''] = header('one.test')
    await auth.answer([`${plain},error="insufficient_scope",scope="more"`], 'a/b', scopes, used)
    expect(lookups).toBe(2)
  })

  it('is not that somebody could not be asked who we are', async () => {
    let fails = true
    const { auth } = rig(async () => {
      if (fails) throw new ConfigError('the keychain is locked')
      return { token: 'static-token' }
    })
    await expect(auth.current('a/b', [])).rejects.toThrow('locked')
    fails = false
    expect(await auth.current('a/b', [])).toBe('Bearer static-token')
  })

  it('does not grow without end, nor what is hidden because of it', async () => {
    const { auth, answer, redactor } = rig(undefined, { tokens: 2 })
    await answer(header('one.test'))
    for (let at = 0; at < 5; at++) await auth.current('a/b', [`repository:a/${at}:pull`])
    const shown = [1, 2, 3, 4, 5, 6].map((nth) => redactor.redact(`one.test:reg:${nth}`))
    expect(shown.filter((text) => text === '***')).toHaveLength(2)
    expect(shown[5]).toBe('***')
  })
})

describe('what servers say', () => {
  const challenge = { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }
  const pair = Buffer.from('me:hunter22').toString('base64')

  it.each([
    ['the header', `{"errors":[{"code":"UNAUTHORIZED","message":"bad Basic ${pair}"}]}`],
    ['the bare pair', `who is ${pair}?`],
    ['the password', '{"errors":[{"code":"UNAUTHORIZED","message":"wrong password: hunter22"}]}'],
    ['the password where the text is cut', `${'x'.repeat(296)}hunter22 is wrong`],
    ['a URL with a signature', 'try https://s3.test/x?X-Amz-Signature=hunter33&y=1'],
    ['a URL with a login', 'try https://me:hunter33@s3.test/x'],
    ['a secret in control characters', 'hunter\u000022 and hunter22'],
  ])('gets into no error with %s', async (_what, body) => {
    await using server = await scriptedServer({ [`GET ${path}`]: [challenge, { status: 403, body }] })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'hunter22' } } })
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    expect(error).toMatchObject({ code: 'denied', status: 403 })
    expect(JSON.stringify([error.message, error])).not.toMatch(/hunt(?:er\d|…)|hunter22/)
    expect(error.message).not.toContain(pair)
  })

  it('is not shown where it may be a token', async () => {
    await using server = await registry({ valid: [], token: { status: 203, body: '{"token":"eyJhbGciOi"}' } })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error.message).toContain('answered 203')
    expect(error.message).not.toContain('eyJ')
  })

  it.each([
    ['{"message":"no such project"}', 'no such project'],
    ['{"details":"invalid username"}', 'invalid username'],
    ['{"error":"invalid_grant","error_description":"expired"}', 'invalid_grant: expired'],
  ])('is understood in other forms: %s', async (body, shown) => {
    await using server = await scriptedServer({ [`GET ${path}`]: { status: 403, body } })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).manifest('v1'))
    expect(error.message).toContain(`(${shown})`)
  })
})

describe('basic', () => {
  it('is sent without being asked from then on', async () => {
    await using server = await scriptedServer({
      [`HEAD ${path}`]: [{ status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } }, manifestReply(manifest)],
    })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'secret' } } })
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    await repository.head('v1')
    expect(server.requests).toHaveLength(3)
    expect(server.requests[2]!.headers.authorization).toMatch(/^Basic /)
  })

  it('says how to log in where there is nobody to log in as', async () => {
    await using server = await scriptedServer({
      [`HEAD ${path}`]: { status: 401, headers: { 'www-authenticate': 'Basic' } },
    })
    await using t = testClient()
    const error = await failureOf(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(error).toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('wants credentials, and there are none for it') as string,
      hint: expect.stringContaining('longshore login') as string,
    })
  })

  it('is not sent twice when it is wrong', async () => {
    await using server = await scriptedServer({ 'GET /v2/': { status: 401, headers: { 'www-authenticate': 'Basic' } } })
    await using t = testClient({ registries: { [server.host]: { username: 'me', password: 'wrong' } } })
    expect(await failureOf(t.client.ping(server.host))).toMatchObject({ code: 'unauthorized', status: 401 })
    expect(server.requests).toHaveLength(2)
  })

  it('gives the credentials of one path to no other', async () => {
    const challenge = { status: 401, headers: { 'www-authenticate': 'Basic' } }
    await using server = await scriptedServer({ 'HEAD /v2/acme2/app/manifests/v1': challenge })
    await using t = testClient({ registries: { [`${server.host}/acme`]: { username: 'me', password: 'secret' } } })
    await failureOf(t.client.repository(`${server.host}/acme2/app`).head('v1'))
    expect(server.requests).toHaveLength(1)
  })
})

describe('realms', () => {
  it.each([
    ['http for https', 'http://auth.example/token', 'https://reg.example'],
    ['this machine', 'https://127.0.0.1/token', 'https://reg.example'],
    ['a metadata service', 'http://169.254.169.254/', 'http://reg.example'],
    ['another protocol', 'ftp://auth.example/', 'https://reg.example'],
    ['user names', 'https://a:b@auth.example/', 'https://reg.example'],
    ['nothing', '', 'https://reg.example'],
  ])('refuses %s', (_what, realm, origin) => {
    expect(() => realmOf(realm, origin, 'reg.example')).toThrow(expect.objectContaining({ code: 'protocol' }) as Error)
  })

  it('takes a relative one and one elsewhere', () => {
    expect(realmOf('/token?a=b', 'https://reg.example', 'reg.example').href).toBe('https://reg.example/token?a=b')
    expect(realmOf('https://auth.docker.io/token', 'https://registry-1.docker.io', 'docker.io').host).toBe(
      'auth.docker.io',
    )
    expect(realmOf('http://127.0.0.1:5001/t', 'http://localhost:5000', 'localhost:5000').port).toBe('5001')
  })
})

describe('unionScopes', () => {
  it('sorts, and joins the actions for one resource', () => {
    expect(
      unionScopes(['repository:b:push', 'repository:a:pull', 'repository:b:pull', 'repository:h:5/x:pull']),
    ).toEqual(['repository:a:pull', 'repository:b:pull,push', 'repository:h:5/x:pull'])
  })
})
