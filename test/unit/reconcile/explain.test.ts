import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import { judgePlace } from '../../../src/model/explain.ts'
import type { Follow } from '../../../src/model/follow.ts'
import type { PlaceStatus } from '../../../src/model/status.ts'
import { unscheduledListMs } from '../../../src/reconcile/tag-list.ts'
import type { BundleSpec } from '../../../src/reconcile/types.ts'
import { openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
const never = new AbortController().signal
const said = { by: 'ann', reason: 'because' }
const caret: Follow = { semver: '^1', prerelease: false }

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
  for (const tag of ['v1.0.0', 'v1.1.0', 'v2.0.0', 'junk']) await store.push(`policy ${tag}`, tag)
})
afterEach(() => rig.close())

const look = () => rig.reconciler.look('authz', 'request')
const configure = (follow: Follow, more: Partial<BundleSpec> = {}) =>
  rig.reconciler.configure([specOf(more.store ?? store, { follow, ...more })])
const explain = async (limit = 50) => (await rig.reconciler.explain('authz', limit, never))!
const verdicts = async () => (await explain()).tags.verdicts.map(({ tag, verdict }) => [tag, verdict.code])

describe('the tags of a bundle', () => {
  it('come with what the look decided by, best first, from the list that it asked for', async () => {
    await configure(caret)
    await look()
    const lists = store.lists
    expect((await explain()).tags).toEqual({
      ...{ follow: 'semver ^1', askedAt: rig.clock.now(), total: 4, error: null },
      verdicts: [
        { tag: 'v1.1.0', verdict: { code: 'taken' } },
        { tag: 'v1.0.0', verdict: { code: 'older_than', tag: 'v1.1.0' } },
        { tag: 'junk', verdict: { code: 'not_a_version' } },
        { tag: 'v2.0.0', verdict: { code: 'outside_range', range: '^1' } },
      ],
    })
    expect((await explain(1)).tags).toMatchObject({ total: 4, verdicts: [{ tag: 'v1.1.0' }] })
    expect(store.lists).toBe(lists)
  })

  it('say that a step down is not taken', async () => {
    await configure(caret)
    await look()
    await store.repository.deleteTag('v1.1.0')
    await look()
    const { tags, bundle } = await explain()
    expect(tags.verdicts[0]).toEqual({ tag: 'v1.0.0', verdict: { code: 'step_down', tag: 'v1.1.0' } })
    expect(bundle).toMatchObject({ current: { version: 'v1.1.0' }, look: { code: 'step_down' } })
  })

  it('are listed when a person asks, and then kept for one interval', async () => {
    await configure({ tag: 'v1.0.0' })
    await look()
    expect(store.lists).toBe(0)
    await Promise.all([explain(), explain()])
    await explain()
    expect(store.lists).toBe(1)
    await rig.clock.advance(59_999)
    await explain()
    expect(store.lists).toBe(1)
    await rig.clock.advance(1)
    await explain()
    expect(store.lists).toBe(2)
  })

  it('are kept for a while where nothing is scheduled', async () => {
    await configure({ tag: 'v1.0.0' }, { schedule: { kind: 'off' } })
    await look()
    for (const [waitMs, lists] of [
      [0, 1],
      [unscheduledListMs - 1, 1],
      [1, 2],
    ] as const) {
      await rig.clock.advance(waitMs)
      await explain()
      expect(store.lists).toBe(lists)
    }
  })

  it('are asked for anew after a push to the built-in registry', async () => {
    const local = Object.assign(store, { watches: 'policies/authz' })
    await configure({ tag: 'v1.0.0' }, { store: local })
    await look()
    await explain()
    const { digest } = await store.push('more', 'v1.2.0')
    rig.reconciler.repositoryChanged({ repository: 'policies/authz', action: 'push', tag: 'v1.2.0', digest })
    expect((await explain()).tags.total).toBe(5)
  })

  it('are asked for by nobody who went away, and by the others all the same', async () => {
    await configure({ tag: 'v1.0.0' })
    await look()
    const gate = Promise.withResolvers<void>()
    const tags = store.repository.tags.bind(store.repository)
    store.repository.tags = async function* (...args) {
      await gate.promise
      yield* tags(...args)
    }
    const gone = new AbortController()
    const first = rig.reconciler.explain('authz', 50, gone.signal)
    const second = explain()
    gone.abort(new Error('went away'))
    await expect(first).rejects.toThrow('went away')
    gate.resolve()
    expect((await second).tags.total).toBe(4)
    expect(store.lists).toBe(1)
  })

  it('that cannot be listed leave the rest', async () => {
    const prod = new ScriptedPlace('prod')
    await configure({ tag: 'v1.0.0' }, { places: [prod.spec()] })
    await look()
    await until(() => rig.deployed.length === 1)
    store.versions = () => Promise.reject(new RemoteError('unavailable', 'it is down', { host: 'test' }))
    expect(await explain()).toMatchObject({
      bundle: { name: 'authz', current: { version: 'v1.0.0' } },
      tags: { askedAt: null, total: 0, verdicts: [], error: { code: 'unavailable', message: 'it is down' } },
      places: [{ place: 'prod', verdict: { code: 'up_to_date', release: 1 } }],
    })
  })

  it('of a bundle that is not configured are not', async () => {
    expect(await rig.reconciler.explain('none', 50, never)).toBeUndefined()
  })
})

