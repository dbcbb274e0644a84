import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace
let zones: ScriptedPlace
const schedule = { kind: 'off' } as const
const said = { by: 'ann', reason: 'because' }

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  prod = new ScriptedPlace('prod')
  zones = new ScriptedPlace('zones')
})

afterEach(() => rig.close())

const steering = () => rig.reconciler.steering
const placeOf = (name: string) => rig.reconciler.status('authz')[0]!.deployments.find(({ place }) => place === name)!
const deployed = (place: string, release: number, times = 1) =>
  until(() => rig.deployed.filter((event) => event.place === place && event.release === release).length >= times)

async function configure(autoDeploy = true): Promise<void> {
  await rig.reconciler.configure([specOf(store, { schedule, places: [prod.spec(), zones.spec({ autoDeploy })] })])
}

async function release(text: string): Promise<void> {
  await store.push(text)
  await rig.reconciler.look('authz', 'request')
}

async function restart(): Promise<void> {
  const { folder, clock } = rig
  await rig.close()
  rig = await openRig({ folder, clock })
}

const eventsOf = async (...types: string[]) =>
  (await rig.state.events.after(0, 100)).filter(({ type }) => types.includes(type))

describe('auto-deploy', () => {
  it('off by the config leaves a place alone, and says so', async () => {
    await configure(false)
    await release('one')
    await deployed('prod', 1)
    expect(zones.observations).toBe(0)
    expect(placeOf('zones')).toMatchObject({ autoDeploy: false, switched: null, desired: 1, deployed: null })
  })

  it('is caught up with the newest, not one by one, when the config turns it on', async () => {
    await configure(false)
    await release('one')
    await release('two')
    await configure(true)
    await deployed('zones', 2)
    expect(zones.puts.map((put) => put.release)).toEqual([2])
  })

  it('switched by a person goes before the config, outlives a restart, and is caught up with', async () => {
    await configure()
    await release('one')
    await deployed('zones', 1)
    await steering().switchAutoDeploy('authz', 'zones', false, said)
    await release('two')
    await deployed('prod', 2)
    await restart()
    await configure()
    await release('three')
    await deployed('prod', 3)
    expect(placeOf('zones')).toMatchObject({ autoDeploy: false, switched: { ...said, on: false }, deployed: 1 })
    await steering().switchAutoDeploy('authz', 'zones', true, said)
    await deployed('zones', 3)
    expect(zones.puts.map((put) => put.release)).toEqual([1, 3])
  })

  it('said of the bundle goes for all its places, whatever was said of one before', async () => {
    await configure()
    await steering().switchAutoDeploy('authz', 'zones', true, said)
    await steering().switchAutoDeploy('authz', null, false, { by: 'bob', reason: '' })
    await restart()
    await configure()
    expect(['prod', 'zones'].map((name) => placeOf(name).autoDeploy)).toEqual([false, false])
    await steering().switchAutoDeploy('authz', 'prod', true, said)
    await release('one')
    await deployed('prod', 1)
    expect(zones.observations).toBe(0)
    expect(await eventsOf('auto_deploy.changed')).toMatchObject([
      { bundle: 'authz', place: 'zones', by: 'ann', data: { on: true, reason: 'because' } },
      { bundle: 'authz', place: null, by: 'bob', data: { on: false } },
      { bundle: 'authz', place: 'prod', by: 'ann', data: { on: true } },
    ])
  })

  it('of a place that the bundle does not have is refused, and says which there are', async () => {
    await configure()
    await expect(steering().switchAutoDeploy('authz', 'nowhere', true, said)).rejects.toMatchObject({
      ...{ name: 'ConfigError', message: 'authz does not go to nowhere', hint: 'It goes to prod, zones.' },
    })
    expect((await rig.state.decisions.all()).switches).toEqual([])
  })
})

