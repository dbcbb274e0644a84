import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { RemoteError } from '../../../src/lib/errors.ts'
import { createDeployer } from '../../../src/deployers/oci/index.ts'
import { ociDeployerSchema } from '../../../src/deployers/oci/schema.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { Redactor } from '../../../src/lib/redact.ts'
import type { BundleSpec } from '../../../src/reconcile/types.ts'
import { imageOf, indexOf, MemoryRepository } from '../../support/repository.ts'
import { openRig, ScriptedPlace, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
const schedule = { kind: 'off' } as const
const said = { by: 'ann', reason: '' }
const { signal } = new AbortController()

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
})
afterEach(() => rig.close())

const configure = (more: Partial<BundleSpec> = {}) =>
  rig.reconciler.configure([specOf(store, { schedule, pull: false, recipe: 'watched', ...more })])
const look = () => rig.reconciler.look('authz', 'request')
const status = () => rig.reconciler.status('authz')[0]!
const kept = async () => ({
  repositories: await rig.state.catalog.repositories({ limit: 10 }),
  tags: await rig.registry.repository('bundles/authz').tagPage({ limit: 10 }),
})

async function pushIndex(tag = 'latest') {
  const member = await imageOf(store.repository, ['gigabytes'])
  const platforms = [{ os: 'linux', architecture: 'arm64' }]
  return indexOf(store.repository, [member], { platforms, tags: [tag] })
}

describe('a bundle that is not pulled', () => {
  it('has the digest of what the tag names as its release, for one HEAD, and nothing is kept', async () => {
    const index = await pushIndex()
    await configure()
    await look()
    expect(store.repository.log.filter((call) => !call.startsWith('put'))).toEqual(['head latest'])
    expect(rig.released).toMatchObject([
      {
        ...{ number: 1, version: 'latest', bundleDigest: null, size: 0, revision: null, form: 'original', kept: true },
        ...{ manifestDigest: index.digest, sourceDigest: index.digest },
      },
    ])
    expect(await kept()).toEqual({ repositories: [], tags: [] })
    expect(status()).toMatchObject({ kind: null, health: 'ok' })
    store.repository.log.length = 0
    rig.writes.length = 0
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect(store.repository.log).toEqual(['head latest'])
    expect(rig.writes).toEqual([])
  })

  it('asks for the list where a range is followed, and for the digest of the one that wins', async () => {
    for (const tag of ['v1.0.0', 'v1.2.0', 'nightly']) await store.push(tag, tag)
    store.repository.log.length = 0
    await configure({ follow: { semver: '*', prerelease: false } })
    await look()
    expect(status().current).toMatchObject({ version: 'v1.2.0', bundleDigest: null })
    expect([store.repository.log, store.lists]).toEqual([['head v1.2.0'], 1])
  })

  it('is pinned by tag and by digest, goes back, and says so where the store no longer has it', async () => {
    const first = await store.push('one')
    await configure()
    await look()
    const second = await store.push('two')
    await look()
    const old = await store.push('old', 'v0')
    await rig.reconciler.steering.pin('authz', { tag: 'v0' }, said, signal)
    expect(status().current).toMatchObject({ number: 3, version: 'v0', manifestDigest: old.digest })
    await rig.reconciler.steering.pin('authz', { digest: second.digest }, said, signal)
    expect(status()).toMatchObject({
      pin: { to: { release: 2 } },
      current: { number: 4, manifestDigest: second.digest },
    })
    await rig.reconciler.steering.rollback('authz', 1, said, signal)
    expect(status().current).toMatchObject({ number: 5, manifestDigest: first.digest, bundleDigest: null })
    store.repository.manifests.delete(second.digest)
    await expect(rig.reconciler.steering.rollback('authz', 2, said, signal)).rejects.toMatchObject({
      code: 'gone',
      message: expect.stringMatching(/release 2 of authz are not kept here, and test\/policies does not have them/),
    })
    expect(await kept()).toEqual({ repositories: [], tags: [] })
  })

  it('keeps its line in the history however many come after it', async () => {
    await configure({ keep: 1 })
    for (const text of ['one', 'two', 'three']) {
      await store.push(text)
      await look()
    }
    expect((await rig.state.bundles.releases('authz', 9)).map(({ kept }) => kept)).toEqual([true, true, true])
  })

  it('switches either way: what was pulled goes, and what was not is fetched', async () => {
    await store.push('policy')
    await configure({ pull: true, recipe: 'pulled' })
    await look()
    expect((await kept()).tags).toEqual(['latest'])
    await configure()
    await until(() => rig.released.length === 2)
    expect(rig.released[1]).toMatchObject({ bundleDigest: null, reason: 'recipe changed' })
    expect(await kept()).toMatchObject({ tags: [] })
    expect((await rig.state.bundles.releases('authz', 9)).map(({ kept }) => kept)).toEqual([true, false])
    expect(await rig.registry.repository('bundles/authz').head(rig.released[0]!.manifestDigest)).toBeUndefined()
    await configure({ pull: true, recipe: 'pulled' })
    await until(() => rig.released.length === 3)
    expect(rig.released[2]!.bundleDigest).not.toBeNull()
    expect((await kept()).tags).toEqual(['latest'])
  })

  it('does not fetch what was lost of a release before that', async () => {
    const { digest } = await store.push('policy')
    await configure({ pull: true, recipe: 'pulled' })
    await look()
    await rig.registry.repository('bundles/authz').removeManifest(digest)
    await configure()
    await until(() => rig.released.length === 2)
    expect(store.fetches).toBe(1)
  })

  it('goes to a place from where it is', async () => {
    const place = new ScriptedPlace()
    const index = await pushIndex()
    await configure({ places: [place.spec()] })
    await look()
    await until(() => rig.deployed.length === 1)
    expect(place.holds).toBe(index.digest)
    expect(await rig.reconciler.steering.plan('authz', null, signal)).toMatchObject([{ does: 'repeat' }])
  })

  it('fails at its place with what the store says, and is tried again', async () => {
    const place = new ScriptedPlace()
    const { digest } = await store.push('one')
    const down = new RemoteError('unavailable', 'the registry is down', { host: 'test', retryable: true })
    store.opening = down
    await configure({ places: [place.spec()] })
    await look()
    await until(() => status().deployments[0]?.state === 'failed')
    expect(status().deployments[0]).toMatchObject({ lastError: 'the registry is down', attempts: 1 })
    store.opening = undefined
    await rig.clock.advance(10_000)
    await until(() => place.holds === digest)
  })

  it('goes to a registry with its members, without a byte being kept here', async () => {
    const index = await pushIndex('v1')
    const target = new MemoryRepository('registry.test/web')
    const config = ociDeployerSchema.parse({ type: 'oci', repository: target.name })
    const registries = { repository: () => target }
    const deployer = createDeployer(config, {
      registries,
      logger: silentLogger,
      redactor: new Redactor(),
      clock: systemClock,
    })
    const place = new ScriptedPlace().spec({ deployer })
    await configure({ follow: { tag: 'v1' }, places: [place] })
    await look()
    await until(() => status().deployments[0]?.state === 'done')
    expect(target.tagged).toEqual(
      new Map([
        ['latest', index.digest],
        ['v1', index.digest],
      ]),
    )
    expect([...target.blobs.keys()]).toEqual([...store.repository.blobs.keys()])
    expect(await kept()).toEqual({ repositories: [], tags: [] })
  })
})
