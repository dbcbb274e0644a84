import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError, StorageError } from '../../../src/lib/errors.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { waitingFactor } from '../../../src/reconcile/deployments.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace
const schedule = { kind: 'off' } as const

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  prod = new ScriptedPlace()
})
afterEach(() => rig.close())

const rows = () => rig.state.deployments.list('authz')
const spec = (places = [prod], more = {}) =>
  specOf(store, { schedule, places: places.map((place) => place.spec()), ...more })

async function release(text: string): Promise<void> {
  await store.push(text)
  await rig.reconciler.look('authz', 'request')
}

async function settled(place: ScriptedPlace, number: number): Promise<void> {
  await until(() =>
    rig.deployed.some((event) => event.place === place.name && event.release === number && event.error === null),
  )
}

/** Goes on to the next attempt's time. */
async function nextAttempt(): Promise<number> {
  const wait = rig.reconciler.status('authz')[0]!.deployments[0]!.nextAttemptAt! - rig.clock.now()
  await rig.clock.advance(wait)
  return wait
}

describe('deploying', () => {
  it('puts each release to each place, and writes down what it did', async () => {
    const test = new ScriptedPlace('test')
    await rig.reconciler.configure([spec([prod, test])])
    await release('one')
    await settled(prod, 1)
    await settled(test, 1)
    const now = rig.clock.now()
    const done = {
      desired: 1,
      deployed: 1,
      state: 'done',
      attempts: 1,
      lastError: null,
      nextAttemptAt: null,
      deployedAt: now,
    }
    expect(await rows()).toMatchObject([
      { place: 'prod', observed: prod.holds, ...done },
      { place: 'test', observed: test.holds, ...done },
    ])
    expect(rig.reconciler.status()[0]!.deployments).toMatchObject(await rows())
    expect(rig.deployed).toContainEqual({ bundle: 'authz', place: 'prod', release: 1, error: null })
  })

  it('does not put a digest where it is already', async () => {
    const raw = await store.push('one')
    prod.holds = raw.digest
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    expect(prod.puts).toEqual([])
    expect(await rows()).toMatchObject([{ deployed: 1, state: 'done', attempts: 0, observed: raw.digest }])
  })

  it.each([
    ['before anything is put there', 0],
    ['when it is there', 1],
  ])('goes on by itself after the state took nothing for a while, %s', async (_when, taken) => {
    await rig.reconciler.configure([spec()])
    const { deployments } = rig.state
    const save = deployments.save.bind(deployments)
    let left = taken
    let refused = 0
    deployments.save = (...row) => {
      if (left-- > 0) return save(...row)
      refused++
      return Promise.reject(new StorageError('disk_full', 'there is no space left'))
    }
    await release('one')
    // Once itself, and once that it failed.
    await until(() => refused === 2)
    expect(prod.puts).toHaveLength(taken)
    await rig.clock.advance(30_000)
    await until(() => refused === 4)
    deployments.save = save
    await rig.clock.advance(30_000)
    await settled(prod, 1)
    expect(prod.puts).toHaveLength(1)
    expect(await rows()).toMatchObject([{ deployed: 1, state: 'done' }])
  })

  it('tries again with growing pauses and the same key, until it is there', async () => {
    prod.failures = [down(), down(), down()]
    await rig.reconciler.configure([spec()])
    await release('one')
    const waits: number[] = []
    for (let attempts = 1; attempts <= 3; attempts++) {
      await until(() => rig.deployed.length === attempts)
      const failed = { state: 'failed', attempts, deployed: null, lastError: 'test answered 503' }
      expect(await rows()).toMatchObject([failed])
      waits.push(await nextAttempt())
    }
    await settled(prod, 1)
    expect(waits).toEqual([500, 1000, 2000])
    expect(new Set(prod.puts.map(({ key }) => key)).size).toBe(1)
    expect(await rows()).toMatchObject([{ state: 'done', attempts: 4, lastError: null }])
    expect(rig.clock.nextInMs()).toBeUndefined()
  })

  it.each([
    ['as the place asked', 60_000, 60_000],
    ['no longer than any pause is', 6 * 3_600_000, 600_000],
    ['its own pause where that is longer', 1, 500],
  ])('waits %s', async (_what, retryAfterMs, expected) => {
    prod.failures = [new RemoteError('unavailable', 'test answered 503', { host: 'test', retryAfterMs })]
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => rig.deployed.length === 1)
    expect(await nextAttempt()).toBe(expected)
    await settled(prod, 1)
  })

  it('lets a newer release take the place of an older one that waits for its next attempt', async () => {
    prod.failures = [down()]
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => rig.deployed.length === 1)
    await release('two')
    await settled(prod, 2)
    expect(prod.puts.map((put) => put.release)).toEqual([1, 2])
    expect(await rows()).toMatchObject([{ desired: 2, deployed: 2, attempts: 1, state: 'done' }])
    await rig.clock.advance(3_600_000)
    expect(prod.puts).toHaveLength(2)
  })

  it('goes on to the newest when releases come while one is being put', async () => {
    const gate = Promise.withResolvers<void>()
    prod.gate = gate.promise
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await release('two')
    await release('three')
    prod.gate = undefined
    gate.resolve()
    await settled(prod, 3)
    expect(prod.puts.map((put) => put.release)).toEqual([1, 3])
    expect(await rows()).toMatchObject([{ desired: 3, deployed: 3, state: 'done' }])
  })

  it('does not wait for a place that yields, when a newer release is to be there', async () => {
    prod.yields = true
    prod.gate = new Promise(() => undefined)
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    prod.gate = undefined
    await release('two')
    await settled(prod, 2)
    expect(prod.puts.map((put) => put.release)).toEqual([1, 2])
    expect(await rows()).toMatchObject([{ desired: 2, deployed: 2, attempts: 1, state: 'done', lastError: null }])
    expect(rig.deployed).toMatchObject([{ release: 2, error: null }])
  })

  it('gives a newer release a fresh start when the older one fails under it', async () => {
    const gate = Promise.withResolvers<void>()
    prod.gate = gate.promise
    prod.failures = [down()]
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await release('two')
    prod.gate = undefined
    gate.resolve()
    await settled(prod, 2)
    expect(await rows()).toMatchObject([{ desired: 2, deployed: 2, attempts: 1, lastError: null }])
  })

  it('keeps a desire that comes while an older one is being written down', async () => {
    const { deployments } = rig.state
    const save = deployments.save.bind(deployments)
    const gate = Promise.withResolvers<void>()
    let saves = 0
    deployments.save = async (row, at) => {
      if (++saves === 1) await gate.promise
      await save(row, at)
    }
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => saves === 1)
    await release('two')
    gate.resolve()
    await settled(prod, 2)
    expect(await rows()).toMatchObject([{ desired: 2, deployed: 2, state: 'done' }])
  })

  it('gives an attempt up at its deadline', async () => {
    await rig.close()
    rig = await openRig({ deployDeadlineMs: 60_000 })
    prod.gate = new Promise(() => undefined)
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await rig.clock.advance(60_000)
    await until(() => rig.deployed.length === 1)
    expect(rig.deployed[0]?.error).toBe('prod took longer than 1m 0s')
    expect(await rows()).toMatchObject([{ state: 'failed' }])
  })

  it('says that it was the deadline also where the place makes something else of it', async () => {
    await rig.close()
    rig = await openRig({ deployDeadlineMs: 60_000 })
    const put = prod.deploy.bind(prod)
    prod.deploy = (what, signal) =>
      put(what, signal).catch(() => {
        throw new Error('socket hang up')
      })
    prod.gate = new Promise(() => undefined)
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await rig.clock.advance(60_000)
    await until(() => rig.deployed.length === 1)
    expect(rig.deployed[0]?.error).toBe('prod took longer than 1m 0s')
  })

  it('does not believe a place that holds something else afterwards', async () => {
    prod.onPut = () => {
      prod.holds = digestOf('of somebody else')
    }
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => rig.deployed.length === 1)
    expect(rig.deployed[0]?.error).toContain(`holds ${digestOf('of somebody else')} after release 1`)
    prod.onPut = undefined
    await nextAttempt()
    await settled(prod, 1)
  })

  it('has one attempt at a place at a time, and several places at once', async () => {
    const test = new ScriptedPlace('test')
    const gate = Promise.withResolvers<void>()
    for (const place of [prod, test]) place.gate = gate.promise
    const names = ['a', 'b', 'c']
    const places = [prod.spec(), test.spec()]
    await store.push('one')
    await rig.reconciler.configure(names.map((name) => specOf(store, { name, schedule, places })))
    await rig.clock.advance(0)
    await until(() => rig.released.length === 3 && prod.now === 1 && test.now === 1)
    gate.resolve()
    await until(() => rig.deployed.length === 6)
    expect([prod.most, test.most]).toEqual([1, 1])
  })

  it('lets more of those be under way at one host that mostly wait, but not all', async () => {
    const limit = 4 * waitingFactor
    const jobs = Array.from({ length: limit + 2 }, (_, at) => new ScriptedPlace(`nomad:4646/job${at}`))
    const gate = Promise.withResolvers<void>()
    for (const job of jobs) Object.assign(job, { gate: gate.promise, yields: true })
    await store.push('one')
    await rig.reconciler.configure([specOf(store, { schedule, places: jobs.map((job) => job.spec()) })])
    await rig.clock.advance(0)
    const now = () => jobs.reduce((sum, job) => sum + job.now, 0)
    await until(() => now() === limit)
    // Whoever has its turn asks first.
    expect(jobs.filter(({ observations }) => observations > 0)).toHaveLength(limit)
    gate.resolve()
    await until(() => rig.deployed.length === limit + 2)
  })

  it('puts releases to one registry while others hang', async () => {
    const dead = Array.from({ length: 8 }, (_, at) => new ScriptedPlace(`dead/p${at}`))
    const live = new ScriptedPlace('live/policies')
    for (const place of dead) place.gate = new Promise(() => undefined)
    await store.push('one')
    await rig.reconciler.configure([specOf(store, { schedule, places: [...dead, live].map((place) => place.spec()) })])
    await rig.clock.advance(0)
    await until(() => rig.deployed.length === 1)
    expect(live.holds).not.toBeNull()
  })

  it('puts a release once where the place cannot be asked', async () => {
    prod.readable = false
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    const { folder } = rig
    await rig.close()
    rig = await openRig({ folder })
    await rig.reconciler.configure([spec()])
    await rig.clock.advance(0)
    await until(() => prod.observations === 3)
    await release('two')
    await settled(prod, 2)
    expect(prod.puts.map((put) => put.release)).toEqual([1, 2])
    expect(await rows()).toMatchObject([{ observed: null, deployed: 2 }])
  })
})

