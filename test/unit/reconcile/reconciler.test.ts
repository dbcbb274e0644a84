import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { againAfterMs } from '../../../src/reconcile/notices.ts'
import { createStore } from '../../../src/stores/local/index.ts'
import { FakeClock } from '../../support/clock.ts'
import { imageOf } from '../../support/repository.ts'
import { down, openRig, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
const off = { kind: 'off' } as const

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
})
afterEach(() => rig.close())

const look = (trigger = 'request') => rig.reconciler.look('authz', trigger)
const status = () => rig.reconciler.status('authz')[0]!

/** As the config says: one look, at once, and then it rests. */
async function configured(more: Parameters<typeof specOf>[1] = {}): Promise<void> {
  await rig.reconciler.configure([specOf(store, more)])
  const before = rig.looked.length
  await rig.clock.advance(0)
  await until(() => rig.looked.length > before)
}

describe('asking for looks', () => {
  it('causes exactly one more while one is under way, whatever the number of askers', async () => {
    await store.push('one')
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    await rig.reconciler.configure([specOf(store)])
    const first = look('schedule')
    await until(() => store.resolves === 1)
    const askers = Array.from({ length: 50 }, () => look('push'))
    await store.push('two')
    gate.resolve()
    expect(await first).toMatchObject({ outcome: 'released' })
    const looks = await Promise.all(askers)
    expect(new Set(looks).size).toBe(1)
    expect(looks[0]).toMatchObject({ trigger: 'push' })
    expect(store.resolves).toBe(2)
  })

  it('is done for whoever noticed something, however often that is said, and nobody waits', async () => {
    await store.push('one')
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    await rig.reconciler.configure([specOf(store)])
    for (let time = 0; time < 50; time++) rig.reconciler.noticed(['authz', 'nobody'], 'webhook')
    await until(() => store.resolves === 1)
    for (let time = 0; time < 50; time++) rig.reconciler.noticed(['authz'], 'webhook')
    expect(rig.looked).toEqual([])
    gate.resolve()
    await until(() => rig.looked.length === 2)
    expect(rig.looked.map(({ trigger }) => trigger)).toEqual(['webhook', 'webhook'])
    expect(store.resolves).toBe(2)
  })

  it('is done again a little later where something was noticed: the tag may not have moved yet', async () => {
    await store.push('one')
    await configured()
    rig.reconciler.noticed(['authz'], 'webhook')
    await until(() => rig.looked.length === 2)
    expect(rig.looked[1]).toMatchObject({ trigger: 'webhook', outcome: 'unchanged' })
    await store.push('two')
    await rig.clock.advance(againAfterMs[0]!)
    await until(() => rig.looked.length === 3)
    expect(rig.looked[2]).toMatchObject({ trigger: 'webhook', outcome: 'released' })
    for (const ms of againAfterMs.slice(1)) await rig.clock.advance(ms)
    await until(() => rig.looked.length === 5)
    // Less than the schedule's.
    await rig.clock.advance(30_000)
    expect(rig.looked).toHaveLength(5)
  })

  it('takes up what was pushed during a look in the one more', async () => {
    await store.push('one')
    await rig.reconciler.configure([specOf(store)])
    const gate = Promise.withResolvers<void>()
    store.fetchGate = gate.promise
    const first = look()
    await until(() => store.fetches === 1)
    await store.push('two')
    const second = look('push')
    gate.resolve()
    await Promise.all([first, second])
    expect(rig.released.map(({ number }) => number)).toEqual([1, 2])
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
  })

  it('shares a look that has not begun yet', async () => {
    await rig.close()
    rig = await openRig({ concurrency: 1 })
    const other = new ScriptedStore()
    await Promise.all([store.push('one'), other.push('two')])
    const gate = Promise.withResolvers<void>()
    other.gate = gate.promise
    await rig.reconciler.configure([specOf(other, { name: 'other' }), specOf(store)])
    const busy = rig.reconciler.look('other', 'request')
    await until(() => other.resolves === 1)
    const askers = [look('schedule'), look('push'), look('request')]
    gate.resolve()
    const looks = await Promise.all(askers)
    await busy
    expect(new Set(looks).size).toBe(1)
    expect(store.resolves).toBe(1)
  })

  it('never looks at more bundles at once than allowed', async () => {
    await rig.close()
    rig = await openRig({ concurrency: 3 })
    await store.push('one')
    const names = Array.from({ length: 20 }, (_, at) => `b${at}`)
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    await rig.reconciler.configure(names.map((name) => specOf(store, { name })))
    await rig.clock.advance(0)
    expect(store.now).toBe(3)
    gate.resolve()
    await until(() => rig.looked.length === 20)
    expect(store.most).toBe(3)
    expect(rig.released).toHaveLength(20)
  })

  it('looks at one registry while another hangs', async () => {
    const [dead, live] = [new ScriptedStore('dead/policies'), new ScriptedStore('live/policies')]
    dead.gate = new Promise(() => undefined)
    await live.push('one')
    const names = Array.from({ length: 20 }, (_, at) => `dead${at}`)
    await rig.reconciler.configure([...names.map((name) => specOf(dead, { name })), specOf(live, { name: 'live' })])
    await rig.clock.advance(0)
    await until(() => rig.released.length === 1)
    expect(dead.now).toBe(4)
  })

  it('does not know names that are not configured', async () => {
    await rig.reconciler.configure([specOf(store)])
    expect(await rig.reconciler.look('other', 'request')).toBeUndefined()
    expect(rig.reconciler.status('other')).toEqual([])
  })

  it('lets a caller stop waiting without stopping the look', async () => {
    await store.push('one')
    const gate = Promise.withResolvers<void>()
    store.gate = gate.promise
    await rig.reconciler.configure([specOf(store)])
    const stop = new AbortController()
    const waiting = rig.reconciler.look('authz', 'request', stop.signal)
    stop.abort(new Error('gone away'))
    await expect(waiting).rejects.toThrow('gone away')
    gate.resolve()
    await until(() => rig.released.length === 1)
  })
})

