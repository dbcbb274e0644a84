import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { collectAll } from '../../../src/lib/heap.ts'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const flagsOf = (text: string) => [...text.matchAll(/'(--[a-z-]+)=(\d+)'/g)].map(([, name, value]) => ({ name, value }))

it('lets go of every flag that a start holds, with another value', () => {
  const [hold, usual] = read('src/lib/heap.ts').split('const usual')
  const held = [...flagsOf(read('bin/longshore.js')), ...flagsOf(hold!)]
  const after = flagsOf(usual!)
  expect(held).toHaveLength(3)
  expect(after.map(({ name }) => name).sort()).toEqual(held.map(({ name }) => name).sort())
  for (const { name, value } of held) expect(after).not.toContainEqual({ name, value })
})

it('collects what nobody holds', async () => {
  const weak = new WeakRef({ bytes: new Array<number>(1_000) })
  await turn()
  expect(weak.deref()).toBeDefined()
  await turn()
  collectAll()
  expect(weak.deref()).toBeUndefined()
})
