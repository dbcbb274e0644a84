import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createSetup, type SetupOptions } from '../../../src/app/setup.ts'
import type { Config } from '../../../src/config/config.ts'
import { readEnvironment } from '../../../src/config/environment.ts'
import { ConfigError } from '../../../src/lib/errors.ts'
import { createLogger } from '../../../src/lib/logger.ts'
import { createMetrics } from '../../../src/lib/metrics.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import type { EventType } from '../../../src/model/event.ts'
import type { PublisherSpec } from '../../../src/reconcile/sender.ts'
import type { BundleSpec } from '../../../src/reconcile/types.ts'
import { FakeClock } from '../../support/clock.ts'
import { scriptedServer } from '../../support/scripted-server.ts'
import { tempDir } from '../../support/temp.ts'
import { load } from '../config/load-text.ts'

const bundle = (name: string, store: string) => `  ${name}: { store: ${store}, schedule: off }\n`
const local = '{ type: local, repository: a/b }'

/** Everything around a setup, with what it was told. */
async function rig(first: Config) {
  const clock = new FakeClock()
  const redactor = new Redactor()
  const log = new PassThrough()
  const logger = createLogger({ level: 'info', pretty: false, redactor, stream: log })
  const configured: (readonly BundleSpec[])[] = []
  const told: (readonly PublisherSpec[])[] = []
  const setup = await createSetup(first, {
    reconciler: {
      configure: async (specs: readonly BundleSpec[]) => {
        configured.push(specs)
        return { added: [], changed: [], removed: [] }
      },
    },
    outbox: { configure: async (specs: readonly PublisherSpec[]) => void told.push(specs) },
    registry: { repository: () => ({ name: 'local' }) },
    state: { bundles: { current: async () => [] } },
    table: { configure: () => undefined, get: () => undefined },
    serving: { restore: async () => undefined },
    guard: { setAccess: () => undefined },
    logger,
    remote: {
      ...{ clock, random: () => 1, environment: readEnvironment({}), logger, redactor, version: '1' },
      metrics: createMetrics(clock),
    },
  } as unknown as SetupOptions)
  const apply = (config: Config | Promise<Config>) => setup.apply(async () => config)
  const logged = () => String((log.read() as Buffer | null) ?? '')
  return { setup, apply, clock, configured, told, logged }
}

describe('configs that come one upon the other', () => {
  it('are read and taken up in turn: the last one stays', async () => {
    const [one, two] = await Promise.all(['one', 'two'].map((name) => load(`bundles:\n${bundle(name, local)}`)))
    const { setup } = await rig(one!)
    const { promise, resolve } = Promise.withResolvers<Config>()
    const order: string[] = []
    const slow = setup.apply(() => {
      order.push('one')
      return promise
    })
    const quick = setup.apply(async () => {
      order.push('two')
      return two!
    })
    await new Promise((done) => setImmediate(done))
    expect(order).toEqual(['one'])
    resolve(one!)
    await Promise.all([slow, quick])
    expect(order).toEqual(['one', 'two'])
    expect(setup.config).toBe(two)
    await setup.close()
  })

  it('do not keep each other from being taken up when one is bad', async () => {
    const config = await load('log: {}\n')
    const { setup, apply } = await rig(config)
    const bad = apply(Promise.reject(new ConfigError('bad')))
    const good = apply(await load('bundles: {}\n'))
    await expect(bad).rejects.toThrow('bad')
    await good
    expect(setup.config).not.toBe(config)
  })

  it('are refused once it stops, and what is under way is waited for', async () => {
    const config = await load('log: {}\n')
    const { setup, apply, configured } = await rig(config)
    const { promise, resolve } = Promise.withResolvers<Config>()
    const late = apply(promise)
    const stopped = setup.stop()
    resolve(await load('bundles: {}\n'))
    await expect(late).rejects.toMatchObject({ code: 'stopping' })
    await stopped
    await expect(apply(config)).rejects.toMatchObject({ code: 'stopping' })
    expect(configured).toEqual([])
    expect(setup.config).toBe(config)
  })
})

