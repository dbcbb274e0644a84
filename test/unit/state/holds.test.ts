import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { draft, manifestRow, openInProcess } from './open.ts'

let state: Awaited<ReturnType<typeof openInProcess>>

beforeEach(async () => {
  state = await openInProcess()
})

afterEach(() => state.close())

describe('holds', () => {
  it('are by bundle, with the time and the reason of the first', async () => {
    await state.holds.hold(['b', 'a'], 'first', 1)
    await state.holds.hold(['b', 'c'], 'second', 2)
    expect(await state.holds.list()).toEqual([
      { bundle: 'a', at: 1, reason: 'first' },
      { bundle: 'b', at: 1, reason: 'first' },
      { bundle: 'c', at: 2, reason: 'second' },
    ])
  })

  it('end for one or for all', async () => {
    await state.holds.hold(['c', 'a', 'b'], 'why', 1)
    expect(await state.holds.resume('b')).toEqual(['b'])
    expect(await state.holds.resume('b')).toEqual([])
    expect(await state.holds.resume()).toEqual(['a', 'c'])
    expect(await state.holds.list()).toEqual([])
  })
})

describe('adopting', () => {
  it('makes the first release, once', async () => {
    await state.catalog.putManifest('bundles/authz', manifestRow('a'), [], ['latest'], 1)
    await state.bundles.adopt(draft('a'), 5)
    await state.bundles.adopt(draft('b'), 6)
    expect(await state.bundles.current()).toEqual([{ ...draft('a'), number: 1, activatedAt: 5, kept: true }])
    expect(await state.bundles.releases('authz', 9)).toHaveLength(1)
  })

  it('is gone on from', async () => {
    for (const name of ['a', 'b']) await state.catalog.putManifest('bundles/authz', manifestRow(name), [], [], 1)
    await state.bundles.adopt(draft('a'), 5)
    const memo = { bundle: 'authz', fingerprint: 'f', recipe: 'r' }
    const context = { tags: ['latest'], memo, places: [], keep: 10, at: 6 }
    expect((await state.bundles.append(draft('b'), context)).number).toBe(2)
    expect((await state.bundles.releaseByDigest('authz', digestOf('a')))?.number).toBe(1)
  })
})
