import { afterAll, describe, expect, it } from 'vitest'
import { createAssembler } from '../../src/artifact/assemble.ts'
import { cut } from '../support/faults.ts'
import { putArtifact, type Fault, type Phase } from '../support/hostile-registry.ts'
import { entry, file, tarGz } from '../unit/artifact/support.ts'
import { heapGrowth, rounds, settled, snapshot } from './leaks.ts'
import { bundleBytes, expectClean, expectServed, openLookRig } from './look-rig.ts'

describe('a bundle behind a hostile registry leaves nothing behind', () => {
  const assembler = createAssembler({ threads: 1 })
  afterAll(() => assembler.close())

  it.each<{ name: string; faults?: Partial<Record<Phase, Fault>>; bytes?: (nth: number) => Buffer }>([
    { name: 'layer: cut in body', faults: { layer: cut('in body') } },
    { name: 'layer: wrong bytes', faults: { layer: (r) => ({ ...r, body: Buffer.alloc(r.body.length) }) } },
    {
      name: 'layer: unsafe',
      bytes: (nth) => tarGz(file('a.rego', `package a${nth}`), entry({ name: 'b', type: '2' })),
    },
  ])('$name', async ({ faults = {}, bytes = (nth) => bundleBytes(`v${nth}`) }) => {
    await using rig = await openLookRig(assembler, { tries: 1, resumes: 1, circuitFailures: Infinity })
    await rig.look()
    for (const [phase, fault] of Object.entries(faults))
      rig.registry.fault(phase as Phase, (r, w) => (r.status === 401 ? r : fault(r, w)))
    const round = async (nth: number) => {
      putArtifact(rig.registry, bytes(nth))
      const { outcome } = await rig.look()
      expect(['failed', 'refused']).toContain(outcome)
    }
    await round(0)
    const before = snapshot()
    const growth = heapGrowth()
    for (let nth = 1; nth <= rounds; nth++) await round(nth)
    await growth()
    await expectServed(rig, rig.good)
    expectClean(rig)
    await settled(before)
  })
})
