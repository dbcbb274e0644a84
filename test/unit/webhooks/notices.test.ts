import { describe, expect, it } from 'vitest'
import { readNotice } from '../../../src/webhooks/registry/notices.ts'
import { distribution, dockerHub, gitHub, harbor, quay, zot } from './deliveries.ts'

const read = (body: unknown, headers: Record<string, string> = {}) =>
  readNotice({ 'content-type': 'application/json', ...headers }, Buffer.from(JSON.stringify(body)))
const v = (version: number) => ({ 'content-type': `application/vnd.docker.distribution.events.v${version}+json` })
const zotSays = (type: string) => ({ 'ce-type': `zotregistry.${type}`, 'ce-id': 'x', 'ce-specversion': '1.0' })

describe('a push is noticed', () => {
  it.each<[string, unknown, Record<string, string>, string[]]>([
    ['distribution 2', distribution.manifest, v(1), ['policies/authz']],
    ['distribution 3', distribution.manifest, v(2), ['policies/authz']],
    ['distribution, by digest', distribution.byDigest, v(2), ['policies/authz']],
    ['distribution, a deletion', distribution.deletion, v(2), ['policies/authz']],
    ['distribution, several', distribution.several, v(1), ['policies/authz', 'policies/other']],
    ['Docker Hub', dockerHub, {}, ['acme/policies']],
    ['Harbor', harbor.push, {}, ['acme/policies']],
    ['Harbor, as CloudEvent', harbor.cloudEvent, { 'content-type': 'application/cloudevents+json' }, ['acme/policies']],
    ['Quay', quay.push, {}, ['acme/policies']],
    ['GHCR', gitHub.registryPackage, { 'x-github-event': 'registry_package' }, ['acme/policies']],
    ['GHCR, older', gitHub.package, { 'x-github-event': 'package' }, ['acme/policies']],
    ['zot', zot.updated, zotSays('image.updated'), ['policies/authz']],
    ['zot, a deletion', zot.updated, zotSays('image.deleted'), ['policies/authz']],
    ['zot, a repository', zot.created, zotSays('repository.created'), ['policies/authz']],
    [
      'zot, structured',
      { specversion: '1.0', type: 'zotregistry.image.updated', data: zot.updated },
      { 'content-type': 'application/cloudevents+json' },
      ['policies/authz'],
    ],
  ])('of %s', (_what, body, headers, repositories) => {
    expect(read(body, headers)).toEqual({ repositories })
  })

  it('anywhere where it does not say where', () => {
    expect(read(harbor.replication)).toEqual({ repositories: null })
    expect(read({ push_data: {} })).toEqual({ repositories: null })
    expect(read({ events: [{ action: 'push', target: { tag: 'x' } }] })).toEqual({ repositories: null })
  })
})

describe('what makes nothing new is ignored, and said why', () => {
  it.each<[string, unknown, Record<string, string>]>([
    ['a blob', distribution.blob, v(2)],
    ['a pull', distribution.pull, v(1)],
    ['a mount', distribution.mount, v(2)],
    ['no event', { events: [] }, v(2)],
    ['events that are none', { events: [null, 'x', { action: 'push' }] }, v(2)],
    ['a pull from Harbor', harbor.pull, {}],
    ['a build of Quay', quay.build, {}],
    ['a ping of GitHub', gitHub.ping, { 'x-github-event': 'ping' }],
    ['another kind of package', gitHub.npm, { 'x-github-event': 'registry_package' }],
    ['a failed lint of zot', zot.updated, zotSays('image.lint_failed')],
    ['a CloudEvent of somebody else', { specversion: '1.0', type: 'com.example', data: {} }, {}],
    ['something else', { hello: 'world' }, {}],
    ['a list', [], {}],
    ['names that are none', { event_data: {}, type: { toString: 1 } }, {}],
    [
      'an action that is none',
      { action: [], package: { package_type: { valueOf: 1 } } },
      { 'x-github-event': 'package' },
    ],
  ])('%s', (_what, body, headers) => {
    expect(read(body, headers)).toEqual({ ignored: expect.stringMatching(/\w/) as string })
  })

  it('what is no JSON', () => {
    expect(readNotice({}, Buffer.from('payload=%7B%7D'))).toEqual({ ignored: 'the body is no JSON object' })
    expect(readNotice({}, Buffer.alloc(0))).toEqual({ ignored: 'the body is no JSON object' })
  })
})
