import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FinalError, RemoteError } from '../../../src/lib/errors.ts'
import type { Retry } from '../../../src/reconcile/types.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  prod = new ScriptedPlace('prod')
  prod.failures = Array.from({ length: 20 }, down)
})
afterEach(() => rig.close())

const twice: Retry = { maxAttempts: 2, maxIntervalMs: 600_000 }
const place = () => rig.reconciler.status('authz')[0]!.deployments[0]!
const configure = (retry: Retry) =>
  rig.reconciler.configure([specOf(store, { schedule: { kind: 'off' }, places: [prod.spec({ retry })] })])

async function release(text: string): Promise<void> {
  await store.push(text)
  await rig.reconciler.look('authz', 'request')
}

/** Goes from one attempt to the next until this many failed. */
async function failed(times: number): Promise<void> {
  for (;;) {
    await until(() => rig.deployed.length > 0 && place().state === 'failed')
    if (prod.puts.length >= times) return
    const puts = prod.puts.length
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => prod.puts.length > puts)
  }
}

async function givenUp(): Promise<void> {
  await configure(twice)
  await release('one')
  await failed(2)
  expect(place()).toMatchObject({ state: 'failed', attempts: 2, nextAttemptAt: null, lastError: 'test answered 503' })
}

describe('a place with a limit of attempts', () => {
  it('is given up when it is reached, over a look and a restart too', async () => {
    await givenUp()
    expect(rig.clock.nextInMs()).toBeUndefined()
    await rig.clock.advance(1000)
    await rig.reconciler.look('authz', 'request')
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    await configure(twice)
    await rig.clock.advance(3_600_000)
    expect(prod.puts).toHaveLength(2)
    expect(place()).toMatchObject({ state: 'failed', nextAttemptAt: null })
  })

  it('is given up too where it cannot even be asked what it holds', async () => {
    prod.unreachable = down()
    await configure(twice)
    await release('one')
    await until(() => place().state === 'failed')
    expect(place()).toMatchObject({ attempts: 1, lastError: 'test answered 503' })
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => place().attempts === 2)
    expect(place()).toMatchObject({ state: 'failed', nextAttemptAt: null })
    expect(prod.puts).toEqual([])
  })

  it('has all of them again for a newer release', async () => {
    await givenUp()
    await release('two')
    await failed(4)
    expect(place()).toMatchObject({ desired: 2, attempts: 2, nextAttemptAt: null })
  })

  it('has all of them again when a person says so', async () => {
    await givenUp()
    await rig.reconciler.steering.deploy('authz', 'prod', { by: 'ann', reason: '' })
    await until(() => prod.puts.length === 3)
    await failed(4)
    expect(place()).toMatchObject({ attempts: 2, nextAttemptAt: null })
  })

  it('is tried after a restart where a person asked for it just before', async () => {
    await givenUp()
    await rig.state.deployments.force('authz', 'prod', { by: 'ann', at: 1, reason: '' })
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    prod.failures = []
    await configure(twice)
    await until(() => place().state === 'done')
    expect(place()).toMatchObject({ forced: 1, forcedDone: 1 })
  })

  it('is tried again when the config gives it more, and well when it succeeds', async () => {
    await givenUp()
    prod.failures = []
    await configure({ ...twice, maxAttempts: 3 })
    await until(() => place().state === 'done')
    expect(prod.puts).toHaveLength(3)
  })
})

describe('a place that says that the same would fail again', () => {
  const configured = () => configure({ maxAttempts: null, maxIntervalMs: 600_000 })

  beforeEach(async () => {
    prod.failures = [new FinalError('prod ended with 64: no such zone')]
    await configured()
    await release('one')
    await failed(1)
  })

  it('is given up at once', async () => {
    expect(place()).toMatchObject({ state: 'failed', attempts: 1, nextAttemptAt: null })
    await rig.clock.advance(3_600_000)
    expect(prod.puts).toHaveLength(1)
  })

  it('gets a newer release', async () => {
    await release('two')
    await until(() => place().state === 'done')
    expect(place()).toMatchObject({ deployed: 2, attempts: 1 })
  })

  it('gets the same one when a person says so', async () => {
    await rig.reconciler.steering.deploy('authz', 'prod', { by: 'ann', reason: '' })
    await until(() => place().state === 'done')
    expect(place()).toMatchObject({ deployed: 1 })
  })
})

describe('a place whose registry is left alone for a while', () => {
  const leftAlone = () =>
    new RemoteError('circuit_open', 'test is left alone', { host: 'test', retryable: true, retryAfterMs: 30_000 })
  const events = async () =>
    (await rig.state.events.ofBundle('authz', 100, 'prod')).map(({ type, data }) => [type, data.attempt])

  it('is tried when that is over, and what was not tried counts as no attempt', async () => {
    prod.failures = []
    prod.unreachable = leftAlone()
    await configure(twice)
    await release('one')
    for (let tries = 1; tries <= 4; tries++) {
      await until(() => prod.observations === tries && place().state === 'failed' && rig.clock.nextInMs() !== undefined)
      expect(place()).toMatchObject({ attempts: 0, lastError: 'test is left alone', lastAttemptAt: null })
      expect(place().nextAttemptAt! - rig.clock.now()).toBe(30_000)
      if (tries < 4) await rig.clock.advance(30_000)
    }
    expect(await events()).toEqual([])
    expect(rig.deployed).toEqual([])
    prod.unreachable = undefined
    await rig.clock.advance(30_000)
    await until(() => place().state === 'done')
    expect(await events()).toEqual([
      ['deployment.succeeded', 1],
      ['deployment.started', 1],
    ])
  })

  it('counts what was begun before', async () => {
    prod.failures = [leftAlone()]
    await configure(twice)
    await release('one')
    await failed(1)
    expect(place()).toMatchObject({ attempts: 1, lastError: 'test is left alone' })
    expect((await events())[0]).toEqual(['deployment.failed', 1])
  })
})

it('waits on when the config is taken up again, and nothing of the place is another', async () => {
  await configure(twice)
  await release('one')
  await failed(1)
  const waiting = place()
  await configure({ ...twice })
  await rig.clock.advance(1)
  expect(place()).toEqual(waiting)
  expect(prod.observations).toBe(1)
})

it('never waits longer than the config says', async () => {
  await configure({ maxAttempts: null, maxIntervalMs: 1500 })
  await release('one')
  await failed(5)
  // Half of it, by the rig's chance.
  expect(place().nextAttemptAt! - rig.clock.now()).toBe(750)
})