describe('the schedule', () => {
  it('looks at once without a release, then within the interval, as the status says', async () => {
    await store.push('one')
    await configured({ schedule: { kind: 'interval', minMs: 60_000, maxMs: 120_000 } })
    expect(status()).toMatchObject({ looking: false, health: 'ok', nextLookAt: rig.clock.now() + 90_000 })
    expect(status().look).toMatchObject({ trigger: 'start', nextAt: rig.clock.now() + 90_000 })
    await rig.clock.advance(89_999)
    expect(store.resolves).toBe(1)
    await rig.clock.advance(1)
    await until(() => rig.looked.length === 2)
    expect(rig.looked[1]).toMatchObject({ trigger: 'schedule', outcome: 'unchanged' })
  })

  it('does not look again where it is off, unless the first look failed', async () => {
    store.failures = [down()]
    await store.push('one')
    await configured({ schedule: off })
    expect(rig.looked[0]).toMatchObject({ outcome: 'failed' })
    await rig.clock.advance(status().nextLookAt! - rig.clock.now())
    await until(() => rig.looked.length === 2)
    expect(status()).toMatchObject({ look: { outcome: 'released', nextAt: null }, nextLookAt: null })
    expect(rig.clock.nextInMs()).toBeUndefined()
  })

  it('waits longer after each failure, never longer than the interval, and shows when', async () => {
    store.failures = Array.from({ length: 9 }, down)
    await store.push('one')
    await configured({ schedule: { kind: 'interval', minMs: 60_000, maxMs: 60_000 } })
    const waits: number[] = []
    for (let failures = 1; failures <= 9; failures++) {
      expect(status().look).toMatchObject({ outcome: 'failed', failures, code: 'unavailable' })
      waits.push(status().nextLookAt! - rig.clock.now())
      await rig.clock.advance(waits.at(-1)!)
      await until(() => rig.looked.length === failures + 1)
    }
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
    expect(status().look).toMatchObject({ outcome: 'released', failures: 0 })
    expect(status().nextLookAt).toBe(rig.clock.now() + 60_000)
  })

  it('leaves a store alone for as long as that asks', async () => {
    store.failures = [new RemoteError('rate_limited', 'slow down', { host: 'test', retryAfterMs: 300_000 })]
    await configured()
    expect(status().nextLookAt).toBe(rig.clock.now() + 300_000)
  })

  it('writes a failing streak down once', async () => {
    store.failures = [down(), down(), down()]
    await configured()
    rig.writes.length = 0
    await look()
    await look()
    expect(rig.writes).toEqual([])
    expect(await rig.state.bundles.look('authz')).toMatchObject({ outcome: 'failed' })
  })

  it('keeps why it failed while the registry is left alone, but says so to who asks', async () => {
    const alone = (seconds: number) =>
      new RemoteError('circuit_open', `left alone for ${seconds}s`, { host: 'test', retryable: true })
    store.failures = [down(), alone(3), down(), alone(2), alone(1)]
    await configured()
    const why = { outcome: 'failed', code: 'unavailable', message: down().message }
    rig.writes.length = 0
    for (const failures of [2, 3]) {
      await look('schedule')
      expect(status().look).toMatchObject({ ...why, failures })
    }
    expect(rig.writes).toEqual([])
    expect(await look()).toMatchObject({ code: 'circuit_open', message: 'left alone for 2s' })
    rig.writes.length = 0
    expect(await look()).toMatchObject({ code: 'circuit_open', message: 'left alone for 1s' })
    expect(rig.writes).toEqual([])
  })

  it('writes a request to wait down once, however long it is', async () => {
    const slow = (seconds: number) => new RemoteError('rate_limited', `again in ${seconds}s`, { host: 'test' })
    store.failures = [slow(30), slow(20)]
    await configured()
    rig.writes.length = 0
    await look()
    expect(rig.writes).toEqual([])
    expect(status().look).toMatchObject({ message: 'again in 20s' })
  })

  it('counts from a look that was asked for', async () => {
    await store.push('one')
    await configured()
    await rig.clock.advance(50_000)
    await look()
    await rig.clock.advance(59_000)
    expect(store.resolves).toBe(2)
  })
})

