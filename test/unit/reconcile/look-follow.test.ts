import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RemoteError } from '../../../src/lib/errors.ts'
import type { Follow } from '../../../src/model/follow.ts'
import type { BundleSpec } from '../../../src/reconcile/types.ts'
import { imageOf } from '../../support/repository.ts'
import { openRig, ScriptedStore, specOf, until, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
})
afterEach(() => rig.close())

const caret: Follow = { semver: '^1', prerelease: false }
const look = () => rig.reconciler.look('authz', 'request')
const configure = (follow: Follow, more: Partial<BundleSpec> = {}) =>
  rig.reconciler.configure([specOf(more.store ?? store, { follow, ...more })])
const released = () => rig.released.map(({ version, reason }) => [version, reason])
/** What was asked of the store since the last time. */
const asked = () => store.repository.log.splice(0).filter((call) => !/^(putManifest|putBlob)/.test(call))

describe('a look that chooses', () => {
  it('takes the best there is, and asks only for that', async () => {
    for (const tag of ['v1.0.0', 'v1.1.0', 'v2.0.0-rc.1', 'v2.0.0', 'junk']) await store.push(`policy ${tag}`, tag)
    await configure(caret)
    asked()
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.1.0' })
    expect(asked().filter((call) => call.startsWith('head v'))).toEqual(['head v1.1.0'])
    expect(await look()).toMatchObject({ outcome: 'unchanged', version: 'v1.1.0' })
    expect(asked()).toEqual(['head v1.1.0'])
    expect(store.lists).toBe(2)
  })

  it('follows new versions, and tags that move', async () => {
    await configure(caret)
    for (const [tag, text] of [
      ['v1.0.0', 'a'],
      ['v1.1.0', 'b'],
      ['v1.0.1', 'c'],
      ['v1.1.0', 'd'],
      ['1.1.0', 'd'],
    ] as const) {
      await store.push(text, tag)
      await look()
    }
    expect(released()).toEqual([
      ['v1.0.0', 'first'],
      ['v1.1.0', 'changed'],
      ['v1.1.0', 'changed'],
      ['1.1.0', 'same content, other version'],
    ])
  })

  it('asks for no list where a tag is followed by its name', async () => {
    await store.push('policy')
    await configure({ tag: 'latest' })
    await look()
    expect(store.lists).toBe(0)
  })

  it('takes the next best where the best vanishes after it was listed', async () => {
    for (const tag of ['1.0.0', '1.1.0']) await store.push(tag, tag)
    store.repository.tags = async function* () {
      yield* ['1.0.0', '1.1.0', '1.2.0']
    }
    await configure(caret)
    asked()
    expect(await look()).toMatchObject({ outcome: 'released', version: '1.1.0' })
    expect(asked().slice(0, 2)).toEqual(['head 1.2.0', 'head 1.1.0'])
  })

  it('gives up on a list of what is not there', async () => {
    store.repository.tags = async function* () {
      for (let minor = 0; minor < 100; minor++) yield `1.${minor}.0`
    }
    await configure(caret)
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'protocol' })
    expect(asked()).toHaveLength(21)
  })

  it('fails where nothing counts', async () => {
    await store.push('policy', 'v2.0.0')
    await configure(caret)
    expect(await look()).toMatchObject({
      outcome: 'failed',
      code: 'not_found',
      message: 'test/policies has nothing for semver ^1',
    })
    expect(rig.reconciler.status('authz')).toMatchObject([{ follow: 'semver ^1', health: 'empty' }])
  })
})

describe('a version that is gone', () => {
  beforeEach(async () => {
    for (const tag of ['v1.0.0', 'v1.1.0']) await store.push(`policy ${tag}`, tag)
    await configure(caret)
    await look()
    await store.repository.deleteTag('v1.1.0')
    asked()
  })

  it('stays where only older ones are left, and the status says so', async () => {
    const held = { outcome: 'refused', code: 'step_down', version: 'v1.0.0', fingerprint: null, failures: 0 }
    expect(await look()).toMatchObject(held)
    expect(asked()).toEqual([])
    const [status] = rig.reconciler.status('authz')
    expect(status).toMatchObject({ health: 'stale', current: { version: 'v1.1.0' }, look: held })
    expect(status!.look!.message).toContain('v1.1.0 is gone from test/policies, and v1.0.0 is older')
    expect(rig.released).toHaveLength(1)
    // Still so after a restart.
    await rig.close()
    rig = await openRig({ folder: rig.folder, clock: rig.clock })
    await configure(caret)
    expect(await look()).toMatchObject(held)
  })

  it('gives way to a newer one, and to itself', async () => {
    await look()
    await store.push('policy v1.1.0', 'v1.1.0')
    expect(await look()).toMatchObject({ outcome: 'unchanged', version: 'v1.1.0' })
    await store.repository.deleteTag('v1.1.0')
    await store.push('policy', 'v1.1.1')
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.1.1' })
  })

  it('gives way to an older one where that is allowed', async () => {
    await look()
    await configure(caret, { allowDowngrade: true })
    await until(() => rig.released.length === 2)
    expect(rig.released[1]).toMatchObject({ version: 'v1.0.0' })
  })

  it('gives way where the config follows something else from now on', async () => {
    await configure({ semver: '*', prerelease: false })
    await until(() => rig.released.length === 2)
    expect(rig.released[1]).toMatchObject({ version: 'v1.0.0' })
  })

  it('gives way where the config names another store', async () => {
    const other = new ScriptedStore('test/other')
    await other.push('other', 'v1.0.5')
    await configure(caret, { store: other })
    await until(() => rig.released.length === 2)
    expect(rig.released[1]).toMatchObject({ version: 'v1.0.5' })
  })
})

