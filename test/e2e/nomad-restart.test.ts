// A real Nomad that goes away while a job is on its way.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { serviceJob, startNomad, type Nomad } from '../support/nomad.ts'
import { deployerFor, releaseOf, runs, type ReadJob } from './nomad-support.ts'

const { signal } = new AbortController()
let nomad: Nomad

needs('nomad')('a Nomad that restarts', () => {
  beforeAll(async () => {
    nomad = await startNomad({ acl: true })
  })
  afterAll(() => nomad.stop())

  test('an agent that restarts half-way is waited for, and the job followed on', async () => {
    const job = await serviceJob('long', { update: { MinHealthyTime: 5_000_000_000 } })
    await nomad.run(job)
    const deployer = deployerFor(nomad, 'long')
    const what = await releaseOf('v1.0.0', 1)
    const deployed = deployer.deploy(what, signal)
    deployed.catch(() => undefined)
    await runs(job.port, 'v1.0.0')
    expect((await nomad.ask<{ Status: string }>('/v1/job/long/deployment')).Status).toBe('running')
    await nomad.kill()
    await nomad.restart()
    await deployed
    await runs(job.port, 'v1.0.0')
    expect(await nomad.ask<ReadJob>('/v1/job/long')).toMatchObject({ Version: 1, Stable: true })
    expect(what.said.at(-1)).toBe('version 1 of job long is there')
  })
})
