import { isBuiltin } from 'node:module'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { collectAll, keepTrimmed, trimAllocator } from '../../../src/lib/heap.ts'
import { FakeClock } from '../../support/clock.ts'

it('collects what nobody holds', async () => {
  const weak = new WeakRef({ bytes: new Array<number>(1_000) })
  await turn()
  expect(weak.deref()).toBeDefined()
  await turn()
  collectAll()
  expect(weak.deref()).toBeUndefined()
})

it('gives back what C has free, without a warning, or says that it cannot', async () => {
  const warnings: Error[] = []
  process.on('warning', (warning) => warnings.push(warning))
  const kept = leaveHoles()
  await turn()
  collectAll()
  const before = process.memoryUsage.rss()
  const isTrimmed = trimAllocator()
  const freed = before - process.memoryUsage.rss()
  expect(kept).toHaveLength(400)
  const isGlibc = 'glibcVersionRuntime' in (process.report.getReport() as { header: object }).header
  expect(isTrimmed).toBe(isGlibc && isBuiltin('node:ffi'))
  if (isTrimmed) expect(freed).toBeGreaterThan(50_000_000)
  await turn()
  expect(warnings).toEqual([])
})

it('gives back what is free once a minute', async () => {
  const clock = new FakeClock()
  let times = 0
  keepTrimmed(clock, () => times++)
  expect(times).toBe(0)
  for (const minute of [1, 2, 3]) {
    await clock.advance(60_000)
    expect(times).toBe(minute)
  }
})

/** Frees 160 MB in pieces too small for a mapping of their own; what it keeps stops the rest from being given back by itself. */
function leaveHoles(): Buffer[] {
  const pieces = Array.from({ length: 40_000 }, () => Buffer.allocUnsafeSlow(4_000).fill(1))
  return pieces.filter((_, at) => at % 100 === 0)
}