describe('over a restart', () => {
  const restart = async (follow: Follow, more: Partial<BundleSpec> = {}) => {
    const { folder, clock } = rig
    await rig.close()
    rig = await openRig({ folder, clock })
    await configure(follow, { schedule: { kind: 'off' }, ...more })
  }
  const said = { by: 'ann', reason: '' }

  beforeEach(async () => {
    await store.push('policy v1.0.0', 'v1.0.0')
    await store.push('policy v1.1.0', 'v1.1.0')
    await configure(caret, { schedule: { kind: 'off' } })
    await look()
    await store.repository.deleteTag('v1.1.0')
  })

  it('never steps down by itself', async () => {
    await restart(caret)
    expect(await look()).toMatchObject({ outcome: 'refused', code: 'step_down' })
    await restart(caret)
    expect(await look()).toMatchObject({ outcome: 'refused', code: 'step_down' })
  })

  it('gives way where the config follows something else since', async () => {
    await restart({ semver: '*', prerelease: false })
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.0.0' })
  })

  it('gives way where the config names another store since', async () => {
    const other = new ScriptedStore('test/other')
    await other.push('other', 'v1.0.5')
    await restart(caret, { store: other })
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.0.5' })
  })

  it('gives way where a person took a pin off whose look failed', async () => {
    await store.push('policy v1.2.0', 'v1.2.0')
    await rig.reconciler.steering.pin('authz', { tag: 'v1.2.0' }, said, AbortSignal.timeout(5000))
    await store.repository.deleteTag('v1.2.0')
    const versions = store.versions.bind(store)
    store.versions = () => Promise.reject(new RemoteError('unavailable', 'it is down', { host: 'test' }))
    expect(await rig.reconciler.steering.unpin('authz', said)).toMatchObject({ look: { outcome: 'failed' } })
    await restart(caret)
    expect(await look()).toMatchObject({ outcome: 'failed' })
    await restart(caret)
    store.versions = versions
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.0.0' })
    await store.repository.deleteTag('v1.0.0')
    await store.push('policy v0.9.0', 'v1.0.0-rc.1')
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'not_found' })
  })

  it('takes what is there for found once the new wish was looked at', async () => {
    await store.push('policy v1.2.0', 'v1.2.0')
    const any: Follow = { semver: '*', prerelease: false }
    await restart(any)
    expect(await look()).toMatchObject({ outcome: 'released', version: 'v1.2.0' })
    await store.repository.deleteTag('v1.2.0')
    await restart(any)
    expect(await look()).toMatchObject({ outcome: 'refused', code: 'step_down' })
  })
})

describe('an order by time', () => {
  const byTime: Follow = { pattern: '^m-', order: 'created' }
  const created = 'org.opencontainers.image.created'
  const push = (tag: string, at: string) =>
    imageOf(store.repository, [`policy ${tag}`], { tags: [tag], annotations: { [created]: at } })

  it('asks each that matches when it was made, once for each digest', async () => {
    await push('m-b', '2024-06-01T00:00:00Z')
    await push('m-a', '2024-06-02T00:00:00Z')
    await push('x', '2030-01-01T00:00:00Z')
    await imageOf(store.repository, ['no time'], { tags: ['m-c'] })
    await configure(byTime)
    asked()
    expect(await look()).toMatchObject({ outcome: 'released', version: 'm-a' })
    expect(asked().some((call) => call.endsWith(' x'))).toBe(false)
    expect(await look()).toMatchObject({ outcome: 'unchanged' })
    expect(asked().sort()).toEqual(['head m-a', 'head m-a', 'head m-b', 'head m-c'])
  })

  it('does not step down: what ran says of itself when it was made', async () => {
    await push('m-b', '2024-06-01T00:00:00Z')
    await push('m-a', '2024-06-02T00:00:00Z')
    await configure(byTime)
    await look()
    await store.repository.deleteManifest(store.repository.tagged.get('m-a')!)
    expect(await look()).toMatchObject({ outcome: 'refused', code: 'step_down', version: 'm-b' })
  })

  it('does not ask thousands', async () => {
    store.repository.tags = async function* () {
      for (let at = 0; at < 1001; at++) yield `m-${at}`
    }
    await configure(byTime)
    expect(await look()).toMatchObject({ outcome: 'failed', code: 'unsupported' })
    expect(asked()).toEqual([])
  })
})

describe('a push to the built-in registry', () => {
  it.each<[string, Follow, string | null, boolean]>([
    ['of any tag starts a look where a range is followed', caret, 'v9', true],
    ['of any tag starts a look where a pattern is followed', { pattern: 'x', order: 'numeric' }, 'v9', true],
    ['without a tag does not', caret, null, false],
    ['of another tag does not where one is followed by name', { tag: 'latest' }, 'v9', false],
  ])('%s', async (_what, follow, tag, starts) => {
    const local: typeof store = Object.assign(store, { watches: 'policies/authz' })
    const pushed = await store.push('policy')
    await configure(follow, { store: local })
    await look()
    const before = store.resolves + store.lists
    rig.reconciler.repositoryChanged({ repository: 'policies/authz', action: 'push', tag, digest: pushed.digest })
    // Closing waits for what is under way.
    await rig.reconciler.close()
    expect(store.resolves + store.lists > before).toBe(starts)
  })
})
