import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FinalError, StorageError } from '../../../src/lib/errors.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

const schedule = { kind: 'off' } as const
const said = { by: 'ann', reason: '' }

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace
let zones: ScriptedPlace

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  prod = new ScriptedPlace('prod')
  zones = new ScriptedPlace('zones')
})
afterEach(() => rig.close())

type Pruned = 'prune' | 'keep'

/** The bundle goes to these places; `zones` says `prune: true`, or does not. */
async function configure(places: ScriptedPlace[], pruned: Pruned = 'prune'): Promise<void> {
  const pruners = new Map(pruned === 'prune' ? [['zones', zones]] : [])
  await rig.reconciler.configure([specOf(store, { schedule, places: places.map((place) => place.spec()) })], pruners)
}

async function restart(): Promise<void> {
  const { folder, clock } = rig
  await rig.close()
  rig = await openRig({ folder, clock })
}

async function release(text: string): Promise<void> {
  await store.push(text)
  await rig.reconciler.look('authz', 'request')
}

async function deployed(number: number): Promise<void> {
  await until(() => rig.reconciler.status('authz')[0]!.deployments.every((place) => place.deployed === number))
}

async function twoReleases(): Promise<void> {
  await configure([prod, zones])
  for (const [at, text] of ['one', 'two'].entries()) {
    await release(text)
    await deployed(at + 1)
  }
}

const left = () => rig.reconciler.left()
const happened = async () =>
  (await rig.state.events.ofBundle('authz', 100)).filter(({ type }) => type.startsWith('prune.')).toReversed()

