import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Deploy, Observation, Removal } from '../../../src/deployers/deployer.ts'
import type { Digest } from '../../../src/oci/digest.ts'
import type { PlaceSpec } from '../../../src/reconcile/types.ts'
import { waitFor } from '../../support/wait.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

/** A place with folders. */
class Folders extends ScriptedPlace {
  readonly at = new Map<string | null, Digest>()
  readonly removed: [from: string | null, to: string | null | undefined][] = []
  removalFailures: Error[] = []

  override observe({ release, path }: Deploy): Promise<Observation | undefined> {
    this.observations += 1
    const digest = this.at.get(path) ?? null
    return Promise.resolve(this.readable ? { digest, settled: digest === release.manifestDigest } : undefined)
  }

  override async deploy(what: Deploy, signal: AbortSignal): Promise<void> {
    await super.deploy(what, signal)
    this.at.set(what.path, what.release.manifestDigest)
  }

  override remove({ path, movedTo }: Removal): Promise<void> {
    this.removed.push([path, movedTo?.path])
    const failure = this.removalFailures.shift()
    if (failure !== undefined) return Promise.reject(failure)
    this.at.delete(path)
    return Promise.resolve()
  }
}

const schedule = { kind: 'off' } as const
let rig: Rig
let store: ScriptedStore
let zones: Folders

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  zones = new Folders('zones')
})
afterEach(() => rig.close())

/** The bundle goes to this path; `zones` says `prune: true`, or does not. */
async function configure(
  path: string | null,
  { prunes = true, ...more }: Partial<PlaceSpec> & { prunes?: boolean } = {},
) {
  const pruners = new Map(prunes ? [['zones', zones]] : [])
  await rig.reconciler.configure([specOf(store, { schedule, places: [zones.spec({ path, ...more })] })], pruners)
}

async function restart(): Promise<void> {
  const { folder, clock } = rig
  await rig.close()
  rig = await openRig({ folder, clock })
}

async function deployedTo(path: string | null, more: object = {}): Promise<void> {
  await configure(path, more)
  await store.push('one')
  await rig.reconciler.look('authz', 'request')
  await until(() => place().state === 'done')
}

const place = () => rig.reconciler.status('authz')[0]!.deployments[0]!
const paths = () => [...zones.at.keys()]
const known = async () => (await rig.state.placements.list()).map(({ path }) => path)
const isKnownAt = (path: string) => waitFor(`${path} in the state`, async () => (await known()).join() === path)
const types = async () => (await rig.state.events.ofBundle('authz', 100, 'zones')).map(({ type }) => type)

describe('a bundle that goes to another path of its place', () => {
  it('leaves nothing at the older one, once it is there', async () => {
    await deployedTo('one')
    zones.failures = [down()]
    await configure('two')
    await until(() => place().state === 'failed')
    expect([paths(), zones.removed, await known()]).toEqual([['one'], [], ['one']])
    await rig.clock.advance(place().nextAttemptAt! - rig.clock.now())
    await until(() => zones.removed.length === 1)
    await isKnownAt('two')
    expect(zones.removed).toEqual([['one', 'two']])
    expect(paths()).toEqual(['two'])
    expect(await types()).not.toContain('deployment.drifted')
    await store.push('two')
    await rig.reconciler.look('authz', 'request')
    await until(() => place().deployed === 2)
    expect(zones.removed).toHaveLength(1)
  })

  it('does so also where it was restarted meanwhile, and where that failed before', async () => {
    await deployedTo(null)
    await restart()
    zones.removalFailures = [down()]
    await configure('two')
    await until(() => place().state === 'failed')
    expect(paths()).toEqual([null, 'two'])
    expect(place().lastError).toContain('503')
    await restart()
    await configure('two')
    await rig.clock.advance(600_000)
    await isKnownAt('two')
    expect([zones.removed, paths()]).toEqual([
      [
        [null, 'two'],
        [null, 'two'],
      ],
      ['two'],
    ])
    await until(() => place().state === 'done')
  })

  it('leaves all at the older one where the deployer does not say so', async () => {
    await deployedTo('one', { prunes: false })
    await configure('two', { prunes: false })
    await isKnownAt('two')
    expect([zones.removed, paths()]).toEqual([[], ['one', 'two']])
  })

  it('goes there after a restart too where changes by others are only reported: this is none', async () => {
    await deployedTo('one', { drift: 'report' })
    await restart()
    await configure('two', { drift: 'report' })
    await until(() => paths().join() === 'two')
    expect(await types()).not.toContain('deployment.drifted')
  })

  it('is tried at once after a restart where the older one had failed: what kept it from there is no matter here', async () => {
    zones.failures = [down()]
    await configure('one')
    await store.push('one')
    await rig.reconciler.look('authz', 'request')
    await until(() => place().state === 'failed')
    await restart()
    await configure('one')
    await rig.clock.advance(0)
    expect([place().state, zones.puts.length]).toEqual(['failed', 1])
    await restart()
    await configure('two')
    await until(() => place().state === 'done')
    expect(paths()).toEqual(['two'])
  })

  it('goes to another place that cannot be asked, also after a restart', async () => {
    zones.readable = false
    await deployedTo('one')
    await restart()
    await configure('two')
    await until(() => paths().join() === 'two')
    await restart()
    await configure('two')
    await rig.clock.advance(0)
    await until(() => place().state === 'done')
    expect(zones.puts).toHaveLength(2)
  })
})
