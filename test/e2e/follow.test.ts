// What a look costs that chooses among the tags of registries that others wrote.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { longshore, startLongshore } from '../support/longshore.ts'
import { createOciClient } from '../../src/oci/client.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { startDistributionV2, startOlareg, type Registry } from '../support/registries.ts'
import { imageOf } from '../support/repository.ts'

for (const [name, start] of [
  ['docker-registry', startDistributionV2],
  ['olareg', startOlareg],
] as const) {
  needs(name)(name, () => {
    let registry: Registry
    let proxy: CountingProxy

    beforeAll(async () => {
      registry = await start({})
      proxy = await startCountingProxy(registry)
    })
    afterAll(async () => {
      await proxy.stop()
      await registry.stop()
    })

    test('follows ^1 by a list and one HEAD', async () => {
      const client = createOciClient({
        clock: systemClock,
        random: () => Math.random(),
        logger: silentLogger,
        redactor: new Redactor(),
      })
      const repository = client.repository(`${registry.host}/policies/authz`)
      for (const tag of ['v1.0.0', 'v1.1.0', 'v2.0.0-rc.1', 'junk']) await imageOf(repository, [tag], { tags: [tag] })
      const store = { type: 'oci', repository: `${proxy.host}/policies/authz` }
      const server = await startLongshore({
        config: { bundles: { authz: { kind: 'files', store, follow: { semver: '^1' }, schedule: 'off' } } },
      })
      const look = () => fetch(`${server.url}/v1/bundles/authz/rebuild`, { method: 'POST' })
      const version = async () => {
        const status = (await (await fetch(`${server.url}/api/v1/bundles/authz`)).json()) as {
          look: { version: string }
          follow: string
        }
        return [status.follow, status.look.version]
      }
      await look()
      expect(await version()).toEqual(['semver ^1', 'v1.1.0'])
      proxy.passed.length = 0
      await look()
      expect(proxy.asked()).toEqual(['GET /v2/policies/authz/tags/list', 'HEAD /v2/policies/authz/manifests/v1.1.0'])
      // The list that the look asked for is what is explained.
      proxy.passed.length = 0
      const told = await longshore(['explain', 'authz', '--server', server.url])
      expect(told.code, told.stderr).toBe(0)
      expect(told.stdout).toMatch(/^v1\.1\.0 +this is what counts\nv1\.0\.0 +older than v1\.1\.0$/m)
      expect(told.stdout).toMatch(/^v2\.0\.0-rc\.1 +outside \^1$/m)
      expect(told.stdout).toMatch(/^junk +not a version$/m)
      expect(proxy.asked()).toEqual([])
      await client.close()
    })
  })
}