describe('a changed config', () => {
  it('does not touch what did not change', async () => {
    await store.push('one')
    await configured()
    const next = status().nextLookAt
    const result = await rig.reconciler.configure([specOf(store)])
    expect(result).toEqual({ added: [], changed: [], removed: [] })
    await rig.clock.advance(1000)
    expect(store.resolves).toBe(1)
    expect(status().nextLookAt).toBe(next)
  })

  it.each([
    ['recipe', { recipe: 'r2' }],
    ['follow', { follow: { tag: 'v1' } }],
    ['schedule', { schedule: off }],
  ])('looks anew when the %s changed', async (_what, more) => {
    await store.push('one')
    await configured()
    const result = await rig.reconciler.configure([specOf(store, more)])
    expect(result.changed).toEqual(['authz'])
    await until(() => rig.looked.length === 2)
    expect(rig.looked[1]).toMatchObject({ trigger: 'reload' })
  })

  it('does not look anew for what does not bear on content', async () => {
    await store.push('one')
    await configured()
    expect((await rig.reconciler.configure([specOf(store, { keep: 3 })])).changed).toEqual(['authz'])
    await rig.clock.advance(1000)
    expect(store.resolves).toBe(1)
  })

  it('looks at once when a failing store was replaced: its password may be right now', async () => {
    store.failures = [down()]
    await configured()
    const mended = new ScriptedStore()
    await mended.push('one')
    await rig.reconciler.configure([specOf(mended)])
    await until(() => rig.released.length === 1)
  })

  it('stops looking at what is gone, says so, and goes on with its numbers when it comes back', async () => {
    await store.push('one')
    await configured()
    expect(await rig.reconciler.configure([])).toEqual({ added: [], changed: [], removed: ['authz'] })
    expect([rig.removed, rig.reconciler.status()]).toEqual([['authz'], []])
    expect(rig.clock.nextInMs()).toBeUndefined()
    await store.push('two')
    expect((await rig.reconciler.configure([specOf(store)])).added).toEqual(['authz'])
    expect(status().current).toMatchObject({ number: 1 })
    await look()
    expect(rig.released.map(({ number }) => number)).toEqual([1, 2])
  })

  it('does not commit what was begun under an older recipe; who asked gets the look under the new one', async () => {
    const raw = await store.push('one')
    const gate = Promise.withResolvers<void>()
    store.fetchGate = gate.promise
    await rig.reconciler.configure([specOf(store)])
    const asked = look()
    await until(() => store.fetches === 1)
    await rig.reconciler.configure([specOf(store, { recipe: 'r2' })])
    await until(() => store.fetches === 2)
    gate.resolve()
    expect(await asked).toMatchObject({ outcome: 'released' })
    expect(rig.released).toHaveLength(1)
    expect(await rig.state.bundles.memo('authz', raw.digest, 'r1')).toBeUndefined()
    expect(await rig.state.bundles.memo('authz', raw.digest, 'r2')).toMatchObject({ verdict: { release: 1 } })
    expect([store.resolves, rig.looked.length]).toEqual([2, 1])
  })

  it('does not commit what was still being assembled under an older recipe', async () => {
    const raw = await store.push('one')
    const gate = Promise.withResolvers<void>()
    rig.assembling = gate.promise
    await rig.reconciler.configure([specOf(store)])
    const asked = look()
    await until(() => rig.assembled === 1)
    await rig.reconciler.configure([specOf(store, { recipe: 'r2' })])
    gate.resolve()
    expect(await asked).toMatchObject({ outcome: 'released' })
    expect(await rig.state.bundles.memo('authz', raw.digest, 'r1')).toBeUndefined()
    expect([rig.assembled, rig.released.length]).toEqual([2, 1])
  })

  it('looks once more when the recipe changes too late to keep a release from being made', async () => {
    const raw = await store.push('one')
    const gate = Promise.withResolvers<void>()
    rig.appending = gate.promise
    await rig.reconciler.configure([specOf(store)])
    const asked = look()
    await until(() => rig.writes.includes('append'))
    await rig.reconciler.configure([specOf(store, { recipe: 'r2' })])
    gate.resolve()
    expect(await asked).toMatchObject({ outcome: 'released' })
    await until(() => rig.looked.length === 2)
    expect(rig.looked[1]).toMatchObject({ trigger: 'reload', outcome: 'unchanged' })
    expect(await rig.state.bundles.memo('authz', raw.digest, 'r2')).toMatchObject({ verdict: { release: 1 } })
  })

  it('drops a look at what left the config', async () => {
    await store.push('one')
    store.fetchGate = new Promise(() => undefined)
    await rig.reconciler.configure([specOf(store)])
    const asked = look()
    await until(() => store.fetches === 1)
    await rig.reconciler.configure([])
    expect(await asked).toBeUndefined()
    expect(rig.released).toEqual([])
  })

  it('changes while it runs lose no look, and the last one counts', async () => {
    await store.push('one')
    await configured()
    for (let turn = 0; turn < 20; turn++) {
      void rig.reconciler.configure([specOf(store, { recipe: `recipe ${turn}` })])
      for (let ticks = 0; ticks < turn; ticks++) await new Promise((resolve) => setImmediate(resolve))
    }
    const raw = await store.repository.manifest('latest')
    await until(() => !status().looking && store.now === 0 && rig.looked.at(-1)?.trigger === 'reload')
    await look('schedule')
    expect(await rig.state.bundles.memo('authz', raw.digest, 'recipe 19')).toBeDefined()
  })
})

