import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { createPromoter } from '../../../src/reconcile/promoter.ts'
import { createStore } from '../../../src/stores/bundle/index.ts'
import { bundleStoreSchema } from '../../../src/stores/bundle/schema.ts'
import type { Store } from '../../../src/stores/store.ts'
import { imageOf } from '../../support/repository.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

const hour = 3_600_000
const off = { kind: 'off' } as const
const said = { by: 'ann', reason: 'tried it' }

let rig: Rig
let source: ScriptedStore
let staging: ScriptedPlace
let prod: ScriptedPlace
let terms: Record<string, unknown>

beforeEach(async () => {
  rig = await openRig()
  source = new ScriptedStore()
  staging = new ScriptedPlace('staging')
  prod = new ScriptedPlace('prod')
  terms = { place: 'staging', delay: '1h' }
})
afterEach(() => rig.close())

function promoting(): Store {
  const config = bundleStoreSchema.parse({ type: 'bundle', from: 'authz', ...terms })
  return createStore(config, {
    registries: undefined as never,
    local: (name) => rig.registry.repository(name),
    promotion: (wanted) => createPromoter({ bundle: 'prod', terms: wanted, state: rig.state, clock: rig.clock }),
    logger: silentLogger,
  })
}

async function configure(store = promoting()): Promise<void> {
  await rig.reconciler.configure([
    specOf(source, { schedule: off, places: [staging.spec()] }),
    specOf(store, { name: 'prod', schedule: off, places: [prod.spec()] }),
  ])
}

async function restart(): Promise<void> {
  const { folder, clock } = rig
  await rig.close()
  rig = await openRig({ folder, clock })
  await configure()
  await rig.clock.advance(0)
}

async function release(text: string, tag = 'latest'): Promise<void> {
  await source.push(text, tag)
  await rig.reconciler.look('authz', 'request')
}

const statusOf = (name: string) => rig.reconciler.status(name)[0]!
const waiting = () => statusOf('prod').promotion?.waiting
const served = () => statusOf('prod').current
const at = (place: ScriptedPlace) => place.puts.map(({ release }) => release)
const staged = (number: number) => until(() => statusOf('authz').deployments[0]!.deployed === number)
/** What was deployed to staging was looked at, whatever came of it. */
const seen = (number: number) => until(() => waiting()?.release === number && waiting()!.isThere)
const promoted = (number: number) => until(() => statusOf('prod').deployments[0]!.deployed === number)

