// A thousand cases of each property; the same ones each time: what is random is for scripts/fuzz.ts.
import fc from 'fast-check'
import { it } from 'vitest'
import type { Group } from './property.ts'

const cases = 1000
const seed = 20_261_121

export function test({ properties }: Group): void {
  it.each(properties)('$name', async ({ property }) => {
    await fc.assert(property, { numRuns: cases, seed })
  })
}
