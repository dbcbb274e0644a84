import { createHmac } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Redactor } from '../../../src/lib/redact.ts'
import { createPublisher } from '../../../src/publishers/http/index.ts'
import { httpPublisherSchema } from '../../../src/publishers/http/schema.ts'
import { tellingOf } from '../../conformance/publisher.ts'
import { scriptedServer } from '../../support/scripted-server.ts'

const signal = new AbortController().signal

describe('publisher http', () => {
  it('sends a CloudEvent in structured mode, with the token, signed', async () => {
    const receiver = await scriptedServer({ 'POST /events': { status: 202 } })
    onTestFinished(() => receiver[Symbol.asyncDispose]())
    const config = {
      type: 'http',
      url: `${receiver.origin}/events`,
      token: 'a-token',
      hmac: { secret: 'known to both' },
    }
    const publisher = createPublisher(httpPublisherSchema.parse(config), { redactor: new Redactor() })
    const telling = tellingOf()
    await publisher.publish(telling, signal)
    const [sent] = receiver.requests
    expect(JSON.parse(sent!.body.toString())).toEqual({
      specversion: '1.0',
      id: telling.id,
      source: telling.source,
      type: 'longshore.deployment.succeeded',
      subject: 'authz at prod',
      time: '2026-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      data: telling.event,
    })
    expect(sent!.headers).toMatchObject({
      'content-type': 'application/cloudevents+json; charset=utf-8',
      authorization: 'Bearer a-token',
      'x-longshore-signature': `sha256=${createHmac('sha256', 'known to both').update(sent!.body).digest('hex')}`,
    })
  })

  it.each([
    ['another protocol', { url: 'ftp://x/y' }, 'expected a URL'],
    ['a login in the URL', { url: 'https://a:b@example.com/' }, 'without a login'],
    ['events that never happen', { events: ['deployments.*', 'depoyment.*'] }, 'expected the name of an event'],
    ['a certificate without its key', { cert: 'x.pem' }, 'expected both cert and key, or neither'],
  ])('refuses %s', (_what, more, message) => {
    const said = httpPublisherSchema.safeParse({ type: 'http', url: 'https://example.com/', ...more })
    expect(said.error?.message).toContain(message)
  })
})