describe('deploying after a restart', () => {
  it('goes on with what was not done, at its time', async () => {
    prod.failures = [down()]
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => rig.deployed.length === 1)
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    await rig.reconciler.configure([spec()])
    await rig.clock.advance(499)
    expect(prod.puts).toHaveLength(1)
    await rig.clock.advance(1)
    await settled(prod, 1)
    expect(await rows()).toMatchObject([{ attempts: 2, state: 'done' }])
    expect(prod.puts[1]?.key).toBe(prod.puts[0]?.key)
  })

  it('finds what was put before the crash, and does not put it again', async () => {
    await rig.reconciler.configure([spec()])
    // The process ends when the bytes are there, and before that is written down.
    const { deployments } = rig.state
    const saves = { ...deployments }
    prod.onPut = () => {
      deployments.save = () => new Promise(() => undefined)
    }
    await release('one')
    await until(() => prod.holds !== null)
    const { folder } = rig
    Object.assign(deployments, saves)
    expect(await rows()).toMatchObject([{ state: 'deploying', attempts: 1, deployed: null }])
    await rig.state.close()
    rig = await openRig({ folder })
    await rig.reconciler.configure([spec()])
    await settled(prod, 1)
    expect(prod.puts).toHaveLength(1)
    expect(await rows()).toMatchObject([{ state: 'done', deployed: 1, observed: prod.holds }])
  })

  it('puts what is current where an older release is still written down as desired', async () => {
    await rig.reconciler.configure([spec([])])
    await release('one')
    await release('two')
    await rig.state.deployments.configure('authz', ['prod'], 1)
    const { folder } = rig
    await rig.close()
    rig = await openRig({ folder })
    await rig.reconciler.configure([spec()])
    await settled(prod, 2)
    expect(prod.puts.map((put) => put.release)).toEqual([2])
  })

  it('mends a place that lost or changed what it held', async () => {
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    const { folder } = rig
    await rig.close()
    prod.holds = null
    rig = await openRig({ folder })
    await rig.reconciler.configure([spec()])
    await settled(prod, 1)
    expect(prod.puts.map((put) => put.release)).toEqual([1, 1])
  })

  it('stops an attempt that is under way when it closes, without calling it failed', async () => {
    prod.gate = new Promise(() => undefined)
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await rig.reconciler.close()
    expect(rig.deployed).toEqual([])
    expect(await rows()).toMatchObject([{ state: 'deploying', desired: 1 }])
  })

  it('does not say that an attempt is under way which that stopped, where nobody may try again', async () => {
    prod.gate = new Promise(() => undefined)
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => prod.puts.length === 1)
    await rig.reconciler.steering.switchAutoDeploy('authz', null, false, { by: 'ann', reason: 'freeze' })
    const { folder } = rig
    await rig.close()
    rig = await openRig({ folder })
    await rig.reconciler.configure([spec()])
    expect(rig.reconciler.status('authz')[0]!.deployments).toMatchObject([
      { state: 'pending', desired: 1, deployed: null, attempts: 1, autoDeploy: false },
    ])
    expect(prod.puts).toHaveLength(1)
  })
})

