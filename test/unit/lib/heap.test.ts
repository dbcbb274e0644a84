import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')
const flagsOf = (text: string) => [...text.matchAll(/'(--[a-z-]+)=(\d+)'/g)].map(([, name, value]) => ({ name, value }))

it('lets go of every flag that a start holds, with another value', () => {
  const [hold, usual] = read('src/lib/heap.ts').split('function endStart')
  const held = [...flagsOf(read('bin/longshore.js')), ...flagsOf(hold!)]
  const after = flagsOf(usual!)
  expect(held).toHaveLength(3)
  expect(after.map(({ name }) => name).sort()).toEqual(held.map(({ name }) => name).sort())
  for (const { name, value } of held) expect(after).not.toContainEqual({ name, value })
})