describe('deploying what a person asks for', () => {
  it('goes once where it is asked for while the place is asked what it holds', async () => {
    await configure()
    const { promise: asked, resolve: answer } = Promise.withResolvers<void>()
    const observe = prod.observe.bind(prod)
    prod.observe = async (what) => {
      const observation = await observe(what)
      await asked
      return observation
    }
    await release('one')
    await until(() => prod.observations === 1)
    await steering().deploy('authz', 'prod', said)
    answer()
    await until(() => placeOf('prod').forcedDone === 1)
    expect(prod.puts.map(({ release, key }) => [release, key.endsWith('/1')])).toEqual([[1, true]])
  })

  it('goes even if it is there, with a key of its own, and only where it was asked for', async () => {
    await configure()
    await release('one')
    await deployed('prod', 1)
    await deployed('zones', 1)
    await steering().deploy('authz', 'prod', said)
    await deployed('prod', 1, 2)
    const [first, again] = prod.puts
    expect(prod.puts).toHaveLength(2)
    expect(again!.key).not.toBe(first!.key)
    expect(zones.puts).toHaveLength(1)
    expect(placeOf('prod')).toMatchObject({ forced: 1, forcedDone: 1, state: 'done' })
    expect(await eventsOf('deployment.forced')).toMatchObject([{ place: 'prod', by: 'ann', data: { release: 1 } }])
  })

  it('goes where auto-deploy is off, and that stays off', async () => {
    await configure(false)
    await release('one')
    await steering().deploy('authz', 'zones', said)
    await deployed('zones', 1)
    await release('two')
    await deployed('prod', 2)
    expect(zones.puts.map((put) => put.release)).toEqual([1])
  })

  it('is tried until it is done, over a restart', async () => {
    await configure(false)
    await release('one')
    zones.failures.push(new Error('no'))
    await steering().deploy('authz', 'zones', said)
    await until(() => rig.deployed.some(({ error }) => error === 'no'))
    await restart()
    await configure(false)
    await rig.clock.advance(3_600_000)
    await deployed('zones', 1)
    expect(placeOf('zones')).toMatchObject({ deployed: 1, forced: 1, forcedDone: 1 })
    expect(new Set(zones.puts.map(({ key }) => key)).size).toBe(1)
  })

  it('is refused before there is anything to deploy', async () => {
    await configure()
    await expect(steering().deploy('authz', null, said)).rejects.toMatchObject({ code: 'no_release' })
    expect(placeOf('prod').forced).toBe(0)
  })
})

describe('a plan', () => {
  it('says what would be done, asks the places and changes nothing', async () => {
    await configure(false)
    const { signal } = new AbortController()
    expect(await steering().plan('authz', 'zones', signal)).toMatchObject([{ does: 'nothing', desired: null }])
    await release('one')
    await deployed('prod', 1)
    expect(await steering().plan('authz', null, signal)).toMatchObject([
      { place: 'prod', does: 'repeat', desired: 1, deployed: 1, observed: rig.released[0]!.manifestDigest },
      { place: 'zones', does: 'deploy', desired: 1, deployed: null, observed: null },
    ])
    prod.unreachable = new RemoteError('network', 'prod is away', { host: 'prod' })
    expect(await steering().plan('authz', null, signal)).toMatchObject([
      { place: 'prod', does: 'nothing', why: 'it cannot be asked what it has: prod is away' },
      { place: 'zones', does: 'deploy' },
    ])
    await steering().hold('authz', said)
    expect(await steering().plan('authz', 'zones', signal)).toMatchObject([
      { does: 'nothing', why: 'held by ann: because' },
    ])
    expect(zones.puts).toEqual([])
  })
})

