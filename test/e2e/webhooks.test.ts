// A push to somebody else's registry is noticed by what that registry says of it; where it is lost, by the schedule.
import { afterEach, expect, test } from 'vitest'
import { component, needs } from '../support/components.ts'
import { execOk } from '../support/exec.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { freePort } from '../support/ports.ts'
import { policyFiles, writeFiles } from '../support/policy.ts'
import {
  startDistributionV2,
  startDistributionV3,
  type DistributionOptions,
  type Registry,
} from '../support/registries.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'

const token = 'a-token-that-the-registry-has'
const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop()
})

async function push(version: string, registry: Registry, repository: string): Promise<void> {
  const cwd = writeFiles(policyFiles(version))
  await execOk(component('oras'), ['push', '--plain-http', `${registry.host}/${repository}:latest`, './'], { cwd })
}

for (const [name, startRegistry] of [
  ['distribution', startDistributionV3],
  ['docker-registry', startDistributionV2],
] as const) {
  needs(name, 'oras')(name, () => {
    /** A registry that tells longshore, and longshore at that port. */
    async function open(schedule: unknown) {
      const [port, registryPort] = [await freePort(), await freePort()]
      const [storage, folder] = [tempDir('registry'), tempDir('longshore')]
      const url = `http://127.0.0.1:${port}/v1/webhooks/hub`
      const headers = { Authorization: [`Bearer ${token}`] }
      const options: DistributionOptions = { port: registryPort, storage, notify: [{ url, headers }] }
      const bundle = (repository: string) => ({
        store: { type: 'oci', repository: `127.0.0.1:${registryPort}/${repository}` },
        ...{ schedule, webhooks: ['hub'] },
      })
      const config = {
        log: { level: 'debug' },
        webhooks: { hub: { type: 'registry', token } },
        bundles: { authz: bundle('policies/authz'), other: bundle('policies/other') },
      }
      const keep = <Started extends { stop(): Promise<void> }>(started: Started): Started => {
        running.push(started)
        return started
      }
      return {
        registry: async (tells = true) => keep(await startRegistry(tells ? options : { ...options, notify: [] })),
        longshore: async () => keep(await startLongshore({ config, folder, port })),
      }
    }

    const serves = (server: Longshore, release: number) =>
      waitFor(`release ${release}`, async () => (await server.bundle('authz')).current?.number === release)

    test('a push is taken up at once, though the schedule would not look for weeks, and only where it belongs', async () => {
      const { registry: startIt, longshore } = await open({ min: '1000h', max: '1000h' })
      const silent = await startIt(false)
      for (const repository of ['policies/authz', 'policies/other']) await push('v1', silent, repository)
      await silent.stop()
      const registry = await startIt()
      const server = await longshore()
      await waitFor('the first look at both', async () =>
        Boolean((await server.bundle('authz')).look && (await server.bundle('other')).look),
      )
      for (const release of [2, 3]) {
        await push(`v${release}`, registry, 'policies/authz')
        await serves(server, release)
        expect((await server.bundle('authz')).look).toMatchObject({ trigger: 'webhook' })
      }
      // Blobs and pulls are told of too, longshore's own among them.
      await waitFor(
        'those to be ignored',
        async () => (await server.metric('longshore_webhooks_total', { webhook: 'hub', outcome: 'ignored' })) > 2,
      )
      expect((await server.bundle('other')).look).toMatchObject({ trigger: 'start' })
      expect(await server.metric('longshore_webhooks_total', { outcome: 'refused' })).toBe(0)
      expect(JSON.stringify(server.log())).not.toContain(token)
    })

    test('a push of which nobody told is found by the schedule', async () => {
      const { registry: startIt, longshore } = await open({ min: '1s', max: '2s' })
      const registry = await startIt()
      const server = await longshore()
      await push('v1', registry, 'policies/authz')
      await serves(server, 1)
      await server.stop()
      await push('v2', registry, 'policies/authz')
      // What it had to tell is gone with it.
      await registry.process.kill()
      await startIt()
      const again = await longshore()
      await serves(again, 2)
      expect((await again.releases('authz'))[0]).toMatchObject({ number: 2 })
      expect(await again.metric('longshore_webhooks_total', { outcome: 'taken' })).toBe(0)
    })
  })
}