describe('a change', () => {
  it('of who is told, and of who tells us, is taken up at once and disturbs no bundle', async () => {
    const linked = (name: string, more: string) => `  ${name}: { store: ${local}, schedule: off${more} }\n`
    const before = await load(`bundles:\n${linked('a', '')}${linked('b', '')}`)
    const { setup, apply, configured, told } = await rig(before)
    await apply(before)
    expect([told, [...setup.webhooks.keys()]]).toEqual([[[]], []])
    const events = 'publishers: { ops: { type: http, url: "https://x.example/", events: ["deployment.*"] } }\n'
    const hooks = 'webhooks: { ci: { type: generic, token: a-token } }\n'
    const keys = ', publish: [ops], webhooks: [ci]'
    await apply(await load(`${events}${hooks}bundles:\n${linked('a', keys)}${linked('b', '')}`))
    expect(configured[1]).toEqual(configured[0])
    expect(configured[1]![0]).toBe(configured[0]![0])
    expect(setup.webhooks.get('ci')!.bundlesOf(null)).toEqual(['a'])
    const [ops] = told[1]!
    expect(ops).toMatchObject({ name: 'ops', parkAfterMs: 86_400_000 })
    const wants = (type: EventType, of: string) =>
      ops!.wants({ seq: 1, at: 1, type, bundle: of, place: null, by: null, data: {} })
    expect(wants('deployment.failed', 'a')).toBe(true)
    expect(wants('deployment.failed', 'b')).toBe(false)
    expect(wants('deployments.held', '*')).toBe(false)
    expect(wants('deployment.failed', '*')).toBe(true)
    expect(wants('release.created', 'a')).toBe(false)
  })

  it('of a bundle leaves the others as they are', async () => {
    const before = await load(`bundles:\n${bundle('a', local)}${bundle('b', local)}`)
    const { apply, configured } = await rig(before)
    await apply(before)
    await apply(await load(`bundles:\n${bundle('a', local)}${bundle('b', '{ type: local, repository: c/d }')}`))
    expect(configured[1]![0]).toBe(configured[0]![0])
    expect(configured[1]![1]).not.toBe(configured[0]![1])
  })

  it.each([
    ['log: { level: debug }', 'log'],
    ['server: { shutdown_timeout: 3s }', 'server'],
    ['server: { ready_timeout: 3s }', 'server'],
    ['server: { limits: { wait_max: 3s } }', 'server'],
    ['server: { access: { anonymous: read } }', undefined],
    ['opa: { path: opa }', undefined],
  ])('that only another start takes up is said: %s', async (text, section) => {
    const folder = tempDir('config')
    const { apply, logged } = await rig(await load('{}', { folder }))
    await apply(await load(text, { folder }))
    if (section === undefined) expect(logged()).toBe('')
    else expect(logged()).toContain(`the change of ${section} needs a restart`)
  })

  it('of one registry leaves the bundles of others as they are, for as long as they stay', async () => {
    await using kept = await scriptedServer({ 'HEAD /v2/a/b/manifests/latest': { status: 404 } })
    await using other = await scriptedServer()
    const text = (concurrency: number, more = '') =>
      `registries:\n  "${other.host}": { concurrency: ${concurrency} }\nbundles:\n` +
      bundle('a', `{ type: oci, repository: "${kept.host}/a/b" }`) +
      bundle('b', `{ type: oci, repository: "${other.host}/a/b" }`) +
      more
    const first = await load(text(1))
    const { apply, configured, clock, setup } = await rig(first)
    await apply(first)
    await apply(await load(text(2)))
    await apply(await load(text(3)))
    await clock.advance(3_600_000)
    const specs = configured.map(([a, b]) => ({ a, b }))
    expect(specs[2]!.a).toBe(specs[0]!.a)
    expect(specs[2]!.b!.store).not.toBe(specs[1]!.b!.store)
    const { signal } = new AbortController()
    expect(await specs[2]!.a!.store.resolve({ tag: 'latest' }, signal)).toBeUndefined()
    await setup.close()
    await expect(specs[2]!.a!.store.resolve({ tag: 'latest' }, signal)).rejects.toThrow()
  })

  it.each(['ten minutes later', 'at the end'])(
    'of registries cuts off what is under way not at once, but %s',
    async (when) => {
      await using server = await scriptedServer({ 'HEAD /v2/a/b/manifests/latest': { hang: true } })
      const store = `{ type: oci, repository: "${server.host}/a/b" }`
      const text = (concurrency: number) =>
        `registries:\n  "${server.host}": { concurrency: ${concurrency} }\nbundles:\n${bundle('a', store)}`
      const before = await load(text(1))
      const { apply, configured, clock, setup } = await rig(before)
      await apply(before)
      let ended = false
      const { signal } = new AbortController()
      const look = configured[0]![0]!.store.resolve({ tag: 'latest' }, signal).catch((error: unknown) => error)
      void look.then(() => (ended = true))
      while (server.requests.length === 0) await new Promise((done) => setTimeout(done, 1))
      await apply(await load(text(2)))
      expect(configured[1]![0]!.store).not.toBe(configured[0]![0]!.store)
      await new Promise((done) => setTimeout(done, 20))
      expect(ended).toBe(false)
      if (when === 'at the end') await setup.close()
      else await clock.advance(600_000)
      expect(await look).toMatchObject({ name: expect.stringMatching(/AbortError|RemoteError/) as string })
      await setup.close()
    },
  )
})
