import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PinTo } from '../../../src/model/decision.ts'
import { openRig, ScriptedStore, specOf, type Rig } from './rig.ts'

let rig: Rig
let store: ScriptedStore
const schedule = { kind: 'off' } as const
const said = { by: 'ann', reason: 'because' }
const { signal } = new AbortController()

beforeEach(async () => {
  rig = await openRig()
  store = new ScriptedStore()
})

afterEach(() => rig.close())

const status = () => rig.reconciler.status('authz')[0]!
const steering = () => rig.reconciler.steering
const pin = (to: PinTo) => steering().pin('authz', to, said, signal)
const configure = () => rig.reconciler.configure([specOf(store, { schedule })])
const look = () => rig.reconciler.look('authz', 'request')

async function release(text: string, tag?: string) {
  const { digest } = await store.push(text, tag)
  await look()
  return digest
}

async function restart(): Promise<void> {
  const { folder, clock } = rig
  await rig.close()
  rig = await openRig({ folder, clock })
  await configure()
  await look()
}

describe('a tag pin', () => {
  it('goes before follow, wherever the tag moves, over restarts and reloads, until it is taken off', async () => {
    await configure()
    await release('one')
    await store.push('old', 'v1')
    expect(await pin({ tag: 'v1' })).toMatchObject({ to: { tag: 'v1' }, look: { outcome: 'released', version: 'v1' } })
    expect(status()).toMatchObject({
      follow: 'latest',
      pin: { to: { tag: 'v1' }, ...said },
      current: { version: 'v1' },
    })
    await release('two')
    expect(status().current).toMatchObject({ number: 2, version: 'v1' })
    await restart()
    await configure()
    expect(status().current).toMatchObject({ number: 2, version: 'v1' })
    await release('moved', 'v1')
    expect(status().current).toMatchObject({ number: 3, version: 'v1' })
    expect(await steering().unpin('authz', said)).toMatchObject({
      wasPinned: true,
      look: { outcome: 'released', version: 'latest' },
    })
    expect(status()).toMatchObject({ pin: null, current: { number: 4, version: 'latest' } })
  })

  it('to what the store does not have is refused, and nothing is changed', async () => {
    await configure()
    await release('one')
    await expect(pin({ tag: 'v9' })).rejects.toMatchObject({ name: 'ConfigError', code: 'no_version' })
    expect(status()).toMatchObject({ pin: null, current: { number: 1 } })
    expect((await rig.state.decisions.all()).pins).toEqual([])
  })

  it('of a push to it is taken up at once where the store watches for pushes', async () => {
    Object.assign(store, { watches: 'policies/authz' })
    await configure()
    await release('one')
    await store.push('old', 'v1')
    await pin({ tag: 'v1' })
    const { digest } = await store.push('newer', 'v1')
    const looked = rig.looked.length
    rig.reconciler.repositoryChanged({ action: 'push', repository: 'policies/authz', tag: 'latest', digest })
    rig.reconciler.repositoryChanged({ action: 'push', repository: 'policies/authz', tag: 'v1', digest })
    await look()
    expect(rig.looked.length - looked).toBeLessThanOrEqual(2)
    expect(status().current).toMatchObject({ version: 'v1', number: 3 })
  })
})

describe('a release pin', () => {
  it('is frozen, keeps its version, and needs nothing of the store any more', async () => {
    await configure()
    const first = await release('one')
    await release('two')
    await release('three')
    await store.repository.deleteManifest(first)
    expect(await pin({ release: 1 })).toMatchObject({ look: { outcome: 'released' } })
    expect(status().current).toMatchObject({
      ...{ number: 4, manifestDigest: rig.released[0]!.manifestDigest, version: rig.released[0]!.version },
    })
    await release('four')
    expect(status().current!.number).toBe(4)
    await restart()
    expect(status().current!.number).toBe(4)
    await steering().unpin('authz', said)
    expect(status().current).toMatchObject({ number: 5, version: 'latest' })
  })

  it('is what a digest becomes that a release has', async () => {
    await configure()
    await release('one')
    await release('two')
    const { bundleDigest } = rig.released[0]!
    expect(await pin({ digest: bundleDigest! })).toMatchObject({ to: { release: 1 } })
  })

  it('to a number that never was is refused', async () => {
    await configure()
    await release('one')
    await expect(pin({ release: 9 })).rejects.toMatchObject({ code: 'no_release' })
    expect(status().pin).toBeNull()
  })
})

describe('a rollback', () => {
  it('goes to the newest release before that had another content', async () => {
    await configure()
    await release('one')
    await release('two')
    expect(await steering().rollback('authz', null, said, signal)).toMatchObject({ to: { release: 1 } })
    expect(status().current).toMatchObject({ number: 3, manifestDigest: rig.released[0]!.manifestDigest })
    // Back once more is what was left: release 2 is the newest that is another.
    expect(await steering().rollback('authz', null, said, signal)).toMatchObject({ to: { release: 2 } })
    expect(status().current).toMatchObject({ number: 4, manifestDigest: rig.released[1]!.manifestDigest })
  })

  it('to a release by its number is a pin to it', async () => {
    await configure()
    for (const text of ['one', 'two', 'three']) await release(text)
    await steering().rollback('authz', 1, said, signal)
    expect(status()).toMatchObject({ pin: { to: { release: 1 } }, current: { number: 4 } })
  })

  it('is refused where there is none', async () => {
    await configure()
    await release('one')
    await expect(steering().rollback('authz', null, said, signal)).rejects.toMatchObject({
      code: 'no_release',
      message: 'no release of authz before 1 has another content to go back to',
    })
  })
})
