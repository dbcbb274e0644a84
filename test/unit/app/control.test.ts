import { describe, expect, it } from 'vitest'
import { createControl, type ControlOptions } from '../../../src/app/control.ts'
import type { BundleStatus } from '../../../src/model/status.ts'
import { FakeClock } from '../../support/clock.ts'

function control(statuses: Partial<BundleStatus>[], more: { clock?: FakeClock; settled?: Promise<void> } = {}) {
  const parts = {
    reconciler: { status: () => statuses },
    serving: { settled: () => more.settled ?? Promise.resolve() },
    clock: more.clock ?? new FakeClock(),
    readyTimeoutMs: 1000,
  }
  return createControl(parts as unknown as ControlOptions)
}

const unseen = { name: 'authz', current: null, look: null }

describe('being ready', () => {
  it('names what nobody looked at yet', async () => {
    expect(await control([unseen]).unready()).toEqual(['authz has no release and has not been looked at yet'])
  })

  it('does not wait for ever', async () => {
    const clock = new FakeClock()
    const asked = control([unseen], { clock })
    await clock.advance(1000)
    expect(await asked.unready()).toEqual([])
  })

  it.each(['status', 'unready'] as const)('%s is told only once what was released is served', async (what) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let told = false
    const asking = control([], { settled: promise })[what]()
    const released = control([{ name: 'authz', current: {} as never, look: null }], { settled: promise })
    const waiting = released[what]().then(() => (told = true))
    await asking
    expect(told).toBe(false)
    resolve()
    await waiting
    expect(told).toBe(true)
  })
})
