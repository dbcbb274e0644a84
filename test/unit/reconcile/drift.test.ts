import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace
const theirs = digestOf('of somebody else')
const said = { by: 'ann', reason: '' }

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  prod = new ScriptedPlace('prod')
})
afterEach(() => rig.close())

const place = () => rig.reconciler.status('authz')[0]!.deployments[0]!
const drifts = async () => (await rig.state.events.after(0, 100)).filter(({ type }) => type === 'deployment.drifted')
const configure = (more: Parameters<ScriptedPlace['spec']>[0] = {}) =>
  rig.reconciler.configure([specOf(store, { schedule: { kind: 'off' }, places: [prod.spec(more)] })])

/** Later than what was asked before: a look that compares. */
async function look(): Promise<void> {
  await rig.clock.advance(1000)
  await rig.reconciler.look('authz', 'request')
}

async function deployedOnce(more: Parameters<ScriptedPlace['spec']>[0] = {}): Promise<void> {
  await configure(more)
  await store.push('one')
  await look()
  await until(() => place().state === 'done')
}

describe('a place that somebody else changed', () => {
  it('is put right after a look that found nothing new, and what was there is written down', async () => {
    await deployedOnce()
    const ours = prod.holds
    prod.holds = theirs
    await look()
    await until(() => place().state === 'done' && prod.holds === ours)
    expect(prod.puts.map(({ release }) => release)).toEqual([1, 1])
    expect(await drifts()).toMatchObject([{ place: 'prod', at: rig.clock.now(), data: { release: 1, digest: theirs } }])
    expect(place()).toMatchObject({ observed: ours, lastError: null })
  })

  it('is noticed also after somebody set the clock back', async () => {
    await deployedOnce()
    rig.clock.jump(-3_600_000)
    prod.holds = theirs
    await look()
    await until(() => prod.puts.length === 2 && place().state === 'done')
    expect(await drifts()).toHaveLength(1)
  })

  it('is noticed also where what it holds was found there, and never put', async () => {
    await store.push('one')
    await rig.reconciler.configure([specOf(store, { schedule: { kind: 'off' } })])
    await look()
    prod.holds = rig.released[0]!.manifestDigest
    await configure()
    await until(() => place().state === 'done')
    expect(prod.puts).toEqual([])
    expect(place()).toMatchObject({ deployed: 1, deployedAt: rig.clock.now() })
    prod.holds = theirs
    await look()
    await until(() => prod.puts.length === 1 && place().state === 'done')
    expect(await drifts()).toHaveLength(1)
  })

  it('is nothing new where it still is as it was put there', async () => {
    await deployedOnce()
    const asked = prod.observations
    for (let looks = 1; looks <= 3; looks++) {
      await look()
      await until(() => prod.observations === asked + looks)
    }
    // What is under way ends before that does.
    await rig.reconciler.configure([])
    expect(rig.deployed).toHaveLength(1)
    const types = (await rig.state.events.ofBundle('authz', 100, 'prod')).map(({ type }) => type)
    expect(types).toEqual(['deployment.succeeded', 'deployment.started'])
  })

  it('is said anew when it holds something else again', async () => {
    await deployedOnce({ drift: 'report' })
    for (const digest of [theirs, digestOf('of a third')]) {
      prod.holds = digest
      await look()
      await until(() => place().observed === digest)
      await look()
    }
    expect((await drifts()).map(({ data }) => data.digest)).toEqual([theirs, digestOf('of a third')])
  })

  it('is noticed after a look that failed', async () => {
    await deployedOnce()
    prod.holds = null
    store.failures = [down()]
    await look()
    await until(() => prod.puts.length === 2 && place().state === 'done')
    expect(await drifts()).toMatchObject([{ data: { digest: null } }])
  })

  it('is left as it is where the config says so, is said once, over a restart too, and is well when it is put right', async () => {
    await deployedOnce({ drift: 'report' })
    const ours = prod.holds
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    expect(place()).toMatchObject({ desired: 1, deployed: 1, observed: theirs })
    expect(place().lastError).toBe(`prod no longer holds release 1 as it was put there: it says ${theirs}`)
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    const asked = prod.observations
    await configure({ drift: 'report' })
    await until(() => prod.observations > asked)
    prod.holds = ours
    await look()
    await until(() => place().state === 'done')
    expect(place()).toMatchObject({ observed: ours, lastError: null })
    expect(prod.puts).toHaveLength(1)
    expect(await drifts()).toHaveLength(1)
  })

  it('is not what the config calls otherwise now, and nothing may be put there yet', async () => {
    await deployedOnce()
    prod.holds = theirs
    await configure({ path: 'elsewhere', autoDeploy: false })
    for (let looks = 0; looks < 5; looks++) await look()
    expect(place()).toMatchObject({ deployed: 1, lastError: null })
    expect(place().state).not.toBe('drifted')
    expect(await drifts()).toEqual([])
    await configure({ path: 'elsewhere', autoDeploy: true })
    await until(() => prod.puts.length === 2)
  })

  it('is put right when a person asks for it, or the config says so now', async () => {
    await deployedOnce({ drift: 'report' })
    const ours = prod.holds
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    await rig.reconciler.steering.deploy('authz', 'prod', said)
    await until(() => place().state === 'done' && prod.holds === ours)
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    await configure({ drift: 'restore' })
    await until(() => place().state === 'done' && prod.holds === ours)
  })

  it('gets a newer release, though the older one is only reported', async () => {
    await deployedOnce({ drift: 'report' })
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    await store.push('two')
    await look()
    await until(() => place().state === 'done')
    expect(prod.puts.map(({ release }) => release)).toEqual([1, 2])
  })

  it.each(['held', 'switched off'])('is only said where it is %s', async (how) => {
    await deployedOnce()
    if (how === 'held') await rig.reconciler.steering.hold('authz', said)
    else await rig.reconciler.steering.switchAutoDeploy('authz', null, false, said)
    const ours = prod.holds
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    prod.holds = ours
    await look()
    await until(() => place().state === 'done')
    // Where a newer one waits for leave, it is the one that was put there that counts.
    await store.push('two')
    const asked = prod.observations
    await look()
    await until(() => prod.observations > asked)
    prod.holds = theirs
    await look()
    await until(() => place().state === 'drifted')
    expect(place()).toMatchObject({ desired: 2, deployed: 1 })
    prod.holds = ours
    await look()
    await until(() => place().state === 'pending')
    expect(prod.puts).toHaveLength(1)
  })

  it('is not asked while an attempt is under way, or a failed one waits', async () => {
    prod.failures = [down()]
    await configure()
    await store.push('one')
    await look()
    await until(() => place().state === 'failed')
    const asked = prod.observations
    // Before the next attempt's time.
    await rig.clock.advance(100)
    await rig.reconciler.look('authz', 'request')
    expect(prod.observations).toBe(asked)
    const gate = Promise.withResolvers<void>()
    prod.gate = gate.promise
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => prod.puts.length === 2)
    const askedAgain = prod.observations
    await look()
    expect(prod.observations).toBe(askedAgain)
    gate.resolve()
    await until(() => place().state === 'done')
    expect(await drifts()).toEqual([])
  })

  it('is not what an attempt left half-way, whatever the clock said meanwhile', async () => {
    await deployedOnce()
    rig.clock.jump(-3_600_000)
    prod.onPut = () => {
      throw down()
    }
    await store.push('two')
    await look()
    await until(() => place().state === 'failed')
    await rig.reconciler.steering.hold('authz', said)
    await store.push('three')
    await look()
    await until(() => place().desired === 3)
    const asked = prod.observations
    await look()
    expect([place().state, prod.observations]).toEqual(['pending', asked])
    expect(await drifts()).toEqual([])
  })

  it('is noticed also where the place could not be asked at a start, and then had what it should', async () => {
    await deployedOnce()
    const { deployedAt } = place()
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    prod.unreachable = down()
    await configure()
    await until(() => place().state === 'failed')
    prod.unreachable = undefined
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => place().state === 'done')
    expect(place().deployedAt).toBe(deployedAt)
    prod.holds = theirs
    await look()
    await until(() => prod.puts.length === 2 && place().state === 'done')
    expect(await drifts()).toHaveLength(1)
  })

  it('is noticed also where an attempt that put it right seemed to fail', async () => {
    await deployedOnce()
    prod.holds = theirs
    prod.onPut = () => {
      throw down()
    }
    await look()
    await until(() => place().state === 'failed')
    const puts = { at: rig.clock.now(), count: prod.puts.length }
    prod.onPut = undefined
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => place().state === 'done')
    expect(place().deployedAt).toBe(puts.at)
    expect(prod.puts).toHaveLength(puts.count)
    prod.holds = theirs
    await look()
    await until(() => prod.puts.length > puts.count && place().state === 'done')
    expect(await drifts()).toHaveLength(2)
  })

  it('has not failed when it cannot be asked: the next look asks again', async () => {
    await deployedOnce()
    prod.unreachable = down()
    const asked = prod.observations
    await look()
    await until(() => prod.observations > asked)
    await rig.clock.advance(0)
    expect(place()).toMatchObject({ state: 'done', lastError: null, nextAttemptAt: null })
    prod.unreachable = undefined
    prod.holds = theirs
    await look()
    await until(() => prod.puts.length === 2)
  })
})
