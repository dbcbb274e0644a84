// From a tag in a registry, which is only watched, to a job of a real Nomad.
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { needs } from '../support/components.ts'
import { startLongshore, type Longshore } from '../support/longshore.ts'
import { serviceJob, startNomad, type Nomad } from '../support/nomad.ts'
import { startDistributionV3 } from '../support/registries.ts'
import { imageOf } from '../support/repository.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { openRepository } from './artifact-support.ts'
import { runs, type ReadJob } from './nomad-support.ts'

let nomad: Nomad
let server: Longshore | undefined

needs('nomad', 'distribution')('from a tag to a job', () => {
  beforeAll(async () => {
    nomad = await startNomad({ acl: true })
  })
  afterEach(() => server?.stop())
  afterAll(() => nomad.stop())

  test('a tag that is pushed runs; what fails is told; a forced deploy restarts; a change by others is put right', async () => {
    const registry = await startDistributionV3()
    const job = await serviceJob('web')
    await nomad.run(job)
    const push = async (tag: string) => {
      const repository = openRepository(registry.host, 'shop/web')
      await imageOf(repository, [`an image of ${tag}`], { tags: [tag] })
      await repository.close()
    }
    await push('v1.0.0')
    const folder = tempDir('longshore')
    const start = () =>
      startLongshore({
        folder,
        // As its users have it: the file says nothing of where Nomad is, and who may.
        env: { NOMAD_ADDR: nomad.url, NOMAD_TOKEN: nomad.token, VAULT_TOKEN: 'hvs.not-for-anybody' },
        config: {
          bundles: {
            web: {
              store: { type: 'oci', repository: `${registry.host}/shop/web` },
              ...{ follow: { semver: '*' }, schedule: 'off', pull: false },
              deploy: [{ to: 'nomad' }],
            },
          },
          deployers: {
            nomad: {
              type: 'nomad',
              job: 'web',
              task: 'server',
              set: { 'env.VERSION': '{version}', 'env.IMAGE': '{repository}:{version}@{digest}' },
            },
          },
        },
      })
    server = await start()
    const place = async () => (await server!.bundle('web')).deployments[0]!
    const isDone = (release: number) =>
      waitFor(`release ${release} at its place`, async () => {
        const { state, deployed } = await place()
        return state === 'done' && deployed === release
      })
    await isDone(1)
    await runs(job.port, 'v1.0.0')

    // Killed half-way, it goes on following where it was.
    await push('v1.1.0')
    await server.look('web')
    await waitFor('the version to be registered', async () => (await read()).Version === 2)
    await server.process.kill()
    server = await start()
    await isDone(2)
    await runs(job.port, 'v1.1.0')
    expect((await read()).Version).toBe(2)
    const { manifestDigest } = (await server.releases('web'))[0]!
    expect((await read()).TaskGroups[0]!.Tasks[0]!.Env).toMatchObject({
      IMAGE: `${registry.host}/shop/web:v1.1.0@${manifestDigest}`,
    })

    // As the registry watcher's users ask for it: the tag that runs, once more.
    const body = JSON.stringify({ pinned_tag: 'v1.1.0' })
    const asked = await server.fetch('/tags/web', { method: 'POST', body })
    expect([asked.status, await asked.json()]).toEqual([200, { message: 'Deploying to v1.1.0' }])
    await waitFor('the forced deploy', async () => (await place()).forcedDone === 1)
    expect((await read()).Meta).toEqual({ team: 'shop', longshore_deploy: expect.stringMatching(/^web\/nomad\/2\//) })

    // Somebody else has another wish.
    const changed = await read()
    changed.TaskGroups[0]!.Tasks[0]!.Env = { ...(changed.TaskGroups[0]!.Tasks[0]!.Env as object), VERSION: 'v0.0.1' }
    await nomad.run({ ...changed, ID: 'web' })
    await runs(job.port, 'v0.0.1')
    await server.look('web')
    await waitFor(
      'the change to be put right',
      async () => (await place()).state === 'done' && (await read()).TaskGroups[0]!.Tasks[0]!.Env!.VERSION === 'v1.1.0',
    )
    const events = await (await server.fetch('/api/v1/bundles/web/events')).text()
    expect(events).toContain('deployment.drifted')

    const output = server.process.output()
    for (const secret of [nomad.token!, 'hvs.not-for-anybody']) expect(output).not.toContain(secret)
    expect(events).not.toContain(nomad.token)
  })
})

const read = () => nomad.ask<ReadJob>('/v1/job/web')
