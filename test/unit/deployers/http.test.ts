import { createHmac } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createDeployer } from '../../../src/deployers/http/index.ts'
import { httpDeployerSchema } from '../../../src/deployers/http/schema.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { FinalError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { deployOf } from '../../conformance/deployer.ts'
import { scriptedServer, type Reply } from '../../support/scripted-server.ts'

const signal = new AbortController().signal

async function open(reply: Reply = {}, more: Record<string, unknown> & { path?: string } = {}) {
  const server = await scriptedServer({ 'POST /hook': reply, 'POST /authz/v1.0.0': reply })
  onTestFinished(() => server[Symbol.asyncDispose]())
  const { path = '/hook', ...keys } = more
  const config = httpDeployerSchema.parse({ type: 'http', url: `${server.origin}${path}`, ...keys })
  const registries = {
    repository: () => {
      throw new Error('not for this plugin')
    },
  }
  const redactor = new Redactor()
  for (const value of Object.values(config.headers)) if (value instanceof Secret) value.introduce(redactor)
  return {
    server,
    deployer: createDeployer(config, { registries, logger: silentLogger, redactor, clock: systemClock }),
  }
}

describe('deployer http', () => {
  it('tells what there is, with the key, signed', async () => {
    const { server, deployer } = await open({}, { hmac: { secret: 'known to both' } })
    const what = await deployOf('one')
    await deployer.deploy(what, signal)
    const [sent] = server.requests
    expect(JSON.parse(sent!.body.toString())).toEqual({
      bundle: 'authz',
      place: 'prod',
      release: 1,
      version: 'v1.0.0',
      digest: what.release.manifestDigest,
      sourceDigest: what.release.sourceDigest,
      bundleDigest: what.release.bundleDigest,
      repository: 'elsewhere/policies',
      key: what.idempotencyKey,
      forced: false,
    })
    expect(sent!.headers).toMatchObject({
      'content-type': 'application/json',
      'idempotency-key': what.idempotencyKey,
      'x-longshore-signature': `sha256=${createHmac('sha256', 'known to both').update(sent!.body).digest('hex')}`,
    })
  })

  it('sends the bundle itself, with its length and signed', async () => {
    const { server, deployer } = await open({}, { body: 'bundle', hmac: { secret: 'both', header: 'X-Hub' } })
    await deployer.deploy(await deployOf('the bytes'), signal)
    const [sent] = server.requests
    expect(sent!.body.toString()).toBe('the bytes')
    expect(sent!.headers).toMatchObject({
      'content-type': 'application/gzip',
      'content-length': '9',
      'x-hub': `sha256=${createHmac('sha256', 'both').update('the bytes').digest('hex')}`,
    })
  })

  it('fills in the URL and a text', async () => {
    const { server, deployer } = await open(
      {},
      {
        path: '/{bundle}/{version}',
        body: { text: '{place} has {version} of {repository}, {not}' },
        headers: { 'X-Team': 'acme' },
      },
    )
    await deployer.deploy(await deployOf('one'), signal)
    const [sent] = server.requests
    expect(sent!.url).toBe('/authz/v1.0.0')
    expect(sent!.body.toString()).toBe('prod has v1.0.0 of elsewhere/policies, {not}')
    expect(sent!.headers['x-team']).toBe('acme')
  })

  it('fails with what the server said, without secrets, and with the wait that it asked for', async () => {
    const headers = { Authorization: { secret: 'hunter2hunter2' } }
    const reply = { status: 503, headers: { 'Retry-After': '7' }, body: 'no\u001b[31mhunter2hunter2 here' }
    const { deployer, server } = await open(reply, { headers })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({
      code: 'unavailable',
      retryAfterMs: 7000,
      message: `${server.host} answered 503: no [31m*** here`,
    })
    expect(server.requests[0]!.headers.authorization).toBe('hunter2hunter2')
  })

  it('follows no redirect', async () => {
    const { deployer, server } = await open({ status: 307, headers: { Location: '/authz/v1.0.0' } })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({ code: 'redirect' })
    expect(server.requests).toHaveLength(1)
  })

  it('takes for done what the config says', async () => {
    const { deployer } = await open({ status: 409 }, { success: [200, 409] })
    await deployer.deploy(await deployOf('one'), signal)
  })

  it('says that sending it again would not help where the server says so', async () => {
    const { deployer, server } = await open({ status: 422, body: 'no such zone' }, { give_up: [400, 422] })
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toEqual(
      new FinalError(`${server.host} answered 422: no such zone`),
    )
  })

  it.each([
    ['never answers', { hang: true }, 'timeout'],
    ['hangs up', { drop: true }, 'network'],
  ])('fails where the server %s', async (_what, reply, code) => {
    const { deployer } = await open(reply, code === 'timeout' ? { timeout: '200ms' } : {})
    await expect(deployer.deploy(await deployOf('one'), signal)).rejects.toMatchObject({ code, retryable: true })
  })
})

describe('config of the deployer http', () => {
  it.each([
    ['another protocol', { url: 'ftp://x/y' }, 'expected a URL'],
    ['a host that depends', { url: 'https://{bundle}.example.com/' }, 'expected a URL'],
    ['a login in the URL', { url: 'https://a:b@example.com/' }, 'without a login'],
    ['a header of ours', { headers: { 'Idempotency-Key': 'x' } }, 'longshore sets this header'],
    ['a header that is none', { headers: { 'A B': 'x' } }, 'expected the name of a header'],
    ['another body', { body: 'all' }, 'expected event, bundle or'],
    ['a status that means two things', { success: [409], give_up: [409] }, 'both in success and in give_up'],
    ['a certificate without its key', { cert: 'x.pem' }, 'expected both cert and key, or neither'],
  ])('refuses %s', (_what, more, message) => {
    const said = httpDeployerSchema.safeParse({ type: 'http', url: 'https://example.com/', ...more })
    expect(said.error?.message).toContain(message)
  })
})