describe('what is followed by its name', () => {
  it('comes first, as taken, and the others are not followed', async () => {
    await configure({ tag: 'v1.0.0' })
    await look()
    const { tags } = await explain()
    expect(tags.verdicts.slice(0, 2)).toEqual([
      { tag: 'v1.0.0', verdict: { code: 'taken' } },
      { tag: 'junk', verdict: { code: 'not_followed', follow: 'v1.0.0' } },
    ])
  })

  it('is gone where no list has it', async () => {
    await configure({ tag: 'v3' })
    await look()
    expect((await verdicts())[0]).toEqual(['v3', 'gone'])
  })

  it('may be a digest, which no list has', async () => {
    const { digest } = await store.push('policy', 'x')
    await configure({ digest })
    await look()
    expect((await verdicts())[0]).toEqual([digest, 'taken'])
    await store.repository.deleteManifest(digest)
    await look()
    expect((await verdicts())[0]).toEqual([digest, 'gone'])
  })

  it('is the pin where there is one', async () => {
    await configure(caret)
    await look()
    await rig.reconciler.steering.pin('authz', { tag: 'v2.0.0' }, said, never)
    const explained = await explain()
    expect(explained.bundle).toMatchObject({ follow: 'semver ^1', pin: { by: 'ann', to: { tag: 'v2.0.0' } } })
    expect(explained.tags).toMatchObject({ follow: 'v2.0.0', verdicts: [{ tag: 'v2.0.0' }, {}, {}, {}] })
  })
})

describe('a place', () => {
  const place: PlaceStatus = {
    ...{ bundle: 'authz', place: 'prod', desired: 3, deployed: 3, observed: null, state: 'done', attempts: 1 },
    ...{ nextAttemptAt: null, lastError: null, lastAttemptAt: null, deployedAt: null },
    ...{ forced: 0, forcedDone: 0, autoDeploy: true, switched: null },
  }
  const hold = { bundle: '*', by: 'ann', at: 1, reason: '' }
  const switched = { bundle: 'authz', place: null, on: false, by: 'ann', at: 1, reason: '' }
  const failed = { state: 'failed', attempts: 2, lastError: 'no route', nextAttemptAt: 9, deployed: 2 } as const
  const pending = { state: 'pending', deployed: 2 } as const

  it.each<[string, Partial<PlaceStatus>, typeof hold | null, unknown]>([
    ['that has it', {}, null, { code: 'up_to_date', release: 3 }],
    ['that has it, held', {}, hold, { code: 'up_to_date', release: 3 }],
    ['before the first release', { desired: null, state: 'pending' }, hold, { code: 'no_release' }],
    ['that is held', pending, hold, { code: 'held', hold }],
    ['that is off by config', { ...pending, autoDeploy: false }, null, { code: 'auto_deploy_off', switched: null }],
    ['that is off', { ...pending, autoDeploy: false, switched }, null, { code: 'auto_deploy_off', switched }],
    ['that is forced', { ...pending, autoDeploy: false, forced: 1 }, null, { code: 'waiting', release: 3 }],
    ['that is done and forced', { forced: 1 }, null, { code: 'waiting', release: 3 }],
    ['on its way', { ...pending, state: 'deploying' }, null, { code: 'deploying', release: 3, attempt: 1 }],
    ['that drifted', { state: 'drifted', lastError: 'other' }, hold, { code: 'drifted', error: 'other' }],
    ['that failed', failed, null, { code: 'failed', release: 3, attempts: 2, error: 'no route', againAt: 9 }],
  ])('%s', (_what, part, held, verdict) => {
    expect(judgePlace({ ...place, ...part }, held)).toEqual(verdict)
  })
})