describe('a push to the built-in registry', () => {
  it('starts a look at once, at the bundles that follow that tag', async () => {
    const context = {
      ...{ registries: undefined as never, promotion: undefined as never },
      local: (name: string) => rig.registry.repository(name),
    }
    const local = createStore({ type: 'local', repository: 'policies/authz' }, { ...context, logger: silentLogger })
    rig.registry.onChange((change) => rig.reconciler.repositoryChanged(change))
    const schedule = off
    await imageOf(rig.registry.repository('policies/authz'), ['one'], { tags: ['latest'] })
    await rig.reconciler.configure([
      specOf(local, { schedule }),
      specOf(local, { name: 'beta', follow: { tag: 'beta' }, schedule }),
      specOf(store, { name: 'far', schedule }),
    ])
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 3)
    const pushed = await imageOf(rig.registry.repository('policies/authz'), ['two'], { tags: ['latest'] })
    await until(() => rig.released.length === 2)
    expect(rig.released[1]).toMatchObject({ bundle: 'authz', number: 2, manifestDigest: pushed.digest })
    await imageOf(rig.registry.repository('elsewhere'), ['three'], { tags: ['latest'] })
    expect(rig.looked.slice(3).map(({ bundle, trigger }) => [bundle, trigger])).toEqual([['authz', 'push']])
  })
})

describe('a restart', () => {
  it('has what was released before any store answers, and spreads the first looks', async () => {
    await store.push('one')
    await configured()
    await rig.close()
    const again = new ScriptedStore()
    again.gate = new Promise(() => undefined)
    rig = await openRig({ folder: rig.folder, clock: new FakeClock() })
    expect(await rig.reconciler.start()).toMatchObject([{ bundle: 'authz', number: 1 }])
    await rig.reconciler.configure([specOf(again)])
    expect(status()).toMatchObject({ current: { number: 1 }, health: 'ok', look: { outcome: 'released' } })
    await rig.clock.advance(0)
    expect(again.resolves).toBe(0)
    expect(status().nextLookAt).toBe(rig.clock.now() + 30_000)
  })

  it('remembers what was refused, and what was not', async () => {
    await store.push('one')
    await configured()
    await store.push('refuse it')
    await look()
    const { folder } = rig
    await rig.close()
    rig = await openRig({ folder })
    await rig.reconciler.configure([specOf(store)])
    expect(await look()).toMatchObject({ outcome: 'refused' })
    await store.push('one')
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect(store.fetches).toBe(2)
  })

  it('stops what is under way, and answers those who wait', async () => {
    store.gate = new Promise(() => undefined)
    await rig.reconciler.configure([specOf(store)])
    const asked = [look(), look()]
    await until(() => store.resolves === 1)
    await rig.reconciler.close()
    expect(await Promise.all(asked)).toEqual([undefined, undefined])
    expect(rig.clock.nextInMs()).toBeUndefined()
    expect(await look()).toBeUndefined()
  })
})
