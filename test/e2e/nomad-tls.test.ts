// A real Nomad that speaks only HTTPS, and only with those whose certificate it knows.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCertificates, type Certificates } from '../support/certs.ts'
import { needs } from '../support/components.ts'
import { startLongshore } from '../support/longshore.ts'
import { serviceJob, startNomad, type Nomad } from '../support/nomad.ts'
import { startDistributionV3 } from '../support/registries.ts'
import { imageOf } from '../support/repository.ts'
import { tempDir } from '../support/temp.ts'
import { waitFor } from '../support/wait.ts'
import { openRepository } from './artifact-support.ts'
import { runs } from './nomad-support.ts'

let nomad: Nomad
let files: Certificates

needs('nomad', 'distribution')('a Nomad that speaks HTTPS', () => {
  beforeAll(async () => {
    files = await createCertificates()
    nomad = await startNomad({ acl: true, tls: files })
  })
  afterAll(() => nomad.stop())

  test('is told by who shows what the environment names, and an error says what is missing', async () => {
    const registry = await startDistributionV3()
    const job = await serviceJob('web')
    await nomad.run(job)
    const repository = openRepository(registry.host, 'shop/web')
    await imageOf(repository, ['an image'], { tags: ['v1.0.0'] })
    await repository.close()
    const folder = tempDir('longshore')
    const start = (more: Record<string, string>) =>
      startLongshore({
        folder,
        env: { NOMAD_ADDR: nomad.url, NOMAD_TOKEN: nomad.token, ...more },
        config: {
          bundles: {
            web: {
              store: { type: 'oci', repository: `${registry.host}/shop/web` },
              ...{ follow: { semver: '*' }, schedule: 'off', pull: false },
              deploy: [{ to: 'nomad' }],
            },
          },
          deployers: { nomad: { type: 'nomad', job: 'web', task: 'server', set: { 'env.VERSION': '{version}' } } },
        },
      })
    const stranger = await start({ NOMAD_CACERT: files.ca })
    const placeOf = async (server: typeof stranger) => (await server.bundle('web')).deployments[0]!
    await waitFor('the refusal', async () => (await placeOf(stranger)).state === 'failed')
    expect((await placeOf(stranger)).lastError).toMatch(/^Nomad at 127\.0\.0\.1:\d+ cannot be reached: .*certificate/i)
    await stranger.stop()

    const { cert, key } = files.client
    const known = { NOMAD_CACERT: files.ca, NOMAD_CLIENT_CERT: cert, NOMAD_CLIENT_KEY: key }
    const server = await start({ ...known, NOMAD_TLS_SERVER_NAME: 'localhost' })
    const isDone = async () => (await placeOf(server)).state === 'done'
    await waitFor('the version to be there', isDone)
    await runs(job.port, 'v1.0.0')
    await server.stop()
  })
})
