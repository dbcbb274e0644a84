import { afterAll, describe, expect, it } from 'vitest'
import { createAssembler } from '../../src/artifact/assemble.ts'
import { body, cut, endless, redirect } from '../support/faults.ts'
import { putArtifact, type Fault, type Phase } from '../support/hostile-registry.ts'
import { entry, file, tarGz } from '../unit/artifact/support.ts'
import { heapGrowth, rounds, roundsBefore, settled, snapshot } from './leaks.ts'
import { bundleBytes, expectClean, expectServed, openLookRig } from './look-rig.ts'

describe('a bundle behind a hostile registry leaves nothing behind', () => {
  const assembler = createAssembler({ threads: 1 })
  afterAll(() => assembler.close())

  it.each<{ name: string; faults?: Partial<Record<Phase, Fault>>; bytes?: (nth: number) => Buffer }>([
    { name: 'manifest: other bytes', faults: { manifest: body('{"schemaVersion":2}') } },
    { name: 'layer: cut in body', faults: { layer: cut('in body') } },
    { name: 'layer: reset at the last byte', faults: { layer: cut('at last byte', 'rst') } },
    { name: 'layer: wrong bytes', faults: { layer: (r) => ({ ...r, body: Buffer.alloc(r.body.length) }) } },
    { name: 'layer: endless', faults: { layer: endless } },
    { name: 'layer: a redirect loop', faults: { layer: redirect(({ request }) => request.url) } },
    {
      name: 'layer: unsafe',
      bytes: (nth) => tarGz(file('a.rego', `package a${nth}`), entry({ name: 'b', type: '2' })),
    },
    { name: 'layer: cut-off gzip', bytes: (nth) => bundleBytes(`v${nth}`).subarray(0, 60) },
    { name: 'layer: a bomb', bytes: (nth) => tarGz(file('a.rego', Buffer.alloc(1_000_000, String(nth)))) },
    { name: 'layer: too long a file', bytes: (nth) => tarGz(file('a.rego', Buffer.alloc(2_200_000, String(nth)))) },
  ])('$name', async ({ faults = {}, bytes = (nth) => bundleBytes(`v${nth}`) }) => {
    await using rig = await openLookRig(assembler, { tries: 1, resumes: 1, circuitFailures: Infinity })
    await rig.look()
    for (const [phase, fault] of Object.entries(faults))
      rig.registry.fault(phase as Phase, (r, w) => (r.status === 401 ? r : fault(r, w)))
    const round = async (nth: number) => {
      const { manifest, layer } = putArtifact(rig.registry, bytes(nth))
      const { outcome } = await rig.look()
      expect(['failed', 'refused']).toContain(outcome)
      // What the other side keeps is none of ours.
      rig.registry.manifests.delete(manifest.digest)
      rig.registry.blobs.delete(layer.digest)
      rig.registry.forget()
      rig.hasty.waits.splice(0)
    }
    for (let nth = 1; nth <= roundsBefore; nth++) await round(-nth)
    const before = snapshot()
    const growth = await heapGrowth()
    for (let nth = 1; nth <= rounds; nth++) await round(nth)
    await growth()
    await expectServed(rig, rig.good)
    expectClean(rig)
    await settled(before)
  })
})
