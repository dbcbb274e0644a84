import fc from '../../support/fast-check.ts'
import { describe, expect, it } from 'vitest'
import { tempDir } from '../../support/temp.ts'
import { waitFor } from '../../support/wait.ts'
import { down, openRig, ScriptedPlace, ScriptedStore, specOf, type Rig } from './rig.ts'

const step = fc.oneof(
  fc.record({ do: fc.constant('push' as const), text: fc.constantFrom('a', 'b', 'c', 'pack a', 'refuse') }),
  fc.record({ do: fc.constantFrom('look' as const, 'restart' as const, 'recipe' as const, 'untag' as const) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 5000 }) }),
  fc.record({ do: fc.constantFrom('storeFails' as const, 'fetchFails' as const, 'placeFails' as const) }),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

const schedule = { kind: 'interval', minMs: 1000, maxMs: 3000 } as const

/** What was pushed, taken, restarted and broken, in any order: in the end there is one truth. */
class World {
  readonly folder = tempDir('converge')
  readonly store = new ScriptedStore()
  readonly place = new ScriptedPlace()
  rig!: Rig
  #recipe = 0

  async open(): Promise<void> {
    this.rig = await openRig({ folder: this.folder })
    await this.configure()
  }

  async configure(): Promise<void> {
    const places = [this.place.spec()]
    await this.rig.reconciler.configure([specOf(this.store, { schedule, places, recipe: `r${this.#recipe}` })])
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'push') await this.store.push(step.text)
    else if (step.do === 'untag') this.store.repository.tagged.delete('latest')
    else if (step.do === 'wait') await this.rig.clock.advance(step.ms)
    else if (step.do === 'look') void this.rig.reconciler.look('authz', 'request').catch(() => undefined)
    else if (step.do === 'storeFails') this.store.failures.push(down())
    else if (step.do === 'fetchFails') this.store.fetchFailures.push(down())
    else if (step.do === 'placeFails') this.place.failures.push(down())
    else if (step.do === 'recipe') {
      this.#recipe += 1
      await this.configure()
    } else {
      await this.rig.close()
      await this.open()
    }
  }

  /** Nothing fails any more, and time passes. */
  async rest(): Promise<void> {
    this.store.failures = []
    this.store.fetchFailures = []
    this.place.failures = []
    await this.rig.reconciler.look('authz', 'request')
    await waitFor(
      'rest',
      async () => {
        await this.rig.clock.advance(60_000)
        // The next is due so soon that one is always under way, where files take their time.
        await this.rig.reconciler.look('authz', 'request')
        return this.isAtRest()
      },
      { intervalMs: 1 },
    )
  }

  isAtRest(): boolean {
    const { current, deployments, looking } = this.rig.reconciler.status('authz')[0]!
    if (looking) return false
    return current === null || deployments[0]?.state === 'done'
  }
}

describe('whatever happens', () => {
  it('what is served is what is followed, or the last that was good, and it is at the place', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 15 }), async (steps) => {
        const world = new World()
        await world.open()
        try {
          for (const step of steps) await world.take(step)
          await world.rest()
          await check(world)
        } finally {
          await world.rig.close()
        }
      }),
      { numRuns: 40, endOnFailure: true },
    )
  })
})

async function check({ rig, store, place }: World): Promise<void> {
  const { current, look } = rig.reconciler.status('authz')[0]!
  const followed = store.repository.tagged.get('latest')
  const history = (await rig.state.bundles.releases('authz', 1000)).toReversed()
  expect(history.map(({ number }) => number)).toEqual(history.map((_, at) => at + 1))
  expect(history.at(-1)?.number ?? null).toBe(current?.number ?? null)
  for (const [at, release] of history.entries()) {
    const before = history[at - 1]
    expect([release.bundleDigest, release.manifestDigest]).not.toEqual([before?.bundleDigest, before?.manifestDigest])
  }
  if (followed === undefined) expect(look?.outcome).toBe('failed')
  else if (look?.outcome !== 'refused') expect(await sourceOf(rig, current!.number)).toBe(followed)
  expect(await rig.registry.repository('bundles/authz').head('latest')).toEqual(
    current === null ? undefined : expect.objectContaining({ digest: current.manifestDigest }),
  )
  expect(place.holds).toBe(current?.manifestDigest ?? place.holds)
}

async function sourceOf(rig: Rig, number: number): Promise<string | undefined> {
  return (await rig.state.bundles.release('authz', number))?.sourceDigest
}
