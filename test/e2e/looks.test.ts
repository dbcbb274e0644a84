// What looks at a registry cost it.
import { afterEach, expect, test } from 'vitest'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { pushPolicy } from '../support/policy.ts'
import { startDistributionV3, startOlareg } from '../support/registries.ts'

const running: { stop(): Promise<void> }[] = []

afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.stop()
})

/** What passed on the way while `run` ran. */
async function during(proxy: CountingProxy, run: () => Promise<unknown>): Promise<{ asked: string[]; bytes: number }> {
  const before = proxy.passed.length
  await run()
  const passed = proxy.passed.slice(before)
  return {
    asked: passed.map(({ method, status }) => `${method} ${status}`),
    bytes: passed.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

for (const [name, startRegistry] of [
  ['distribution', startDistributionV3],
  ['olareg', startOlareg],
] as const) {
  needs(name)(name, () => {
    test('a look without change is one HEAD and no body; after a restart many are spread out', async () => {
      const registry = await startRegistry({})
      running.push(registry)
      const proxy = await startCountingProxy(registry)
      running.push(proxy)
      await pushPolicy('first', `${registry.host}/policies/authz:latest`)
      const store = { type: 'oci', repository: `${proxy.host}/policies/authz` }
      const names = Array.from({ length: 20 }, (_, at) => `authz-${at}`)
      const schedule = { min: '1000h', max: '1000h' }
      const config = { bundles: Object.fromEntries(names.map((bundle) => [bundle, { store, schedule }])) }
      const start = async (options: { folder?: string } = {}): Promise<Longshore> => {
        const server = await startLongshore({ config, ...options })
        running.push(server)
        return server
      }

      const server = await start()
      for (let look = 0; look < 3; look++) {
        const cost = await during(proxy, async () => {
          expect(await server.look(names[look]!)).toMatchObject({ outcome: 'unchanged' })
        })
        expect(cost).toEqual({ asked: ['HEAD 200'], bytes: 0 })
      }
      await server.stop()

      const restarted = await during(proxy, async () => {
        const again = await start({ folder: server.folder })
        for (const bundle of names) expect((await again.fetch(`/bundles/${bundle}`)).status).toBe(200)
      })
      expect(restarted.asked).toEqual([])
    })
  })
}
