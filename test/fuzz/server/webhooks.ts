import fc from 'fast-check'
import { readNotice } from '../../../src/webhooks/registry/notices.ts'
import { pooled } from '../mutate/pool.ts'
import { hostileTree } from '../mutate/tree.ts'
import { ok, property, same } from '../property.ts'

const words = fc.constantFrom('push', 'delete', 'PUSH_ARTIFACT', 'published', 'CONTAINER', 'policies/authz', 'a/B', '')
const json = fc.oneof(words, fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>)
const part = (...keys: string[]) => fc.record(Object.fromEntries(keys.map((key) => [key, json])), { requiredKeys: [] })
const deliveries = fc.oneof(
  fc.record({
    events: fc.array(fc.oneof(json, fc.record({ action: words, target: part('repository', 'tag', 'mediaType') }))),
  }),
  fc.record({ type: json, event_data: fc.oneof(json, fc.record({ repository: part('repo_full_name') })) }),
  fc.record({ push_data: fc.object(), repository: fc.oneof(json, part('repo_name')) }),
  fc.record({ docker_url: words, repository: json, updated_tags: json }),
  fc.record({ action: json, package: fc.oneof(json, part('package_type', 'namespace', 'name', 'owner')) }),
  fc.record({ specversion: words, type: fc.constantFrom('zotregistry.image.updated', 'x'), data: json }),
  json,
)
const repository = fc.constantFrom('policies/authz', 'Acme/App', '')
/** As registries send them; mutated, what is missing or of another type is come to. */
const real = fc.oneof(
  fc.record({
    events: fc.array(
      fc.record({
        action: fc.constantFrom('push', 'delete', 'pull'),
        target: fc.record(
          {
            repository,
            tag: fc.constant('latest'),
            mediaType: fc.constantFrom('application/vnd.oci.image.manifest.v1+json', 'application/octet-stream'),
          },
          { requiredKeys: ['repository'] },
        ),
      }),
      { maxLength: 3 },
    ),
  }),
  fc.record({
    type: fc.constantFrom('PUSH_ARTIFACT', 'DELETE_ARTIFACT', 'REPLICATION', 'SCANNING_COMPLETED'),
    event_data: fc.record(
      { repository: fc.record({ repo_full_name: repository }), replication: fc.constant({}) },
      { requiredKeys: ['repository'] },
    ),
  }),
  fc.record({ push_data: fc.constant({ tag: 'latest' }), repository: fc.record({ repo_name: repository }) }),
  fc.record(
    { docker_url: fc.constant('quay.io/acme/app'), repository, updated_tags: fc.constant(['latest']) },
    { requiredKeys: ['docker_url', 'repository'] },
  ),
  fc
    .record({
      action: fc.constantFrom('published', 'updated', 'deleted'),
      key: fc.constantFrom('package', 'registry_package'),
      what: fc.record(
        {
          package_type: fc.constantFrom('CONTAINER', 'container', 'npm'),
          namespace: fc.constantFrom('acme', 'acme/x'),
          name: fc.constantFrom('app', 'App'),
          owner: fc.constant({ login: 'acme' }),
        },
        { requiredKeys: ['package_type', 'name', 'owner'] },
      ),
    })
    .map(({ action, key, what }) => ({ action, [key]: what })),
  fc.record({
    specversion: fc.constant('1.0'),
    type: fc.constantFrom(
      'zotregistry.image.updated',
      'zotregistry.repository.created',
      'harbor.artifact.pushed',
      'harbor.artifact.deleted',
      'harbor.scan.completed',
    ),
    data: fc.record({ name: repository, repository: fc.record({ repo_full_name: repository }) }),
  }),
)
const deliveryHeaders = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      'x-github-event': fc.constantFrom('package', 'registry_package', 'ping'),
      'ce-type': fc.constantFrom('zotregistry.image.updated', 'harbor.artifact.pushed'),
    },
    { requiredKeys: [] },
  ),
)