describe('events', () => {
  it('count the attempt that succeeded, though a newer release came meanwhile', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    prod.gate = gate
    await configure()
    await release('one')
    await until(() => prod.puts.length === 1)
    await release('two')
    open()
    await deployed('prod', 2)
    const told = (await rig.state.events.ofBundle('authz', 100)).filter(({ place }) => place === 'prod').toReversed()
    expect(told.map(({ type, data: { release: number, attempt } }) => [type, number, attempt])).toEqual([
      ['deployment.started', 1, 1],
      ['deployment.succeeded', 1, 1],
      ['deployment.started', 2, 1],
      ['deployment.succeeded', 2, 1],
    ])
  })

  it('tell by whose word it was, also where that took a pin off', async () => {
    await configure()
    await release('one')
    await deployed('prod', 1)
    const said = (by: string) => ({ by, reason: '' })
    await release('two')
    await deployed('prod', 2)
    await rig.reconciler.steering.rollback('authz', null, said('ann'), AbortSignal.timeout(5000))
    await deployed('prod', 3)
    await rig.reconciler.steering.unpin('authz', said('ben'))
    await deployed('prod', 4)
    await release('three')
    await deployed('prod', 5)
    const told = (await rig.state.events.ofBundle('authz', 100, 'prod')).toReversed()
    const ends = told.filter(({ type }) => type === 'deployment.succeeded')
    expect(ends.map(({ by, data }) => [data.release, by])).toEqual([
      [1, null],
      [2, null],
      [3, 'ann'],
      [4, 'ben'],
      [5, null],
    ])
  })

  it('tell of each release, attempt and outcome, in order', async () => {
    await configure()
    prod.failures.push(new Error('no'))
    await release('one')
    await until(() => rig.deployed.some(({ error }) => error === 'no'))
    await rig.clock.advance(60_000)
    await deployed('prod', 1, 2)
    const told = (await rig.state.events.ofBundle('authz', 100)).filter(({ place }) => place !== 'zones').toReversed()
    expect(told.map(({ type, data: { attempt } }) => [type, attempt])).toEqual([
      ['release.created', undefined],
      ['deployment.started', 1],
      ['deployment.failed', 1],
      ['deployment.started', 2],
      ['deployment.succeeded', 2],
    ])
    const { version } = rig.released[0]!
    const about = { release: 1, version, from: null, fromVersion: null, failures: 1 }
    const log = ['0.0 s  put release 1']
    expect(told[2]!.data).toMatchObject({ ...about, error: 'no', tookMs: 0, log })
    expect(told[4]).toMatchObject({ by: null, data: { ...about, begunAt: told[1]!.at } })
    expect(told[4]!.data.tookMs).toBe(told[4]!.at - told[1]!.at)
    expect(told.at(-1)!.data).toMatchObject({ release: 1, from: null, digest: rig.released[0]!.manifestDigest, log })
  })
})

describe('what the end of a deployment tells', () => {
  const ends = async (place: string) => {
    const events = await rig.state.events.ofBundle('authz', 100)
    return events.filter((event) => event.place === place && event.type === 'deployment.succeeded').toReversed()
  }

  it('is from which version to which, and after how long, each time anew', async () => {
    await configure()
    await release('one')
    await deployed('prod', 1)
    await rig.clock.advance(60_000)
    prod.failures.push(new Error('no'), new Error('no'))
    await release('two')
    await until(() => rig.deployed.filter(({ error }) => error === 'no').length === 1)
    await rig.clock.advance(60_000)
    await deployed('prod', 2)
    const [first, second] = await ends('prod')
    expect(first!.data).toMatchObject({ from: null, failures: 0, tookMs: 0 })
    expect(second!.data).toMatchObject({ from: 1, fromVersion: rig.released[0]!.version, release: 2, failures: 2 })
    expect(second!.data.tookMs).toBeGreaterThan(0)
    expect(second!.data.tookMs).toBeLessThan(60_000)
  })

  it('is said also of one that failed, and that another release takes the place of', async () => {
    await configure()
    prod.failures.push(new Error('no'))
    await release('one')
    await until(() => rig.deployed.some(({ place, error }) => place === 'prod' && error === 'no'))
    await rig.clock.advance(100)
    await release('two')
    await deployed('prod', 2)
    const told = (await rig.state.events.ofBundle('authz', 100)).filter(({ place }) => place === 'prod').toReversed()
    expect(told.map(({ type, data }) => [type, data.release])).toEqual([
      ['deployment.started', 1],
      ['deployment.failed', 1],
      ['deployment.overtaken', 1],
      ['deployment.started', 2],
      ['deployment.succeeded', 2],
    ])
    const nextVersion = rig.released[1]!.version
    expect(told[2]!.data).toMatchObject({ next: 2, nextVersion, failures: 1, tookMs: told[2]!.at - told[0]!.at })
  })

  it('is by whom: who asked for it, who pinned it, or nobody', async () => {
    await configure()
    await release('one')
    await deployed('prod', 1)
    await steering().deploy('authz', 'prod', { by: 'bob', reason: 'again' })
    await until(() => placeOf('prod').forcedDone === 1)
    await release('two')
    await deployed('prod', 2)
    await steering().rollback('authz', 1, { by: 'eve', reason: 'bad' }, new AbortController().signal)
    await deployed('prod', 3)
    expect((await ends('prod')).map(({ by, data }) => [data.release, by])).toEqual([
      [1, null],
      [1, 'bob'],
      [2, null],
      [3, 'eve'],
    ])
  })
})
