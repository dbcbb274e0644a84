import { createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Delivery, Webhook } from '../../src/webhooks/webhook.ts'

const secret = 'a-secret-that-is-long-enough'

export function deliveryOf(body: string | Buffer, headers: Delivery['headers'] = {}): Delivery {
  return { headers, urlToken: null, body: () => Promise.resolve(Buffer.from(body)) }
}

/** What every webhook promises. `open` makes one with these keys. */
export function testWebhook(kind: string, open: (keys: object) => Webhook): void {
  describe(`webhook ${kind}`, () => {
    it('lets in who has the token, and nobody else', async () => {
      const webhook = open({ token: secret })
      expect(await webhook.admits(deliveryOf('{}', { authorization: `Bearer ${secret}` }))).toBe(true)
      expect(await webhook.admits(deliveryOf('{}', { authorization: 'Bearer another' }))).toBe(false)
      expect(await webhook.admits(deliveryOf('{}'))).toBe(false)
    })

    it('lets in what is signed, and nothing else', async () => {
      const webhook = open({ hmac: { secret, header: 'X-Signature' } })
      const signature = createHmac('sha256', secret).update('{}').digest('hex')
      expect(await webhook.admits(deliveryOf('{}', { 'x-signature': signature }))).toBe(true)
      expect(await webhook.admits(deliveryOf('[]', { 'x-signature': signature }))).toBe(false)
      expect(await webhook.admits(deliveryOf('{}', { authorization: `Bearer ${secret}` }))).toBe(false)
    })

    it.each([
      '',
      'no JSON',
      '[]',
      'null',
      '"x"',
      '{}',
      '{"events":[{}]}',
      '{"type":{"toString":1},"event_data":{}}',
      '\xff',
    ])('has a word for %j', async (body) => {
      const said = await open({ token: secret }).read(deliveryOf(Buffer.from(body, 'latin1')))
      if ('ignored' in said) expect(said.ignored).not.toBe('')
      else expect(said.repositories === null || said.repositories.length > 0).toBe(true)
    })
  })
}
