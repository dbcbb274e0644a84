// A real Nomad that has room for one version only. Nothing else runs there: Nomad names whatever is in the way at that moment.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { serviceJob, startNomad, type Nomad } from '../support/nomad.ts'
import { deployerFor, releaseOf } from './nomad-support.ts'

let nomad: Nomad

needs('nomad')('a Nomad without room', () => {
  beforeAll(async () => {
    nomad = await startNomad()
  })
  afterAll(() => nomad.stop())

  test('it says so when the time is over', async () => {
    // More than half of all memory: there is not enough for two versions at a time.
    const [node] = await nomad.ask<{ ID: string }[]>('/v1/nodes')
    const { NodeResources } = await nomad.ask<{ NodeResources: { Memory: { MemoryMB: number } } }>(
      `/v1/node/${node!.ID}`,
    )
    const MemoryMB = Math.ceil(NodeResources.Memory.MemoryMB * 0.6)
    await nomad.run(await serviceJob('full', { server: { Resources: { CPU: 20, MemoryMB } }, update: { Canary: 1 } }))
    const deployed = deployerFor(nomad, 'full', { timeout: '12s' }).deploy(
      await releaseOf('v1.0.0', 1),
      new AbortController().signal,
    )
    await expect(deployed).rejects.toThrow(
      / took longer than 12s: Deployment is running.*: app: exhausted memory on 1 of 1 nodes/,
    )
  })
})
