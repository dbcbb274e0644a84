import { join } from 'node:path'
import { expect, test } from 'vitest'
import { execOk } from '../../support/exec.ts'

const lib = join(import.meta.dirname, '../../../src/lib')

/** In a process of its own: whether V8 took something for fast before depends on all that ran there. */
async function ticksAfterCollection(prepare: string): Promise<string> {
  const program = `
    import { keepTicksFast } from '${lib}/ticks.ts'
    import { collectAll } from '${lib}/heap.ts'
    const nothing = () => undefined
    async function ticks() {
      for (let count = 0; count < 1_000; count++) process.nextTick(nothing)
      await new Promise((resolve) => setImmediate(resolve))
    }
    ${prepare}
    while (!%ActiveTierIsTurbofan(process.nextTick)) await ticks()
    collectAll()
    console.log(%ActiveTierIsTurbofan(process.nextTick) ? 'fast' : 'slow')`
  const args = ['--allow-natives-syntax', '--input-type=module', '--eval', program]
  return (await execOk(process.execPath, args)).stdout.trim()
}

test('what V8 made of process.nextTick outlives a collection of all garbage', async () => {
  expect(await ticksAfterCollection('keepTicksFast()')).toBe('fast')
  expect(await ticksAfterCollection('')).toBe('slow')
})