describe('a bundle that takes what was deployed of another', () => {
  it('gets it when the delay is over, with its own digest, and no byte of it again', async () => {
    await configure()
    await release('one')
    await seen(1)
    expect(waiting()).toMatchObject({ version: 'latest', until: rig.clock.now() + hour, needsApproval: false })
    expect(statusOf('prod').look?.message).toBe(
      `nothing of authz was promoted yet: release 1 (latest) waits until ${new Date(rig.clock.now() + hour).toISOString()}`,
    )
    await rig.clock.advance(hour - 1)
    expect(prod.puts).toEqual([])
    await rig.clock.advance(1)
    await promoted(1)
    const theirs = statusOf('authz').current!
    expect(served()).toMatchObject({
      ...{ number: 1, version: 'latest', form: 'original', manifestDigest: theirs.manifestDigest },
      bundleDigest: theirs.bundleDigest,
    })
    expect(prod.holds).toBe(staging.holds)
    expect(waiting()).toBeNull()
    expect(source.fetches).toBe(1)
  })

  it('gets it as it is served there, with what refers to it', async () => {
    terms = { place: 'staging' }
    await configure()
    await release('pack one')
    await promoted(1)
    const { manifestDigest, sourceDigest } = statusOf('authz').current!
    expect(manifestDigest).not.toBe(sourceDigest)
    expect(served()).toMatchObject({ manifestDigest, sourceDigest: manifestDigest, form: 'original' })
    const signed = await rig.registry.repository('bundles/authz').manifest(manifestDigest)
    await imageOf(rig.registry.repository('bundles/authz'), ['signature'], { subject: signed })
    await release('two')
    await promoted(2)
    await source.push('pack one')
    await rig.reconciler.look('authz', 'request')
    await promoted(3)
    expect(await rig.registry.repository('bundles/prod').referrers(manifestDigest)).toHaveLength(1)
  })

  it('keeps what was there for long enough while a newer one begins its delay, and never gets one that was replaced', async () => {
    await configure()
    await release('one')
    await staged(1)
    await rig.clock.advance(hour)
    await promoted(1)
    await release('two')
    await seen(2)
    await rig.clock.advance(hour / 2)
    await release('three')
    await seen(3)
    await rig.clock.advance(hour - 1)
    expect(at(prod)).toEqual([1])
    await rig.clock.advance(1)
    await promoted(2)
    expect(served()).toMatchObject({ number: 2, manifestDigest: statusOf('authz').current!.manifestDigest })
    expect(at(prod)).toEqual([1, 2])
  })

  it('gets nothing new of a place that failed, and what is there when that is well', async () => {
    terms = { place: 'staging' }
    await configure()
    await release('one')
    await promoted(1)
    staging.failures = [down()]
    await release('two')
    await until(() => waiting()?.release === 2 && !waiting()!.isThere)
    expect(at(prod)).toEqual([1])
    await rig.clock.advance(600_000)
    await promoted(2)
  })

  it('has what is on its way to that place as the next one, as soon as it is released', async () => {
    terms = { place: 'staging', approval: true }
    const held = staging.spec({ autoDeploy: false })
    await rig.reconciler.configure([
      specOf(source, { schedule: off, places: [held] }),
      specOf(promoting(), { name: 'prod', schedule: off, places: [prod.spec()] }),
    ])
    for (const number of [1, 2]) {
      await release(`release ${number}`)
      await until(() => waiting()?.release === number)
      expect(waiting()).toMatchObject({ isThere: false, needsApproval: true })
    }
  })

  it('gets nothing of a place that somebody else changed', async () => {
    await configure()
    await release('one')
    await seen(1)
    staging.holds = null
    const spec = staging.spec({ drift: 'report' })
    await rig.reconciler.configure([
      specOf(source, { schedule: off, places: [spec] }),
      specOf(promoting(), { name: 'prod', schedule: off, places: [prod.spec()] }),
    ])
    await until(() => statusOf('authz').deployments[0]!.state === 'drifted')
    await rig.clock.advance(2 * hour)
    await rig.reconciler.look('prod', 'request')
    expect(waiting()).toMatchObject({ release: 1, isThere: false, until: null })
    expect(prod.puts).toEqual([])
  })

  it('gets what is current where no place is named', async () => {
    terms = { delay: '10m' }
    staging.failures = [down()]
    await configure()
    await release('one')
    await seen(1)
    await rig.clock.advance(600_000)
    await promoted(1)
  })

  it('gets it at once again when a pin is taken off that it was restarted with', async () => {
    terms = { place: 'staging' }
    await configure()
    await release('one')
    await promoted(1)
    await rig.reconciler.steering.pin('prod', { release: 1 }, said, AbortSignal.timeout(5000))
    await restart()
    await rig.reconciler.steering.unpin('prod', said)
    await release('two')
    await promoted(2)
  })

  it('goes on over a restart with the delay that was begun', async () => {
    await configure()
    await release('one')
    await seen(1)
    await rig.clock.advance(hour / 2)
    await restart()
    await seen(1)
    await rig.clock.advance(hour / 2 - 1)
    expect(prod.puts).toEqual([])
    await rig.clock.advance(1)
    await promoted(1)
  })

  it('gets at a start what became due while nothing ran', async () => {
    await configure()
    await release('one')
    await seen(1)
    const { folder, clock } = rig
    await rig.close()
    clock.stall(2 * hour)
    rig = await openRig({ folder, clock })
    await configure()
    await rig.clock.advance(0)
    await promoted(1)
  })

  it('follows a version that a person names, without delay', async () => {
    await rig.reconciler.configure([
      specOf(source, { schedule: off, follow: { semver: '*', prerelease: false }, places: [staging.spec()] }),
      specOf(promoting(), { name: 'prod', schedule: off, places: [prod.spec()] }),
    ])
    await release('one', 'v1.0.0')
    await release('two', 'v1.1.0')
    await staged(2)
    const { look } = await rig.reconciler.steering.pin('prod', { tag: 'v1.0.0' }, said, AbortSignal.timeout(5000))
    expect(look).toMatchObject({ outcome: 'released', version: 'v1.0.0' })
    await promoted(1)
    await rig.reconciler.steering.unpin('prod', said)
    expect(served()).toMatchObject({ version: 'v1.0.0' })
    const explained = await rig.reconciler.explain('prod', 9, AbortSignal.timeout(5000))
    expect(explained?.tags.verdicts.map(({ tag, verdict }) => [tag, verdict.code])).toEqual([
      ['v1.0.0', 'taken'],
      ['latest', 'not_promoted'],
      ['v1.1.0', 'not_promoted'],
    ])
    await rig.clock.advance(hour)
    await promoted(2)
    expect(served()).toMatchObject({ version: 'v1.1.0' })
  })
})

