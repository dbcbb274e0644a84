// The clock is set back an hour and on a day, and the process stands still for longer than anything lasts: nothing comes
// too late, too early or twice for it, and what was waited for comes by itself.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createControl, type ControlOptions } from '../../src/app/control.ts'
import { createMaintenance } from '../../src/app/maintenance.ts'
import type { Config } from '../../src/config/config.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { createMetrics } from '../../src/lib/metrics.ts'
import { Lifecycle } from '../../src/lib/lifecycle.ts'
import { parseSchedule } from '../../src/lib/schedule.ts'
import { HostState } from '../../src/oci/host-state.ts'
import { defaultLimits } from '../../src/oci/limits.ts'
import { createWaitingRoom, type Wake } from '../../src/server/bundles/wait.ts'
import { createSlowdown } from '../../src/server/guard/slowdown.ts'
import { FakeClock } from '../support/clock.ts'
import { scriptedServer, type ScriptedServer } from '../support/scripted-server.ts'
import { waitFor } from '../support/wait.ts'
import { manifestOf, manifestReply, testClient } from '../unit/oci/setup.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from '../unit/reconcile/rig.ts'
import { from, openRegistry } from '../unit/registry/open.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const off = { kind: 'off' } as const

/** Its tokens last for five minutes. */
async function registryWithTokens(): Promise<ScriptedServer> {
  const manifest = manifestOf()
  return scriptedServer({
    'GET /token': { body: JSON.stringify({ token: 't', expires_in: 300 }) },
    'HEAD /v2/acme/app/manifests/v1': (request) =>
      request.headers.authorization === 'Bearer t'
        ? manifestReply(manifest)
        : { status: 401, headers: { 'www-authenticate': 'Bearer realm="/token"' } },
  })
}

const tokensOf = (server: ScriptedServer) => server.asked().filter((asked) => asked.startsWith('GET /token')).length

