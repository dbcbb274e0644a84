import { expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'

it('takes a moment that is past as now, without a warning', async () => {
  const warnings: Error[] = []
  const listen = (warning: Error) => warnings.push(warning)
  process.on('warning', listen)
  await new Promise<void>((resolve) => systemClock.after(-0.5, resolve))
  await systemClock.sleep(-1)
  process.off('warning', listen)
  expect(warnings).toEqual([])
})

it('wakes a sleeper that is no longer wanted', async () => {
  const stop = new AbortController()
  const sleeping = systemClock.sleep(60_000, stop.signal)
  stop.abort(new Error('enough'))
  await expect(sleeping).rejects.toThrow('enough')
})
