import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createWebhook as createGeneric } from '../../../src/webhooks/generic/index.ts'
import { genericWebhookSchema } from '../../../src/webhooks/generic/schema.ts'
import { createWebhook as createRegistry } from '../../../src/webhooks/registry/index.ts'
import { registryWebhookSchema } from '../../../src/webhooks/registry/schema.ts'
import type { Delivery } from '../../../src/webhooks/webhook.ts'

const secret = 'a-secret-that-is-long-enough'
const body = Buffer.from('{"hello":"world"}')
const delivery = (parts: Partial<Delivery> = {}): Delivery => ({
  ...{ headers: {}, urlToken: null, body: () => Promise.resolve(body) },
  ...parts,
})
const authorized = (authorization: string) => delivery({ headers: { authorization } })
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const registry = (keys: object) => createRegistry(registryWebhookSchema.parse({ type: 'registry', ...keys }))

describe('a token', () => {
  it.each([
    ['as a bearer token', `Bearer ${secret}`, true],
    ['as a bearer token, spelled otherwise', `bearer ${secret}`, true],
    ['as it is', secret, true],
    ['as a password', basic(`anybody:${secret}`), true],
    ['not another', 'Bearer a-secret-that-is-long-enougg', false],
    ['not a longer one', `Bearer ${secret}x`, false],
    ['not as a name', basic(`${secret}:`), false],
    ['not nothing', '', false],
  ])('%s', async (_what, authorization, expected) => {
    expect(await registry({ token: secret }).admits(authorized(authorization))).toBe(expected)
  })

  it('is asked for without reading the body', async () => {
    const unread = delivery({ body: () => Promise.reject(new Error('it was read')) })
    expect(await registry({ token: secret }).admits(unread)).toBe(false)
  })
})

describe('a signature', () => {
  const hex = createHmac('sha256', secret).update(body).digest('hex')
  it.each([
    ['as GitHub writes it', `sha256=${hex}`, true],
    ['alone', hex, true],
    ['in capitals', hex.toUpperCase(), true],
    ['not another', `sha256=${hex.replace(/^./, (first) => (first === '0' ? '1' : '0'))}`, false],
    ['not a shorter one', `sha256=${hex.slice(2)}`, false],
    ['not of another kind', `sha1=${hex}`, false],
  ])('%s', async (_what, given, expected) => {
    const signed = delivery({ headers: { 'x-hub-signature-256': given } })
    expect(await registry({ hmac: { secret } }).admits(signed)).toBe(expected)
  })

  it('stands in the header that the config names', async () => {
    const config = { type: 'generic', hmac: { secret, header: 'X-Gitea-Signature' } }
    const webhook = createGeneric(genericWebhookSchema.parse(config))
    expect(await webhook.admits(delivery({ headers: { 'x-gitea-signature': hex } }))).toBe(true)
    expect(await webhook.admits(delivery({ headers: { 'x-hub-signature-256': `sha256=${hex}` } }))).toBe(false)
    expect(await webhook.read(delivery())).toEqual({ repositories: null })
  })
})

describe('a token in the URL', () => {
  it('is the last part of its path', async () => {
    const webhook = registry({ url_token: secret })
    expect(await webhook.admits(delivery({ urlToken: secret }))).toBe(true)
    expect(await webhook.admits(delivery({ urlToken: `${secret}x` }))).toBe(false)
    expect(await webhook.admits(authorized(`Bearer ${secret}`))).toBe(false)
  })
})

describe('config of webhooks', () => {
  it.each([
    ['no proof', registryWebhookSchema, { type: 'registry' }, 'exactly one of'],
    ['two proofs', registryWebhookSchema, { type: 'registry', token: secret, url_token: secret }, 'exactly one of'],
    ['a URL token that is short', registryWebhookSchema, { type: 'registry', url_token: 'short' }, '20 or more'],
    [
      'one that is no part of a path',
      registryWebhookSchema,
      { type: 'registry', url_token: `${secret}/x` },
      '20 or more',
    ],
    ['no proof', genericWebhookSchema, { type: 'generic' }, 'either token or hmac'],
  ])('refuses %s', (_what, schema, config, message) => {
    expect(schema.safeParse(config).error?.message).toContain(message)
  })
})
