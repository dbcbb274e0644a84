import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe } from 'vitest'
import { createDeployer } from '../../src/deployers/oci/index.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import { createOciClient, type OciClient } from '../../src/oci/client.ts'
import { createStore } from '../../src/stores/oci/index.ts'
import { startDistributionV2, startOlareg, type Registry } from '../support/registries.ts'
import { testDeployer } from './deployer.ts'
import { testStore } from './store.ts'

const logger = silentLogger

/** The same promises over real registries: one without and one with the referrers API. */
describe.each([
  ['distribution 2', startDistributionV2, { deletesTags: false }],
  ['olareg', startOlareg, { deletesTags: true }],
])('against %s', (_name, start, { deletesTags }) => {
  let registry: Registry
  let client: OciClient

  beforeAll(async () => {
    registry = await start({ allowDelete: true })
    client = createOciClient({ clock: systemClock, random: Math.random, logger, redactor: new Redactor() })
  })
  afterAll(async () => {
    await client.close()
    await registry.stop()
  })

  const open = () => {
    const repository = `${registry.host}/policies/${randomUUID()}`
    return {
      repository,
      target: client.repository(repository),
      registries: { repository: (name: string) => client.repository(name) },
    }
  }
  const local = () => {
    throw new Error('not for this plugin')
  }

  testStore('oci', async () => {
    const { repository, target, registries } = open()
    return {
      store: createStore(
        { type: 'oci', repository, plainHttp: undefined },
        { registries, local, promotion: local, logger },
      ),
      origin: target,
    }
  })

  testDeployer('oci', async () => {
    const { repository, target, registries } = open()
    const config = {
      type: 'oci' as const,
      repository,
      tags: ['latest', '{version}'],
      prune: true,
      referrers: true,
      plainHttp: undefined,
    }
    return {
      deployer: createDeployer(config, { registries, logger, redactor: new Redactor(), clock: systemClock }),
      held: async () => (await target.head('latest'))?.digest,
      cannotRemove: !deletesTags,
    }
  })
})
