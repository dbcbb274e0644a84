import { describe, expect, it } from 'vitest'
import { HostState } from '../../../src/oci/host-state.ts'
import { defaultLimits } from '../../../src/oci/limits.ts'
import { FakeClock } from '../../support/clock.ts'

const never = new AbortController().signal
const circuitOpen = expect.objectContaining({ code: 'circuit_open' }) as Error

function setup(limits: Partial<typeof defaultLimits> = {}) {
  const clock = new FakeClock()
  return { clock, state: new HostState({ host: 'reg', clock, limits: { ...defaultLimits, ...limits } }) }
}

describe('slots', () => {
  it('are given in order, and taken back once however often they are given back', async () => {
    const { state } = setup({ concurrency: 1 })
    const leave = await state.enter('download', never)
    const order: number[] = []
    const second = state.enter('download', never).then(() => order.push(2))
    const third = state.enter('download', never).then(() => order.push(3))
    leave()
    leave()
    await second
    expect(order).toEqual([2])
    void third
  })

  it('of uploads do not wait for downloads: a copy within one registry would wait for itself', async () => {
    const { state } = setup({ concurrency: 1 })
    await state.enter('download', never)
    await state.enter('upload', never)
    await state.enter('metadata', never)
  })

  it('go to the next one when somebody stops waiting', async () => {
    const { state } = setup({ concurrency: 1 })
    const leave = await state.enter('upload', never)
    const aborter = new AbortController()
    const given = state.enter('upload', aborter.signal)
    const waiting = state.enter('upload', never)
    aborter.abort(new Error('enough'))
    await expect(given).rejects.toThrow('enough')
    leave()
    await waiting
  })
})

describe('the circuit', () => {
  it('lets exactly one call through when its time is over, and opens again when that fails', async () => {
    const { state, clock } = setup({ circuitFailures: 2 })
    state.failed()
    state.checkCircuit('x')
    state.failed()
    expect(() => state.checkCircuit('x')).toThrow(circuitOpen)
    await clock.advance(4_500)
    state.checkCircuit('x')
    expect(() => state.checkCircuit('x')).toThrow(circuitOpen)
    state.failed()
    await clock.advance(4_499)
    expect(() => state.checkCircuit('x')).toThrow(circuitOpen)
    await clock.advance(1)
    state.checkCircuit('x')
    state.abandoned()
    state.checkCircuit('x')
    state.answered()
    state.checkCircuit('x')
    state.checkCircuit('x')
  })

  it('counts failures in a row only', () => {
    const { state } = setup({ circuitFailures: 2 })
    state.failed()
    state.answered()
    state.failed()
    expect(() => state.checkCircuit('x')).not.toThrow()
  })
})
