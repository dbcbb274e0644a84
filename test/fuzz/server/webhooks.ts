import fc from 'fast-check'
import { readNotice } from '../../../src/webhooks/registry/notices.ts'
import { pooled } from '../mutate/pool.ts'
import { hostileTree } from '../mutate/tree.ts'
import { ok, property } from '../property.ts'

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

export const webhookProperties = [
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
