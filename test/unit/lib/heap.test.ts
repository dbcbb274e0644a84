import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { collectAll } from '../../../src/lib/heap.ts'

it('collects what nobody holds', async () => {
  const weak = new WeakRef({ bytes: new Array<number>(1_000) })
  await turn()
  expect(weak.deref()).toBeDefined()
  await turn()
  collectAll()
  expect(weak.deref()).toBeUndefined()
})
