import fc from '../support/fast-check.ts'
import { expect, it } from 'vitest'
import { history, live } from './deployments.ts'

it('at rest, what runs is what the policy says, and nothing ran that it never said', async () => {
  const taken: Record<string, number> = {}
  const property = fc.asyncProperty(history, async (steps) => {
    const world = await live(steps)
    for (const [what, count] of Object.entries(world.taken)) taken[what] = (taken[what] ?? 0) + count
  })
  // The shortest history takes longer than a test may: `node scripts/model-deployments.ts 250 SEED` finds it.
  await fc.assert(property, { numRuns: 250, endOnFailure: true })
  // Each kind of step, many times.
  expect(Object.keys(taken)).toHaveLength(24)
  expect(Math.min(...Object.values(taken))).toBeGreaterThan(20)
})
