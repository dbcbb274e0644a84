import { describe, expect, it } from 'vitest'
import { createControl, type ControlOptions } from '../../../src/app/control.ts'
import type { BundleStatus } from '../../../src/model/status.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import type { Control } from '../../../src/server/types.ts'
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

it('warns of a folder that is lost, ready as before', async () => {
  const folder = { warnings: () => ['the content folder is lost'] }
  const parts = { reconciler: { status: () => [] }, clock: new FakeClock(), readyTimeoutMs: 1000, folder }
  const asked = createControl(parts as unknown as ControlOptions)
  expect([await asked.unready(), asked.warnings()]).toEqual([[], ['the content folder is lost']])
})

describe('what a person says', () => {
  const said = { by: 'ann', reason: '' }
  const { signal } = new AbortController()

  it.each<[string, (control: Control) => Promise<unknown>]>([
    ['pin', ({ steering }) => steering.pin('authz', { tag: 'v1' }, said, signal)],
    ['unpin', ({ steering }) => steering.unpin('authz', said)],
    ['rollback', ({ steering }) => steering.rollback('authz', null, said, signal)],
    ['approve', ({ steering }) => steering.approve('authz', null, said)],
    ['look', (control) => control.look('authz', 'request')],
  ])('%s is answered only once what came of it is served', async (_word, say) => {
    const order: string[] = []
    const done = async () => void order.push('done')
    const steering = { pin: done, unpin: done, rollback: done, approve: done }
    const serving = {
      async settled(bundle: string) {
        await new Promise((resolve) => setImmediate(resolve))
        order.push(`${bundle} is served`)
      },
    }
    const parts = { reconciler: { steering, look: done }, serving, clock: new FakeClock() }
    await say(createControl(parts as unknown as ControlOptions))
    expect(order).toEqual(['done', 'authz is served'])
  })
})

describe('verifying', () => {
  const digest = digestOf('x')
  const release = (bundle: string, bundleDigest: string | null) => ({ bundle, bundleDigest, manifestDigest: digest })

  function verifying(found: number) {
    const looks: string[][] = []
    const parts = {
      reconciler: {
        status: () => [
          { name: 'lost', current: release('lost', digest) },
          { name: 'not pulled', current: release('not pulled', null) },
          { name: 'empty', current: null },
        ],
        look: async (...look: string[]) => void looks.push(look),
      },
      registry: { repository: () => ({ isWhole: () => Promise.resolve(false) }) },
      maintenance: { verify: async () => ({ blobs: 1, bytes: 1, found, findings: [] }) },
      clock: new FakeClock(),
    }
    return { control: createControl(parts as unknown as ControlOptions), looks }
  }

  it('has what lost its bytes looked at', async () => {
    const { control, looks } = verifying(1)
    expect(await control.verify({})).toMatchObject({ found: 1, lookingAt: ['lost'] })
    expect(looks).toEqual([['lost', 'verify']])
  })

  it('asks for no look where all is well', async () => {
    const { control, looks } = verifying(0)
    expect(await control.verify({})).toMatchObject({ lookingAt: [] })
    expect(looks).toEqual([])
  })
})