describe('an approval', () => {
  const approve = (which: Parameters<Rig['reconciler']['steering']['approve']>[1] = null) =>
    rig.reconciler.steering.approve('prod', which, said)

  beforeEach(async () => {
    terms = { place: 'staging', approval: true }
    await configure()
    await release('one')
    await seen(1)
  })

  it('lets the release go on that waits, and is kept with who, when and why', async () => {
    expect(waiting()).toMatchObject({ needsApproval: true, until: null })
    const digest = statusOf('authz').current!.manifestDigest
    const approved = await approve()
    expect(approved).toMatchObject({
      release: 1,
      version: 'latest',
      digest,
      isNew: true,
      place: 'staging',
      waiting: null,
    })
    expect(approved.look).toMatchObject({ outcome: 'released', trigger: 'approval' })
    await promoted(1)
    const events = await rig.state.events.ofBundle('prod', 100)
    expect(events.filter(({ type }) => type === 'release.approved')).toMatchObject([
      { by: 'ann', at: rig.clock.now(), data: { from: 'authz', release: 1, digest, reason: 'tried it' } },
    ])
  })

  it('is for that release alone, by its number or its digest, and once', async () => {
    await approve({ digest: statusOf('authz').current!.bundleDigest! })
    await promoted(1)
    await release('two')
    await seen(2)
    await release('one')
    await seen(3)
    expect(at(prod)).toEqual([1])
    await approve({ release: 3 })
    await until(() => statusOf('prod').look!.trigger === 'approval')
    expect(served()).toMatchObject({ number: 1 })
    await expect(approve({ release: 3 })).rejects.toMatchObject({ code: 'promoted' })
  })

  it('may come before the delay is over, and outlives a restart', async () => {
    terms = { place: 'staging', delay: '1h', approval: true }
    await configure()
    await release('two')
    await seen(2)
    expect(waiting()).toMatchObject({ needsApproval: true, until: rig.clock.now() + hour })
    expect(await approve()).toMatchObject({ isNew: true, waiting: { release: 2, needsApproval: false } })
    expect(await approve()).toMatchObject({ isNew: false })
    await restart()
    await seen(2)
    expect(waiting()).toMatchObject({ needsApproval: false })
    await rig.clock.advance(hour)
    await promoted(1)
    expect(served()).toMatchObject({ manifestDigest: statusOf('authz').current!.manifestDigest })
  })

  it('may come for one that was there for long enough, after a newer one came', async () => {
    await release('two')
    await seen(2)
    await approve({ release: 1 })
    await promoted(1)
    expect(prod.holds).not.toBe(staging.holds)
    await approve()
    await promoted(2)
    await expect(approve({ release: 1 })).rejects.toMatchObject({ code: 'promoted' })
  })

  it('may not come for one that was replaced before its delay was over', async () => {
    terms = { place: 'staging', delay: '1h', approval: true }
    await release('two')
    await configure()
    await seen(2)
    await release('three')
    await seen(3)
    await expect(approve({ release: 2 })).rejects.toMatchObject({ code: 'replaced' })
  })

  it('is told as who gave it with what is deployed by it, also when the delay ended later; else nobody is', async () => {
    await approve()
    await promoted(1)
    terms = { place: 'staging', delay: '1h', approval: true }
    await configure()
    await release('two')
    await seen(2)
    await approve()
    await restart()
    await seen(2)
    await rig.clock.advance(hour)
    await promoted(2)
    await release('three')
    await seen(3)
    await rig.reconciler.steering.approve('prod', null, { by: 'ben', reason: '' })
    terms = { place: 'staging' }
    await configure()
    await promoted(3)
    const told = (await rig.state.events.ofBundle('prod', 100, 'prod')).toReversed()
    const ends = told.filter(({ type }) => type === 'deployment.succeeded')
    expect(ends.map(({ by, data }) => [data.release, by])).toEqual([
      [1, 'ann'],
      [2, 'ann'],
      [3, null],
    ])
  })

  it('is refused where there is nothing to agree to', async () => {
    await expect(approve({ release: 9 })).rejects.toMatchObject({ code: 'no_release' })
    await approve()
    await promoted(1)
    await expect(approve()).rejects.toMatchObject({ code: 'no_release' })
    await expect(rig.reconciler.steering.approve('authz', null, said)).rejects.toMatchObject({ code: 'no_approval' })
  })
})