describe.each([
  ['back an hour', -hour],
  ['on a day', day],
])('the clock is set %s', (_what, ms) => {
  describe('looks and deployments', () => {
    let rig: Rig
    let store: ScriptedStore

    beforeEach(async () => {
      rig = await openRig()
      store = new ScriptedStore()
      await store.push('one')
    })
    afterEach(() => rig.close())

    const configure = async (written: string, place?: ScriptedPlace) => {
      const places = place === undefined ? [] : [place.spec()]
      await rig.reconciler.configure([specOf(store, { schedule: parseSchedule(written), places })])
      await rig.clock.advance(0)
    }
    const looked = (count: number) => until(() => rig.looked.length === count)

    it('an interval is as long as before', async () => {
      await configure('90s')
      await looked(1)
      rig.clock.jump(ms)
      await rig.clock.advance(89_999)
      expect(store.resolves).toBe(1)
      await rig.clock.advance(1)
      await looked(2)
      // And the next one.
      await rig.clock.advance(90_000)
      await looked(3)
      expect(store.resolves).toBe(3)
    })

    it('so is the wait after a failure', async () => {
      store.failures = [down(), down()]
      await configure('off')
      await looked(1)
      rig.clock.jump(ms)
      await rig.clock.advance(1_000)
      await looked(2)
      rig.clock.jump(ms)
      await rig.clock.advance(2_000)
      await looked(3)
      expect(rig.looked.at(-1)).toMatchObject({ outcome: 'released' })
    })

    it('so is the wait before a place is tried again', async () => {
      const place = new ScriptedPlace()
      place.failures = [down(), down()]
      await configure('off', place)
      await until(() => rig.deployed.length === 1)
      rig.clock.jump(ms)
      await rig.clock.advance(500)
      await until(() => rig.deployed.length === 2)
      rig.clock.jump(ms)
      await rig.clock.advance(1_000)
      await until(() => rig.deployed.at(-1)?.error === null)
    })
  })

  it('a token lasts as long as before', async () => {
    await using server = await registryWithTokens()
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    t.clock.jump(ms)
    await t.clock.advance(290_000)
    await repository.head('v1')
    expect(tokensOf(server)).toBe(1)
    await t.clock.advance(10_000)
    await repository.head('v1')
    expect(tokensOf(server)).toBe(2)
  })

  it('a registry is left alone as long as before, by the circuit and by what it asked for', () => {
    const clock = new FakeClock()
    const state = new HostState({ host: 'test', clock, limits: defaultLimits })
    for (let failure = 0; failure < defaultLimits.circuitFailures; failure++) state.failed()
    state.pause(4_000)
    clock.jump(ms)
    expect(state.pauseMs()).toBe(4_000)
    expect(() => state.checkCircuit('look')).toThrow('left alone for 5s')
    clock.stall(defaultLimits.circuitOpenMs)
    expect(state.pauseMs()).toBe(0)
    expect(() => state.checkCircuit('look')).not.toThrow()
  })

  it('a registry that says until when is taken at its own word', async () => {
    const date = (at: number) => new Date(at).toUTCString()
    const now = Date.UTC(2026, 0, 1)
    const manifest = manifestOf()
    const path = '/v2/acme/app/manifests/v1'
    await using server = await scriptedServer({
      [`HEAD ${path}`]: [
        { status: 503, headers: { date: date(now), 'retry-after': date(now + 20_000) } },
        manifestReply(manifest),
      ],
    })
    await using t = testClient()
    t.clock.jump(ms)
    const started = t.clock.monotonic()
    await t.run(t.client.repository(`${server.host}/acme/app`).head('v1'))
    expect(t.clock.monotonic() - started).toBe(20_000)
  })

  it('an upload expires as late as before', async () => {
    const opened = await openRegistry(undefined, { limits: { uploadIdleMs: hour } })
    const { registry, clock } = opened
    const id = await registry.uploads.start('a')
    clock.jump(ms)
    await clock.advance(hour - 1)
    expect(await registry.uploads.status('a', id)).toBe(0)
    await registry.uploads.append('a', id, from('x'), { maxBytes: 10 })
    clock.jump(ms)
    await clock.advance(hour - 1)
    expect(await registry.uploads.append('a', id, from('y'), { maxBytes: 10 })).toEqual({ size: 2, outOfOrder: false })
    await clock.advance(hour)
    expect(await registry.uploads.status('a', id)).toBeUndefined()
    await opened.close()
  })

  it('who guesses is slowed down and forgiven as before', () => {
    const clock = new FakeClock()
    const slowdown = createSlowdown(clock)
    for (let failure = 0; failure < 5; failure++) slowdown.fail('them')
    clock.jump(ms)
    expect(slowdown.delayMs('them')).toBe(800)
    clock.stall(10 * minute + 1)
    expect(slowdown.delayMs('them')).toBe(0)
  })

  it('a long poll is held as long as before', async () => {
    const clock = new FakeClock()
    const room = createWaitingRoom({ clock, maxWaiters: 10 })
    const woken: Wake[] = []
    room.hold({ key: 'a', answer: (why) => woken.push(why) > 0 }, 30_000)
    clock.jump(ms)
    await clock.advance(29_000)
    expect(woken).toEqual([])
    await clock.advance(1_500)
    expect(woken).toEqual(['expired'])
  })

  it('the server becomes ready as late as before', async () => {
    const clock = new FakeClock()
    const reconciler = { status: () => [{ name: 'authz', current: null, look: null }] }
    const serving = { settled: async () => undefined }
    const control = createControl({ clock, reconciler, serving, readyTimeoutMs: minute } as unknown as ControlOptions)
    clock.jump(ms)
    await clock.advance(minute - 1)
    expect(await control.unready()).toHaveLength(1)
    clock.stall(1)
    expect(await control.unready()).toEqual([])
  })

  it('closing takes as long as it may, as before', async () => {
    const clock = new FakeClock()
    const lifecycle = new Lifecycle()
    lifecycle.defer('a part that hangs', () => new Promise(() => undefined))
    let closed = false
    const closing = lifecycle.close(clock, silentLogger, 10_000).then(() => (closed = true))
    clock.jump(ms)
    await clock.advance(9_999)
    expect(closed).toBe(false)
    await clock.advance(1)
    await closing
  })

  it('the age of a release is never negative, and right when the clock is', async () => {
    const clock = new FakeClock()
    const metrics = createMetrics(clock)
    metrics.released('authz', clock.now())
    clock.jump(ms)
    const age = async () =>
      Number(/^longshore_release_age_seconds\{bundle="authz"\} (\S+)$/m.exec(await metrics.text())![1])
    expect(await age()).toBe(Math.max(0, ms / 1000))
    clock.jump(-ms)
    await clock.advance(5_000)
    expect(await age()).toBe(5)
  })

  it('a collection comes no later than before', async () => {
    const clock = new FakeClock(Date.now())
    const opened = await openRegistry(undefined, { clock })
    await clock.advance(1_000)
    const runs: string[] = []
    const config = { bundles: [], content: { gc: { schedule: parseSchedule('2h'), graceMs: hour } } }
    const maintenance = createMaintenance({
      ...opened,
      config: () => config as unknown as Config,
      clock,
      random: () => 0.5,
      logger: silentLogger,
      metrics: { collected: (outcome: string) => void runs.push(outcome) },
    })
    await waitFor('a timer', () => clock.nextInMs() !== undefined)
    clock.jump(ms)
    await clock.advance(hour)
    await waitFor('a collection', async () => {
      if (runs.length === 0) await clock.advance(1)
      return runs.length > 0
    })
    await maintenance.close()
    await opened.close()
  })
})

