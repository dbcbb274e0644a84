import fc from 'fast-check'
import { readNotice } from '../../../src/webhooks/registry/notices.ts'
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
const deliveryHeaders = fc.record(
  {
    'x-github-event': fc.constantFrom('package', 'registry_package', 'ping'),
    'ce-type': fc.constantFrom('zotregistry.image.updated', 'harbor.artifact.pushed'),
  },
  { requiredKeys: [] },
)

export const webhookProperties = [
  property('deliveries to webhooks', fc.tuple(deliveryHeaders, deliveries), ([headers, body]) => {
    const said = readNotice(headers, Buffer.from(JSON.stringify(body)))
    if ('ignored' in said) return ok(said.ignored !== '')
    ok(said.repositories === null || said.repositories.every((name) => name !== '' && name === name.toLowerCase()))
  }),
  property('deliveries that are no JSON', fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const said = readNotice({}, Buffer.from(bytes))
    ok('ignored' in said || said.repositories !== undefined)
  }),
]