describe('what stays at a place that left the config', () => {
  it('is taken away where the deployer says so: all that was put there, and nothing elsewhere', async () => {
    await twoReleases()
    await configure([prod])
    await until(() => left().length === 0)
    expect(zones).toMatchObject({ removals: [[1, 2]], holds: null })
    expect(prod.removals).toEqual([])
    expect(prod.holds).not.toBeNull()
    expect(await happened()).toMatchObject([
      { type: 'prune.started', place: 'zones', data: { release: 2, version: 'latest', attempt: 1 } },
      { type: 'prune.succeeded', place: 'zones', data: { release: 2, attempt: 1 } },
    ])
    expect(await rig.state.placements.puts('authz', 'zones')).toEqual([])
  })

  it('is taken away also where the state took nothing for a while', async () => {
    await twoReleases()
    const { placements } = rig.state
    const save = placements.saveLeft.bind(placements)
    let refused = 0
    placements.saveLeft = () => {
      refused++
      return Promise.reject(new StorageError('disk_full', 'there is no space left'))
    }
    await configure([prod])
    await until(() => refused === 2)
    placements.saveLeft = save
    await rig.clock.advance(30_000)
    await until(() => left().length === 0)
    expect(zones).toMatchObject({ removals: [[1, 2]], holds: null })
  })

  it('is taken away of a bundle that left', async () => {
    await twoReleases()
    await rig.reconciler.configure([], new Map([['zones', zones]]))
    await until(() => zones.holds === null && left().length === 1)
    expect(left()).toMatchObject([{ bundle: 'authz', place: 'prod', deployed: 2, prune: false }])
    expect(prod.holds).not.toBeNull()
  })

  it('stays where the deployer does not say so, is remembered over restarts, and goes when it does', async () => {
    await twoReleases()
    await configure([prod], 'keep')
    await restart()
    await configure([prod], 'keep')
    await rig.clock.advance(3_600_000)
    expect(left()).toMatchObject([{ place: 'zones', deployed: 2, attempts: 0, prune: false }])
    expect(zones.removals).toEqual([])
    await configure([prod])
    await until(() => left().length === 0)
    expect(zones.removals).toEqual([[1, 2]])
  })

  it('is taken away also where the config changed while nothing ran', async () => {
    await twoReleases()
    await restart()
    await configure([prod])
    await until(() => zones.holds === null)
  })

  it('is tried again until it succeeds, over a restart too', async () => {
    await twoReleases()
    zones.failures = [down(), down()]
    await configure([prod])
    await until(() => left()[0]?.lastError !== null)
    expect(left()).toMatchObject([{ attempts: 1, lastError: 'test answered 503', prune: true }])
    expect(left()[0]!.nextAttemptAt).toBeGreaterThan(rig.clock.now())
    await restart()
    await configure([prod])
    await rig.clock.advance(1000)
    await until(() => left()[0]?.attempts === 2 && left()[0]!.lastError !== null)
    await rig.clock.advance(2000)
    await until(() => left().length === 0)
    expect((await happened()).map(({ type }) => type.slice('prune.'.length))).toEqual([
      ...['started', 'failed', 'started', 'failed', 'started', 'succeeded'],
    ])
  })

  it('is given up where the place says that it would fail again', async () => {
    await twoReleases()
    zones.failures = [new FinalError('zones cannot delete a tag by its name')]
    await configure([prod])
    await until(() => left()[0]?.lastError !== null)
    await rig.clock.advance(3_600_000)
    expect(left()).toMatchObject([{ attempts: 1, nextAttemptAt: null }])
    expect(zones.removals).toHaveLength(1)
  })

  it('is nothing where nothing was ever put', async () => {
    await configure([prod, zones])
    await configure([prod])
    expect(left()).toEqual([])
    expect(zones.removals).toEqual([])
  })

  it('is what an attempt may have left that failed', async () => {
    zones.failures = [down()]
    await configure([prod, zones])
    await release('one')
    await until(() => rig.reconciler.status('authz')[0]!.deployments.some(({ state }) => state === 'failed'))
    await configure([prod])
    await until(() => left().length === 0)
    expect(zones.removals).toEqual([[1]])
  })

  it('waits while all is held', async () => {
    await twoReleases()
    await rig.reconciler.steering.hold('*', said)
    await configure([prod])
    await rig.clock.advance(1000)
    expect(zones.removals).toEqual([])
    await rig.reconciler.steering.resume('*', said)
    await until(() => left().length === 0)
  })

  it('stays where another one acts by now', async () => {
    await rig.close()
    let acts = true
    const check = () => (acts ? Promise.resolve() : Promise.reject(new StorageError('locked', 'another one acts')))
    rig = await openRig({ wrap: (state) => ({ ...state, lease: { ...state.lease, check } }) })
    await twoReleases()
    acts = false
    await configure([prod])
    await until(() => left()[0]?.lastError !== null)
    expect(left()[0]!.lastError).toBe('another one acts')
    expect(zones.removals).toEqual([])
  })

  it('stays where another place is meant by the name now', async () => {
    await twoReleases()
    const other = new ScriptedPlace('zones')
    Object.assign(other, { address: 'elsewhere' })
    await rig.reconciler.configure([specOf(store, { schedule, places: [prod.spec()] })], new Map([['zones', other]]))
    await rig.clock.advance(1000)
    expect([zones.removals, other.removals]).toEqual([[], []])
    expect(left()).toMatchObject([{ prune: false }])
  })
})

describe('a place that comes back', () => {
  it('is kept as it is', async () => {
    await twoReleases()
    await configure([prod], 'keep')
    await restart()
    await configure([prod, zones])
    await deployed(2)
    await until(() => rig.reconciler.status('authz')[0]!.deployments.every(({ state }) => state === 'done'))
    expect(zones.puts).toHaveLength(2)
    expect(zones.removals).toEqual([])
    expect(left()).toEqual([])
  })

  it('is kept as it is where it cannot be asked', async () => {
    zones.readable = false
    await twoReleases()
    await configure([prod], 'keep')
    await configure([prod, zones])
    await until(() => rig.reconciler.status('authz')[0]!.deployments.every(({ state }) => state === 'done'))
    expect(zones.puts).toHaveLength(2)
  })

  it('while it is taken away gets all of it again', async () => {
    await twoReleases()
    const { promise, resolve } = Promise.withResolvers<void>()
    zones.gate = promise
    await configure([prod])
    await until(() => zones.removals.length === 1)
    zones.readable = false
    zones.gate = undefined
    await configure([prod, zones])
    await until(() => zones.puts.length === 3)
    resolve()
    await deployed(2)
    expect(left()).toEqual([])
    expect(zones.removals).toHaveLength(1)
  })
})
