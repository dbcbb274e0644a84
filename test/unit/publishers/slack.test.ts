import { describe, expect, it, onTestFinished } from 'vitest'
import { Redactor } from '../../../src/lib/redact.ts'
import type { Event } from '../../../src/model/event.ts'
import { createPublisher } from '../../../src/publishers/slack/index.ts'
import { slackPublisherSchema } from '../../../src/publishers/slack/schema.ts'
import { sentenceOf } from '../../../src/publishers/slack/sentence.ts'
import { tellingOf } from '../../conformance/publisher.ts'
import { scriptedServer } from '../../support/scripted-server.ts'

const signal = new AbortController().signal

const said = (event: Partial<Event>, data: Event['data'] = {}) => {
  const telling = tellingOf()
  return sentenceOf({ ...telling.event, ...event, data: { ...telling.event.data, ...data } })
}
const failed = { type: 'deployment.failed', by: 'ann' } as const

describe('what a person reads', () => {
  it.each<[string, string | undefined, string | undefined]>([
    ['a deployment', said({}), 'authz: v1 (release 3) → v2 (release 4) is deployed to prod by itself, after 3s'],
    [
      'one that somebody asked for',
      said({ by: 'ann' }, { reason: 'now' }),
      'authz: v1 (release 3) → v2 (release 4) is deployed to prod by ann, after 3s: now',
    ],
    [
      'the first one there',
      said({}, { from: null, fromVersion: null, tookMs: 65_000 }),
      'authz: v2 (release 4) is deployed to prod by itself, after 1m 5s',
    ],
    [
      'one that failed before',
      said({}, { failures: 2 }),
      'authz: v1 (release 3) → v2 (release 4) is deployed to prod by itself, after 3s and 2 attempts in vain',
    ],
    [
      'the first failure',
      said(failed, { failures: 1, error: 'no\nroute', nextAttemptAt: 5 }),
      'authz: v1 (release 3) → v2 (release 4) could not be deployed to prod by ann, after 3s: no route. It will be tried again.',
    ],
    ['the next one', said(failed, { failures: 2, error: 'no route', nextAttemptAt: 5 }), undefined],
    [
      'the last one',
      said(failed, { failures: 9, error: 'no route', nextAttemptAt: null }),
      'authz: v1 (release 3) → v2 (release 4) could not be deployed to prod by ann, after 3s: no route. It is not tried again.',
    ],
    ['its beginning', said({ type: 'deployment.started' }), undefined],
    ['a word for it', said({ type: 'deployment.forced', by: 'ann' }), undefined],
    [
      'one that another took the place of',
      said({ type: 'deployment.overtaken' }, { failures: 3, next: 5, nextVersion: 'v3' }),
      'authz: v2 (release 4) did not get to prod, after 3s and 3 attempts in vain: v3 (release 5) goes there instead',
    ],
    [
      'drift',
      said({ type: 'deployment.drifted' }, { error: 'it holds another' }),
      'authz: at prod is no longer v2 (release 4), which was deployed there: it holds another',
    ],
    [
      'auto-deploy',
      said({ type: 'auto_deploy.changed', place: null, by: 'ann' }, { on: false, reason: 'freeze' }),
      'Auto-deploy of authz was switched off by ann: freeze',
    ],
    [
      'auto-deploy to a place',
      said({ type: 'auto_deploy.changed', by: 'ann' }, { on: true }),
      'Auto-deploy of authz to prod was switched on by ann',
    ],
    [
      'a hold',
      said({ type: 'deployments.held', bundle: '*', place: null, by: 'ann' }, { reason: '' }),
      'Deployments of all bundles are held by ann',
    ],
    [
      'a pin',
      said({ type: 'bundle.pinned', place: null, by: 'ann' }, { pin: { release: 3 } }),
      'authz was pinned to release 3 by ann',
    ],
    ['a release', said({ type: 'release.created', place: null }), 'authz: v2 (release 4) is served'],
    [
      'a look',
      said({ type: 'look.refused', place: null }, { error: 'it is no bundle', release: undefined }),
      'authz: v2 was refused: it is no bundle',
    ],
  ])('of %s', (_what, sentence, expected) => {
    expect(sentence).toBe(expected)
  })

  it('is not longer than it need be', () => {
    expect(said(failed, { failures: 1, error: 'x'.repeat(9999) })!.length).toBeLessThan(700)
  })
})

describe('publisher slack', () => {
  async function open() {
    const receiver = await scriptedServer({ 'POST /services/T0/B0/secret': { body: 'ok' } })
    onTestFinished(() => receiver[Symbol.asyncDispose]())
    const config = slackPublisherSchema.parse({ type: 'slack', url: `${receiver.origin}/services/T0/B0/secret` })
    return { receiver, publisher: createPublisher(config, { redactor: new Redactor() }) }
  }

  it('escapes what Slack would take for markup', async () => {
    const { receiver, publisher } = await open()
    const { event } = tellingOf()
    await publisher.publish(tellingOf({ data: { ...event.data, version: '<!channel> & co' } }), signal)
    const [sent] = receiver.requests
    expect(sent!.headers['content-type']).toBe('application/json')
    expect(JSON.parse(sent!.body.toString())).toEqual({
      text: 'authz: v1 (release 3) → &lt;!channel&gt; &amp; co (release 4) is deployed to prod by itself, after 3s',
      mrkdwn: false,
    })
  })

  it('sends nothing where others say it', async () => {
    const { receiver, publisher } = await open()
    await publisher.publish(tellingOf({ type: 'deployment.started' }), signal)
    expect(receiver.requests).toEqual([])
  })

  it('is told of deployments and of auto-deploy unless said, and keeps its URL to itself', () => {
    const config = slackPublisherSchema.parse({ type: 'slack', url: 'https://hooks.slack.com/services/T0/B0/secret' })
    expect(config.events).toEqual(['deployment.*', 'auto_deploy.changed'])
    expect(JSON.stringify(config)).not.toContain('secret')
    const wrong = slackPublisherSchema.safeParse({ type: 'slack', url: 'hooks.slack.com' })
    expect(wrong.error?.message).toContain('expected a URL')
  })
})
