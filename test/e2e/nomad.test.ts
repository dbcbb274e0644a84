// Jobs of a real Nomad: brought to a version, followed to their end, and left alone where they are right.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { serviceJob, startNomad, type Nomad } from '../support/nomad.ts'
import { waitFor } from '../support/wait.ts'
import { deployerFor, releaseOf, runs, type ReadJob } from './nomad-support.ts'

/** As Nomad counts. */
const second = 1_000_000_000
/** The version is the program: one that is not there never runs, not even for a moment. */
const byProgram = { set: { 'config.command': '/bin/{version}' } }
const { signal } = new AbortController()
let nomad: Nomad

const read = (id: string) => nomad.ask<ReadJob>(`/v1/job/${id}`)

needs('nomad')('nomad', () => {
  beforeAll(async () => {
    nomad = await startNomad()
  })
  afterAll(() => nomad.stop())

  test.concurrent(
    'a job gets the version, and runs it; all else of it stays, and what is there is not put there again',
    async () => {
      const job = await serviceJob('web')
      await nomad.run(job)
      const before = await read('web')
      const deployer = deployerFor(nomad, 'web')
      const what = await releaseOf('v1.0.0', 1)
      expect(await deployer.observe(what, signal)).toEqual({ digest: null, settled: false })
      await deployer.deploy(what, signal)
      await runs(job.port, 'v1.0.0')
      const digest = what.release.sourceDigest
      expect(await deployer.observe(what, signal)).toEqual({ digest, settled: true })

      const after = await read('web')
      const [server, side] = after.TaskGroups[0]!.Tasks
      expect(server).toEqual({
        ...before.TaskGroups[0]!.Tasks[0],
        Env: { VERSION: 'v1.0.0', PORT: String(job.port), KEEP: 'this', IMAGE: `registry.test/shop/web@${digest}` },
        Meta: { owner: 'ann', release: '1' },
      })
      expect(side).toEqual(before.TaskGroups[0]!.Tasks[1])
      expect(after.Meta).toEqual({ team: 'shop' })
      expect(after.Version).toBe(1)

      await deployer.deploy(what, signal)
      expect((await read('web')).JobModifyIndex).toBe(after.JobModifyIndex)
      const next = await releaseOf('v1.1.0', 2)
      expect(await deployer.observe(next, signal)).toEqual({ digest, settled: false })

      const started = await waitFor('one to run alone', () => startedAt('web'))
      const forced = { ...what, isForced: true, idempotencyKey: 'web/nomad/1/1' }
      await deployer.deploy(forced, signal)
      expect((await read('web')).Meta).toEqual({ team: 'shop', longshore_deploy: 'web/nomad/1/1' })
      await waitFor('another to run alone', async () => (await startedAt('web')) !== started)
      await deployer.deploy(forced, signal)
      expect((await read('web')).Version).toBe(2)
    },
  )

  test.concurrent(
    'a version that fails its health check is told of in Nomad’s words, when the older one runs again',
    async () => {
      const job = await serviceJob('sick', {
        isChecked: true,
        update: { HealthyDeadline: 15 * second, ProgressDeadline: 17 * second },
      })
      await nomad.run(job)
      const deployer = deployerFor(nomad, 'sick')
      const bad = await releaseOf('v-sick', 1)
      await expect(deployer.deploy(bad, signal)).rejects.toMatchObject({
        code: 'deployment_failed',
        message: expect.stringMatching(
          /task server of job sick at .*: Failed due to .* - rolling back to job version 0.*; version 2 with the older values runs/,
        ),
      })
      await runs(job.port, 'v0')
      expect(await deployer.observe(bad, signal)).toEqual({ digest: null, settled: false })
      const good = await releaseOf('v2.0.0', 2)
      await deployer.deploy(good, signal)
      await runs(job.port, 'v2.0.0')
    },
  )

  test.concurrent('what failed and was not taken back is tried again, though the job would be the same', async () => {
    await nomad.run(await serviceJob('stuck', { update: { AutoRevert: false } }))
    const deployer = deployerFor(nomad, 'stuck', byProgram)
    const bad = await releaseOf('no-such', 1)
    await expect(deployer.deploy(bad, signal)).rejects.toMatchObject({ code: 'deployment_failed' })
    expect(await deployer.observe(bad, signal)).toMatchObject({ settled: false })
    const { JobModifyIndex } = await read('stuck')
    await expect(deployer.deploy(bad, signal)).rejects.toMatchObject({ code: 'deployment_failed' })
    expect((await read('stuck')).Meta).toEqual({
      team: 'shop',
      longshore_deploy: `${bad.idempotencyKey}#${JobModifyIndex}`,
    })
  })

  test.concurrent('a job that vanished, or was stopped, is an error, and is not registered anew', async () => {
    const job = await serviceJob('gone')
    await nomad.run(job)
    const deployer = deployerFor(nomad, 'gone')
    const what = await releaseOf('v1.0.0', 1)
    await fetch(`${nomad.url}/v1/job/gone`, { method: 'DELETE' })
    expect(await deployer.observe(what, signal)).toEqual({ digest: null, settled: false })
    await expect(deployer.deploy(what, signal)).rejects.toMatchObject({
      code: 'not_found',
      message: 'the job gone was stopped',
    })
    await fetch(`${nomad.url}/v1/job/gone?purge=true`, { method: 'DELETE' })
    await expect(deployer.deploy(what, signal)).rejects.toMatchObject({
      code: 'not_found',
      message: 'there is no job gone',
      hint: expect.stringMatching(/Nothing was registered/),
    })
    expect((await fetch(`${nomad.url}/v1/job/gone`)).status).toBe(404)
  })

  test.concurrent('a batch job, which has no deployment, is followed by its allocations', async () => {
    const task = { Name: 'server', Driver: 'raw_exec', Config: { command: '/bin/true', args: ['300'] } }
    const group = { Name: 'app', RestartPolicy: { Attempts: 0, Mode: 'fail' }, ReschedulePolicy: { Attempts: 0 } }
    const groups = [{ ...group, Tasks: [{ ...task, Resources: { CPU: 20, MemoryMB: 16 } }] }]
    await nomad.run({ ID: 'once', Name: 'once', Type: 'batch', Datacenters: ['dc1'], TaskGroups: groups })
    const deployer = deployerFor(nomad, 'once', byProgram)
    const good = await releaseOf('sleep', 1)
    await deployer.deploy(good, signal)
    expect(await deployer.observe(good, signal)).toMatchObject({ settled: true })
    await expect(deployer.deploy(await releaseOf('no-such', 2), signal)).rejects.toMatchObject({
      message: expect.stringMatching(/an allocation failed: server: .*no-such/),
    })
  })

  test.concurrent('a system job, with and without `update`, is followed to its end', async () => {
    const plain = await serviceJob('everywhere', { isSystem: true })
    const careful = await serviceJob('carefully', { isSystem: true, update: { MinHealthyTime: second } })
    const { Update: _, ...withoutUpdate } = plain
    for (const job of [{ ...withoutUpdate, ID: plain.ID, port: plain.port }, careful]) {
      await nomad.run(job)
      await runs(job.port, 'v0')
      const deployer = deployerFor(nomad, job.ID)
      const good = await releaseOf('v1.0.0', 1)
      expect(await deployer.observe(good, signal)).toMatchObject({ settled: false })
      await deployer.deploy(good, signal)
      expect(await deployer.observe(good, signal)).toEqual({ digest: good.release.sourceDigest, settled: true })
      await runs(job.port, 'v1.0.0')
      expect((await read(job.ID)).TaskGroups[0]!.Tasks[1]!.Env).toEqual({ VERSION: 'of-its-own' })
      const bad = await releaseOf('no-such', 2)
      const broken = deployerFor(nomad, job.ID, byProgram)
      await expect(broken.deploy(bad, signal)).rejects.toMatchObject({
        message: expect.stringMatching(/server: .*(?:no-such|Unhealthy)/) as string,
      })
      expect(await broken.observe(bad, signal)).toMatchObject({ settled: false })
    }
  })

  test.concurrent('a job of another namespace is found there, and its namesake is left alone', async () => {
    await nomad.ask('/v1/namespace/shop', { Name: 'shop' })
    const [job, other] = [await serviceJob('named'), await serviceJob('named')]
    await nomad.run(other)
    await nomad.run({ ...job, Namespace: 'shop' })
    const deployer = deployerFor(nomad, 'named', { namespace: 'shop', region: 'global' })
    const what = await releaseOf('v1.0.0', 1)
    await deployer.deploy(what, signal)
    await runs(job.port, 'v1.0.0')
    await runs(other.port, 'v0')
    expect(await deployer.observe(what, signal)).toMatchObject({ settled: true })
    const elsewhere = deployerFor(nomad, 'named', { namespace: 'nowhere' })
    await expect(elsewhere.deploy(what, signal)).rejects.toMatchObject({ message: 'there is no job named' })
  })

  test.concurrent('a canary that nobody promotes is waited for, and told of when the time is over', async () => {
    await nomad.run(await serviceJob('canary', { update: { Canary: 1 } }))
    expect(await errorOf('canary', '12s')).toMatch(
      / took longer than 12s: Deployment is running but requires manual promotion/,
    )
  })

  test.concurrent('a version that does not get well is replaced by a newer one without being waited for', async () => {
    const job = await serviceJob('fixed', { isChecked: true })
    await nomad.run(job)
    const deployer = deployerFor(nomad, 'fixed')
    const stop = new AbortController()
    const deployed = deployer.deploy(await releaseOf('v-sick', 1), stop.signal)
    deployed.catch(() => undefined)
    await waitFor('the sick version', async () => (await read('fixed')).Version === 1)
    stop.abort(new Error('a newer one'))
    await expect(deployed).rejects.toThrow('a newer one')
    await deployer.deploy(await releaseOf('v1.0.0', 2), signal)
    await runs(job.port, 'v1.0.0')
  })
})

/** The one allocation that runs; while one ends and the next begins, there may be two. */
async function startedAt(id: string): Promise<string> {
  const allocations = await nomad.ask<{ ClientStatus: string; ID: string }[]>(`/v1/job/${id}/allocations`)
  const running = allocations.filter(({ ClientStatus }) => ClientStatus === 'running')
  expect(running).toHaveLength(1)
  return running[0]!.ID
}

async function errorOf(job: string, timeout: string): Promise<string> {
  const what = await releaseOf('v1.0.0', 1)
  return deployerFor(nomad, job, { timeout })
    .deploy(what, signal)
    .then(() => 'none', String)
}