describe('changed places', () => {
  it('get what is current, and those that are gone keep what they have', async () => {
    const test = new ScriptedPlace('test')
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    expect((await rig.reconciler.configure([spec([test])])).changed).toEqual(['authz'])
    await settled(test, 1)
    await release('two')
    await settled(test, 2)
    expect(prod.puts.map((put) => put.release)).toEqual([1])
    expect(await rows()).toMatchObject([{ place: 'test', deployed: 2 }])
  })

  it('that are gone are not tried again', async () => {
    prod.failures = [down()]
    await rig.reconciler.configure([spec()])
    await release('one')
    await until(() => rig.deployed.length === 1)
    await rig.reconciler.configure([spec([])])
    expect(rig.clock.nextInMs()).toBeUndefined()
    expect(await rows()).toEqual([])
  })

  it('that may be elsewhere now are asked again', async () => {
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    const moved = new ScriptedPlace('prod')
    await rig.reconciler.configure([spec([moved])])
    await until(() => moved.puts.length === 1)
    await rig.reconciler.configure([spec([moved])])
    expect([prod.observations, moved.puts.length]).toEqual([2, 1])
  })

  it('of a bundle that leaves are let be, and found again when it returns', async () => {
    await rig.reconciler.configure([spec()])
    await release('one')
    await settled(prod, 1)
    await rig.reconciler.configure([])
    expect(await rig.state.placements.list()).toMatchObject([{ deployed: 1 }])
    await rig.reconciler.configure([spec()])
    await release('two')
    await settled(prod, 2)
  })
})