const bodies = fc.oneof(
  { weight: 3, arbitrary: hostileTree(real, ['push', 'latest', 'acme'], ['repository', 'events', 'package', 'data']) },
  { weight: 1, arbitrary: pooled(deliveries) },
)

/** What each registry sends of a change in `name`, and whether it is one that makes something new. */
const kinds: [isNew: boolean, make: (name: string) => { headers: Record<string, string>; body: unknown }][] = [
  ...['push', 'delete', 'pull', ''].map((action): (typeof kinds)[number] => [
    ['push', 'delete'].includes(action),
    (name) => ({
      headers: {},
      body: { events: [{ action, target: { repository: name, tag: 'latest' } }, { action: 'pull' }] },
    }),
  ]),
  [
    false,
    (name) => ({ headers: {}, body: { events: [{ action: 'push', target: { repository: name, mediaType: 'x' } }] } }),
  ],
  ...['PUSH_ARTIFACT', 'DELETE_ARTIFACT', 'TAG_RETENTION', 'SCANNING_COMPLETED'].map((type): (typeof kinds)[number] => [
    type !== 'SCANNING_COMPLETED',
    (name) => ({ headers: {}, body: { type, event_data: { repository: { repo_full_name: name } } } }),
  ]),
  [true, (name) => ({ headers: {}, body: { push_data: {}, repository: { repo_name: name } } })],
  [true, (name) => ({ headers: {}, body: { docker_url: 'quay.io/x', repository: name, updated_tags: ['a'] } })],
  [false, (name) => ({ headers: {}, body: { docker_url: 'quay.io/x', repository: name } })],
  ...[
    'zotregistry.image.updated',
    'zotregistry.image.deleted',
    'zotregistry.repository.created',
    'zotregistry.image.lint_failed',
  ].flatMap((type): (typeof kinds)[number][] => [
    [type !== 'zotregistry.image.lint_failed', (name) => ({ headers: { 'ce-type': type }, body: { name } })],
    [
      type !== 'zotregistry.image.lint_failed',
      (name) => ({ headers: {}, body: { specversion: '1.0', type, data: { name } } }),
    ],
  ]),
  ...['harbor.artifact.pushed', 'harbor.artifact.deleted', 'harbor.scan.completed'].map(
    (type): (typeof kinds)[number] => [
      type !== 'harbor.scan.completed',
      (name) => ({ headers: {}, body: { specversion: '1.0', type, data: { repository: { repo_full_name: name } } } }),
    ],
  ),
  ...['published', 'updated', 'deleted'].flatMap((action) =>
    ['package', 'registry_package', 'ping'].map((event): (typeof kinds)[number] => [
      action !== 'deleted' && event !== 'ping',
      (name) => {
        const [namespace, rest] = [name.split('/')[0]!, name.slice(name.indexOf('/') + 1)]
        const what = { package_type: 'CONTAINER', namespace: `${namespace}/x`, name: rest }
        return { headers: { 'x-github-event': event }, body: { action, [event]: what } }
      },
    ]),
  ),
]

export const webhookProperties = [
  property(
    'deliveries to webhooks that were written',
    fc.tuple(fc.constantFrom(...kinds), fc.stringMatching(/^[A-Za-z]{1,5}\/[a-zA-Z0-9/]{1,8}$/)),
    ([[isNew, make], name]) => {
      const { headers, body } = make(name)
      const said = readNotice(headers, Buffer.from(JSON.stringify(body)))
      if (isNew) same(said, { repositories: [name.toLowerCase()] })
      else ok('ignored' in said)
    },
  ),
  property('deliveries to webhooks', fc.tuple(deliveryHeaders, bodies), ([headers, body]) => {
    const said = readNotice(headers, Buffer.from(JSON.stringify(body) ?? ''))
    if ('ignored' in said) return ok(said.ignored !== '')
    ok(said.repositories === null || said.repositories.every((name) => name !== '' && name === name.toLowerCase()))
  }),
  property('deliveries that are no JSON', fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const said = readNotice({}, Buffer.from(bytes))
    ok('ignored' in said || said.repositories !== undefined)
  }),
]
