import { describe, expect, it } from 'vitest'
import { Lifecycle } from '../../../src/lib/lifecycle.ts'
import { silentLogger } from '../../../src/lib/logger.ts'
import { FakeClock } from '../../support/clock.ts'

describe('Lifecycle', () => {
  it('closes in reverse order', async () => {
    const order: string[] = []
    const lifecycle = new Lifecycle()
    lifecycle.defer('state', () => order.push('state'))
    lifecycle.defer('server', () => order.push('server'))
    await lifecycle.close(new FakeClock(), silentLogger, 1000)
    expect(order).toEqual(['server', 'state'])
  })

  it('goes on when a part fails to close', async () => {
    const order: string[] = []
    const lifecycle = new Lifecycle()
    lifecycle.defer('state', () => order.push('state'))
    lifecycle.defer('server', () => {
      throw new Error('no')
    })
    await lifecycle.close(new FakeClock(), silentLogger, 1000)
    expect(order).toEqual(['state'])
  })

  it('leaves a part that does not close within the bound, and closes the rest', async () => {
    const clock = new FakeClock()
    const order: string[] = []
    const lifecycle = new Lifecycle()
    lifecycle.defer('state', () => order.push('state'))
    lifecycle.defer('server', () => new Promise(() => undefined))
    const closed = lifecycle.close(clock, silentLogger, 1000)
    await clock.advance(999)
    expect(order).toEqual([])
    await clock.advance(1)
    await closed
    expect(order).toEqual(['state'])
  })

  it('closes once however often it is asked', async () => {
    let times = 0
    const lifecycle = new Lifecycle()
    lifecycle.defer('state', () => (times += 1))
    const clock = new FakeClock()
    await Promise.all([lifecycle.close(clock, silentLogger, 1000), lifecycle.close(clock, silentLogger, 1000)])
    expect(times).toBe(1)
  })
})
