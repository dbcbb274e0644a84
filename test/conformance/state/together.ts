import { describe, expect, it } from 'vitest'
import { access } from '../../../src/state/operations/operation.ts'
import type { State } from '../../../src/state/state.ts'
import { tempDir } from '../../support/temp.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { draft, manifestRow } from '../../unit/state/open.ts'
import type { OpenState } from './open.ts'

const memo = { bundle: 'authz', fingerprint: 'f', recipe: 'r' }
const context = { tags: ['latest'], memo, places: [], keep: 10, at: 5 }

/** What holds for the state as a whole. `reopen` closes it and opens the same again. */
export function testTogether(open: OpenState, reopen: (state: State) => Promise<State>): void {
  describe('many at once', () => {
    it('hold, and one that fails fails alone', async () => {
      const state = await open()
      const [failed, ...others] = await Promise.allSettled([
        state.bundles.append(draft('not in the catalog'), context),
        ...Array.from({ length: 150 }, (_, at) => state.facts.set(`k${at}`, 'v')),
      ])
      expect(failed.status).toBe('rejected')
      expect(others.filter(({ status }) => status === 'fulfilled')).toHaveLength(150)
      expect(await state.facts.get('k149')).toBe('v')
      await state.close()
    })

    it('are done in the order in which they were asked for', async () => {
      const state = await open()
      await Promise.all(Array.from({ length: 150 }, (_, at) => state.facts.set('k', `${at}`)))
      expect(await state.facts.get('k')).toBe('149')
      const words = Array.from({ length: 20 }, (_, at) => ({ by: `${at}`, at, reason: '' }))
      await Promise.all(words.map((word) => state.decisions.hold([`b${word.by}`], word)))
      expect((await state.events.after(0, 99)).map(({ by }) => by)).toEqual(words.map(({ by }) => by))
      await state.close()
    })

    it('see each write whole, and what was answered always', async () => {
      const state = await open()
      let isOver = false
      const writing = (async () => {
        for (let at = 0; at < 40; at++) {
          const name = `${at % 2}`
          await state.catalog.putManifest('bundles/authz', manifestRow(name), [], [], 1)
          await state.bundles.append(draft(name, { version: `${at}` }), context)
          expect((await state.bundles.releases('authz', 1))[0]!.version).toBe(`${at}`)
        }
        isOver = true
      })()
      while (!isOver) {
        const [releases, current] = [await state.bundles.releases('authz', 99), await state.bundles.current()]
        expect(releases.map(({ number }) => number)).toEqual(releases.map((_, at) => releases.length - at))
        expect(current[0]?.number ?? 0).toBeGreaterThanOrEqual(releases.length)
      }
      await writing
      await state.close()
    })
  })

  describe('the end', () => {
    it('comes after what was asked before, and refuses what is asked after', async () => {
      const state = await open()
      const asked = state.facts.set('k', 'v').then(() => state.facts.get('k').catch((error: unknown) => error))
      await Promise.all([state.close(), state.close()])
      expect(await asked).toMatchObject({ name: 'StorageError', code: 'io' })
    })

    it('loses nothing', async () => {
      const state = await open()
      await state.catalog.putManifest('bundles/authz', manifestRow('m'), [], [], 1)
      await state.bundles.append(draft('m'), { ...context, places: ['prod'] })
      await state.facts.set('k', 'v')
      const again = await reopen(state)
      expect(await again.facts.get('k')).toBe('v')
      expect(await again.facts.get('none')).toBeUndefined()
      expect(await again.bundles.current()).toMatchObject([{ bundle: 'authz', number: 1 }])
      expect(await again.catalog.manifest('bundles/authz', 'latest')).toEqual(manifestRow('m'))
      expect(await again.deployments.list()).toMatchObject([{ place: 'prod', desired: 1 }])
      await again.close()
    })
  })

  describe('a snapshot', () => {
    it('has every digest as it was then', async () => {
      const state = await open()
      await state.catalog.addBlob('r', { digest: digestOf('blob'), size: 4 }, 1)
      await state.catalog.putManifest('r', manifestRow('m'), [], ['latest'], 1)
      await state.decisions.hold(['authz'], { by: 'ann', at: 1, reason: '' })
      const snapshot = await state.snapshot(`${tempDir('snapshot')}/state.db`)
      await state.catalog.addBlob('r', { digest: digestOf('later'), size: 5 }, 1)
      const digests = [
        { digest: digestOf('blob'), size: 4 },
        { digest: digestOf('m'), size: 1 },
      ].sort((one, other) => (one.digest < other.digest ? -1 : 1))
      expect(await snapshot.digests({ limit: 10 })).toEqual(digests)
      snapshot.close()
      await state.close()
    })
  })

  it('who has it may act', async () => {
    const state = await open()
    await state.lease.check()
    await state.close()
  })

  it('has every operation that there is', async () => {
    const state = await open()
    for (const [group, methods] of Object.entries(access)) {
      expect(Object.keys(state[group as keyof typeof access]).sort(), group).toEqual(Object.keys(methods).sort())
    }
    await state.close()
  })
}