describe('a time of day', () => {
  let rig: Rig
  let store: ScriptedStore

  /** In the server's own time zone, as cron means it. */
  const today = (hours: number, minutes = 0) => new Date(2026, 5, 15, hours, minutes).getTime()

  beforeEach(async () => {
    rig = await openRig({ clock: new FakeClock(today(12)) })
    store = new ScriptedStore()
    await store.push('one')
    await rig.reconciler.configure([specOf(store, { schedule: parseSchedule('0 15 * * *') })])
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 1)
    expect(rig.reconciler.status()[0]!.nextLookAt).toBe(today(15))
  })
  afterEach(() => rig.close())

  it('comes when the clock shows it, though that was set on', async () => {
    rig.clock.jump(2 * hour)
    await rig.clock.advance(hour - minute)
    expect(store.resolves).toBe(1)
    await rig.clock.advance(2 * minute)
    await until(() => rig.looked.length === 2)
    expect(rig.reconciler.status()[0]!.nextLookAt).toBe(today(15) + day)
  })

  it('comes at once when it was passed over', async () => {
    rig.clock.jump(day)
    await rig.clock.advance(minute)
    await until(() => rig.looked.length === 2)
    await rig.clock.advance(hour)
    expect(store.resolves).toBe(2)
  })

  it('does not come before the clock shows it again, though that was set back', async () => {
    rig.clock.jump(-hour)
    await rig.clock.advance(4 * hour - minute)
    expect(store.resolves).toBe(1)
    await rig.clock.advance(minute)
    await until(() => rig.looked.length === 2)
  })

  it('comes on the day on which we then are', async () => {
    rig.clock.jump(-10 * day)
    await rig.clock.advance(3 * hour - minute)
    expect(store.resolves).toBe(1)
    await rig.clock.advance(minute)
    await until(() => rig.looked.length === 2)
  })

  it('comes at once after the machine slept past it', async () => {
    // Then the clock that only goes up stands still.
    rig.clock.jump(8 * hour)
    await rig.clock.advance(minute)
    await until(() => rig.looked.length === 2)
  })
})

describe('a start with a clock that was put back since', () => {
  it('tries a place again no later than any wait is long', async () => {
    const rig = await openRig()
    const store = new ScriptedStore()
    const place = new ScriptedPlace()
    const spec = () => specOf(store, { schedule: off, places: [place.spec()] })
    place.failures = [down()]
    await store.push('one')
    await rig.reconciler.configure([spec()])
    await rig.clock.advance(0)
    await until(() => rig.deployed.length === 1)
    await rig.close()
    const again = await openRig({ folder: rig.folder, clock: new FakeClock(rig.clock.now() - day) })
    await again.reconciler.configure([spec()])
    await again.clock.advance(10 * minute)
    await until(() => again.deployed.some(({ error }) => error === null))
    await again.close()
  })
})

describe('the process stands still for a day', () => {
  it('and looks once then, not as often as it missed', async () => {
    const rig = await openRig()
    const store = new ScriptedStore()
    await store.push('one')
    await rig.reconciler.configure([specOf(store, { schedule: parseSchedule('90s') })])
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 1)
    rig.clock.stall(day)
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 2)
    await rig.clock.advance(80_000)
    expect(store.resolves).toBe(2)
    await rig.clock.advance(10_000)
    await until(() => rig.looked.length === 3)
    await rig.close()
  })

  it('and tries again at once what had failed, and goes on from there', async () => {
    const rig = await openRig()
    const store = new ScriptedStore()
    const place = new ScriptedPlace()
    await store.push('one')
    store.failures = [down(), down()]
    place.failures = [down(), down()]
    await rig.reconciler.configure([specOf(store, { schedule: off, places: [place.spec()] })])
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 1)
    rig.clock.stall(day)
    await rig.clock.advance(0)
    await until(() => rig.looked.length === 2)
    // Once more after the longer wait, not after as many as would have fitted into a day.
    await rig.clock.advance(1_999)
    expect(rig.looked).toHaveLength(2)
    await rig.clock.advance(1)
    await until(() => rig.deployed.length === 1)
    rig.clock.stall(day)
    await rig.clock.advance(0)
    await until(() => rig.deployed.length === 2)
    await rig.clock.advance(1_000)
    await until(() => rig.deployed.at(-1)?.error === null)
    expect(rig.deployed).toHaveLength(3)
    await rig.close()
  })

  it('and asks for another token, since the one it has is over', async () => {
    await using server = await registryWithTokens()
    await using t = testClient()
    const repository = t.client.repository(`${server.host}/acme/app`)
    await repository.head('v1')
    t.clock.stall(day)
    await repository.head('v1')
    expect(tokensOf(server)).toBe(2)
    // It was not tried once more first.
    expect(server.asked().filter((asked) => asked.startsWith('HEAD'))).toHaveLength(3)
  })

  it('and may ask a registry again that wanted to be left alone', () => {
    const clock = new FakeClock()
    const state = new HostState({ host: 'test', clock, limits: defaultLimits })
    for (let failure = 0; failure < defaultLimits.circuitFailures; failure++) state.failed()
    state.pause(hour)
    clock.stall(day)
    expect(state.pauseMs()).toBe(0)
    expect(() => state.checkCircuit('look')).not.toThrow()
  })

  it('and answers who waited, once', async () => {
    const clock = new FakeClock()
    const room = createWaitingRoom({ clock, maxWaiters: 10 })
    const woken: Wake[] = []
    for (let waiter = 0; waiter < 3; waiter++) room.hold({ key: 'a', answer: (why) => woken.push(why) > 0 }, 30_000)
    clock.stall(day)
    await clock.advance(0)
    expect(woken).toEqual(['expired', 'expired', 'expired'])
    expect(room.size).toBe(0)
  })
})
