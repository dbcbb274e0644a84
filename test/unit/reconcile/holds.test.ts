import { afterEach, beforeEach, expect, it } from 'vitest'
import { openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
let prod: ScriptedPlace
const schedule = { kind: 'off' } as const
const why = 'the state was rebuilt'
const said = { by: 'ann', reason: 'looked at it' }

beforeEach(async () => {
  const first = await openRig()
  await first.state.decisions.hold(['authz', 'gone'], { by: 'longshore', at: first.clock.now(), reason: why })
  await first.close()
  rig = await openRig({ folder: first.folder })
  store = new ScriptedStore()
  prod = new ScriptedPlace()
})

afterEach(() => rig.close())

const held = () => rig.reconciler.status('authz')[0]!.held
const deployed = (release: number) => until(() => rig.deployed.some((event) => event.release === release))

async function configure(): Promise<void> {
  await rig.reconciler.configure([specOf(store, { schedule, places: [prod.spec()] })])
}

async function release(text: string): Promise<void> {
  await store.push(text)
  await rig.reconciler.look('authz', 'request')
}

it('releases what is held, and deploys nothing of it before somebody says so', async () => {
  await configure()
  await release('one')
  await release('two')
  expect(held()).toEqual({ bundle: 'authz', by: 'longshore', at: rig.clock.now(), reason: why })
  expect(rig.released).toHaveLength(2)
  // A second place would be asked by now.
  const other = new ScriptedPlace('other')
  await rig.reconciler.configure([
    specOf(store, { schedule, places: [prod.spec()] }),
    specOf(store, { name: 'free', schedule, places: [other.spec()] }),
  ])
  await rig.reconciler.look('free', 'request')
  await until(() => other.puts.length === 1)
  expect(prod).toMatchObject({ observations: 0, puts: [] })
  expect(rig.reconciler.status('free')[0]!.held).toBeNull()

  expect(await rig.reconciler.steering.resume('authz', said)).toEqual(['authz'])
  await deployed(2)
  expect(prod.puts.map((put) => put.release)).toEqual([2])
  expect(held()).toBeNull()
  expect(await rig.reconciler.steering.resume('authz', said)).toEqual([])
})

it('puts the same release there later, where it was held while the place was asked', async () => {
  await rig.reconciler.steering.resume('authz', said)
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
  await rig.reconciler.steering.hold('authz', said)
  answer()
  await rig.reconciler.look('authz', 'request')
  await until(() => rig.reconciler.status('authz')[0]!.held !== null && prod.observations === 1)
  expect(prod.puts).toEqual([])
  await rig.reconciler.steering.resume('authz', said)
  await deployed(1)
  expect(prod.puts.map((put) => put.release)).toEqual([1])
})

it('puts nothing there that was held while the place was asked, and the newest when it is resumed', async () => {
  await rig.reconciler.steering.resume('authz', said)
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
  await release('two')
  await rig.reconciler.steering.hold('authz', said)
  answer()
  await rig.reconciler.look('authz', 'request')
  expect(prod.puts).toEqual([])
  await rig.reconciler.steering.resume('authz', said)
  await deployed(2)
  expect(prod.puts.map((put) => put.release)).toEqual([2])
})

it('stays held over a restart, until it is resumed for good', async () => {
  await configure()
  await release('one')
  const { folder } = rig
  await rig.close()
  rig = await openRig({ folder })
  await configure()
  expect(held()).toMatchObject({ reason: why })
  expect(await rig.reconciler.steering.resume('*', said)).toEqual(['authz', 'gone'])
  await deployed(1)
  await rig.close()
  rig = await openRig({ folder })
  await configure()
  expect(held()).toBeNull()
})

it('finds what a place holds already, and puts nothing there again', async () => {
  await configure()
  await release('one')
  prod.holds = rig.released[0]!.manifestDigest
  await rig.reconciler.steering.resume('*', said)
  await deployed(1)
  expect(prod.puts).toEqual([])
})

it('holds all of them with one word, those to come included, and lets none of them go alone', async () => {
  await rig.reconciler.steering.resume('*', said)
  expect(await rig.reconciler.steering.hold('*', { by: 'ann', reason: 'freeze' })).toBe(true)
  expect(await rig.reconciler.steering.hold('*', { by: 'bob', reason: 'late' })).toBe(false)
  await configure()
  await release('one')
  expect(held()).toMatchObject({ bundle: '*', by: 'ann', reason: 'freeze' })
  await expect(rig.reconciler.steering.resume('authz', said)).rejects.toMatchObject({
    name: 'ConfigError',
    message: 'cannot resume authz alone: ann holds all bundles',
  })
  await expect(rig.reconciler.steering.deploy('authz', null, said)).rejects.toMatchObject({ code: 'held' })
  expect(prod.observations).toBe(0)
  expect(await rig.reconciler.steering.resume('*', said)).toEqual(['*'])
  await deployed(1)
})
