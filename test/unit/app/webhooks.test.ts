import { expect, it } from 'vitest'
import { linkWebhooks } from '../../../src/app/webhooks.ts'
import { load } from '../config/load-text.ts'

const config = `
webhooks:
  hub: { type: registry, token: a-token }
  any: { type: generic, token: a-token }
bundles:
  a: { store: { type: oci, repository: ghcr.io/acme/policies }, webhooks: [hub, any] }
  b: { store: { type: oci, repository: mirror.corp/ghcr/acme/policies }, webhooks: [hub] }
  c: { store: { type: oci, repository: ghcr.io/acme/more-policies }, webhooks: [hub] }
  d: { store: { type: oci, repository: docker.io/library/policies }, webhooks: [hub] }
  e: { store: { type: local, repository: x/y }, webhooks: [any] }
  f: { store: { type: oci, repository: ghcr.io/acme/policies } }
`

it('every linked bundle that follows the repository looks, by whatever name its host goes', async () => {
  const linked = await linkWebhooks(await load(config))
  const hub = linked.get('hub')!
  expect(hub.bundlesOf(['acme/policies'])).toEqual(['a', 'b'])
  expect(hub.bundlesOf(['library/policies', 'acme/more-policies'])).toEqual(['c', 'd'])
  expect(hub.bundlesOf(['policies/elsewhere'])).toEqual([])
  expect(hub.bundlesOf(null)).toEqual(['a', 'b', 'c', 'd'])
  expect(linked.get('any')!.bundlesOf(null)).toEqual(['a', 'e'])
})
