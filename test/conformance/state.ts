import { describe, expect, it } from 'vitest'
import { access } from '../../src/state/operations/operation.ts'
import type { State } from '../../src/state/state.ts'
import { testBundles } from './state/bundles.ts'
import { testCatalog } from './state/catalog.ts'
import { testCollection } from './state/collection.ts'
import { testDecisions } from './state/decisions.ts'
import type { OpenState } from './state/open.ts'
import { testOutbox } from './state/outbox.ts'
import { testPlacements } from './state/placements.ts'
import { testSteering } from './state/steering.ts'
import { testTogether } from './state/together.ts'

export interface StateUnderTest {
  /** A new and empty one each time, of which several may be open. */
  open: OpenState
  /** The same as it is in a server, where `open` leaves out a part that takes long to start. */
  openWhole?: OpenState
  /** Closes what `openWhole` gave, and opens it again. */
  reopen: (state: State) => Promise<State>
}

/** What every state promises, operation by operation. */
export function testState(kind: string, { open, openWhole = open, reopen }: StateUnderTest): void {
  const asked = new Set<string>()
  const watched: OpenState = async () => watch(await open(), asked)

  describe(`state ${kind}`, () => {
    describe('together', () => testTogether(openWhole, reopen))
    describe('catalog', () => testCatalog(watched))
    describe('bundles', () => testBundles(watched))
    describe('decisions', () => testDecisions(watched))
    describe('steering', () => testSteering(watched))
    describe('placements', () => testPlacements(watched))
    describe('outbox', () => testOutbox(watched))
    describe('collection', () => testCollection(watched))

    const all = Object.entries(access).flatMap(([group, methods]) =>
      Object.keys(methods).map((method) => `${group}.${method}`),
    )
    it('and each operation was asked here', () => {
      expect(all.filter((name) => !asked.has(name))).toEqual([])
    })
  })
}

/** Notes which operations are asked. */
function watch(state: State, asked: Set<string>): State {
  const parts = Object.entries(access).map(([group, methods]) => {
    const part = state[group as keyof typeof access] as unknown as Record<string, (...args: unknown[]) => unknown>
    const noted = Object.keys(methods).map((method) => [
      method,
      (...args: unknown[]) => {
        asked.add(`${group}.${method}`)
        return part[method]!(...args)
      },
    ])
    return [group, Object.fromEntries(noted)] as const
  })
  return { ...state, ...Object.fromEntries(parts) }
}
