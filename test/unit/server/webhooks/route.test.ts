import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { maxDeliveries, maxWebhookBytes } from '../../../../src/server/webhooks/route.ts'
import { createWebhook } from '../../../../src/webhooks/registry/index.ts'
import { registryWebhookSchema } from '../../../../src/webhooks/registry/schema.ts'
import { waitFor } from '../../../support/wait.ts'
import { distribution, gitHub } from '../../webhooks/deliveries.ts'
import { ask, startServer } from '../support.ts'

const secret = 'a-secret-that-is-long-enough'
const post = { method: 'POST' }
const json = { 'Content-Type': 'application/json' }
const push = { ...post, body: JSON.stringify(distribution.manifest) }
const bearer = { ...json, Authorization: `Bearer ${secret}` }
const sign = (body: string) => `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`

async function start() {
  const looks: (readonly string[] | null)[] = []
  const hooks = { hub: { token: secret }, ghcr: { hmac: { secret } }, quay: { url_token: secret } }
  const server = await startServer({
    // Nobody else has any right here.
    guard: { access: { anonymous: [], users: [], tokens: [] } },
    control: {
      webhook: (name) => {
        const keys = Object.hasOwn(hooks, name) ? hooks[name as keyof typeof hooks] : undefined
        if (keys === undefined) return undefined
        const look = (repositories: readonly string[] | null) => {
          looks.push(repositories)
          return repositories?.includes('policies/authz') === true ? ['authz'] : []
        }
        return { webhook: createWebhook(registryWebhookSchema.parse({ type: 'registry', ...keys })), look }
      },
    },
  })
  return { ...server, looks, at: (path: string) => `${server.url}/v1/webhooks/${path}` }
}

describe('a webhook', () => {
  it('has the bundles looked at that it names, and answers without waiting for that', async () => {
    const { at, looks, metrics } = await start()
    const answer = await ask(at('hub'), bearer, push)
    expect([answer.status, JSON.parse(answer.body)]).toEqual([202, { looking: ['authz'] }])
    expect(looks).toEqual([['policies/authz']])
    expect(await metrics.text()).toContain('longshore_webhooks_total{webhook="hub",outcome="taken"} 1')
    expect(await metrics.text()).toContain('longshore_http_requests_total{route="webhooks",status="202"} 1')
  })

  it('says so where nobody follows that, and where it makes nothing new', async () => {
    const { at, looks } = await start()
    const other = JSON.stringify(distribution.manifest).replaceAll('policies/authz', 'policies/other')
    const answer = await ask(at('hub'), bearer, { ...post, body: other })
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([202, { looking: [] }])
    const ignored = await ask(at('hub'), bearer, { ...post, body: '{"hello":"world"}' })
    expect(ignored.status).toBe(202)
    expect(JSON.parse(ignored.body)).toEqual({ ignored: expect.stringMatching(/known here/) as string })
    expect(looks).toHaveLength(1)
  })

  it.each([
    ['no token', {}],
    ['a wrong one', { Authorization: 'Bearer a-secret-that-is-wrong-here' }],
    ['the admin token', { Authorization: 'Bearer the-admin-token-of-this-test' }],
  ])('refuses %s with 401', async (_what, headers) => {
    const { at, looks } = await start()
    const answer = await ask(at('hub'), { ...json, ...headers }, push)
    expect([answer.status, looks]).toEqual([401, []])
    expect(answer.body).not.toContain(secret)
  })

  it('takes a signature of the body, and no other', async () => {
    const { at, looks } = await start()
    const body = JSON.stringify(gitHub.registryPackage)
    const headers = { ...json, 'X-GitHub-Event': 'registry_package' }
    expect((await ask(at('ghcr'), { ...headers, 'X-Hub-Signature-256': sign(body) }, { ...post, body })).status).toBe(
      202,
    )
    expect(looks).toEqual([['acme/policies']])
    const changed = body.replace('policies', 'polities')
    const wrong = await ask(at('ghcr'), { ...headers, 'X-Hub-Signature-256': sign(body) }, { ...post, body: changed })
    expect(wrong.status).toBe(401)
    expect((await ask(at('ghcr'), headers, { ...post, body })).status).toBe(401)
  })

  it('takes a token at the end of its path from those who can send nothing else', async () => {
    const { at } = await start()
    expect((await ask(at(`quay/${secret}`), json, push)).status).toBe(202)
    expect((await ask(at('quay/another-token-of-this-length'), json, push)).status).toBe(401)
    expect((await ask(at('quay'), json, push)).status).toBe(401)
    expect((await ask(at(`quay/${secret}/more`), json, push)).status).toBe(404)
  })

  it('is unknown where it is not configured, and takes POST only', async () => {
    const { at } = await start()
    for (const name of ['other', '', 'constructor']) expect((await ask(at(name), bearer, push)).status).toBe(404)
    const answer = await ask(at('hub'), bearer)
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST'])
  })

  it('is no business of browsers: neither Origin nor Host matters', async () => {
    const { at } = await start()
    const headers = { ...bearer, Host: 'hooks.example.com', Origin: 'https://elsewhere', 'X-Forwarded-For': '1.2.3.4' }
    expect((await ask(at('hub'), headers, push)).status).toBe(202)
  })

  it('takes bodies up to a limit, said before or not', async () => {
    const { at } = await start()
    const long = JSON.stringify({ text: 'x'.repeat(maxWebhookBytes) })
    expect((await ask(at('hub'), bearer, { ...post, body: long })).status).toBe(413)
    const chunked = { ...bearer, 'Transfer-Encoding': 'chunked' }
    expect((await ask(at('hub'), chunked, { ...post, body: long })).status).toBe(413)
    const fits = JSON.stringify({ ...distribution.manifest, text: 'x'.repeat(maxWebhookBytes - 2000) })
    expect((await ask(at('hub'), bearer, { ...post, body: fits })).status).toBe(202)
  })

  it('receives so many at one time', async () => {
    const { url, at, metrics } = await start()
    const { hostname, port } = new URL(url)
    const head = `POST /v1/webhooks/hub HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${secret}\r\nContent-Length: 100\r\n\r\n{`
    const slow = Array.from({ length: maxDeliveries }, () =>
      connect(Number(port), hostname).on('error', () => undefined),
    )
    for (const socket of slow) socket.write(head)
    const answer = await waitFor('all to be received', async () => {
      const asked = await ask(at('hub'), bearer, push)
      return asked.status === 503 && asked
    })
    expect(answer.headers['retry-after']).toBe('1')
    expect(await metrics.text()).toContain('longshore_limited_total{limit="webhook_deliveries"}')
    for (const socket of slow) socket.destroy()
    await waitFor('room again', async () => (await ask(at('hub'), bearer, push)).status === 202)
  })
})
