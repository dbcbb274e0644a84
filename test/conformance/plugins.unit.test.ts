import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, onTestFinished } from 'vitest'
import { createFolderContent } from '../../src/content/folder.ts'
import { createDeployer as createCommand } from '../../src/deployers/command/index.ts'
import { commandDeployerSchema } from '../../src/deployers/command/schema.ts'
import { createDeployer as createDirectory } from '../../src/deployers/directory/index.ts'
import { directoryDeployerSchema } from '../../src/deployers/directory/schema.ts'
import { createDeployer as createHttp } from '../../src/deployers/http/index.ts'
import { httpDeployerSchema } from '../../src/deployers/http/schema.ts'
import { createDeployer as createNomad } from '../../src/deployers/nomad/index.ts'
import { nomadDeployerSchema } from '../../src/deployers/nomad/schema.ts'
import { createDeployer } from '../../src/deployers/oci/index.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/logger.ts'
import { Redactor } from '../../src/lib/redact.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { openLayout } from '../../src/oci/layout.ts'
import { createPublisher as createHttpPublisher } from '../../src/publishers/http/index.ts'
import { httpPublisherSchema } from '../../src/publishers/http/schema.ts'
import type { Publisher, PublisherContext } from '../../src/publishers/publisher.ts'
import { createPublisher as createSlackPublisher } from '../../src/publishers/slack/index.ts'
import { slackPublisherSchema } from '../../src/publishers/slack/schema.ts'
import { createRegistry } from '../../src/registry/registry.ts'
import type { PromotionTerms } from '../../src/model/promotion.ts'
import { createStore as createBundle } from '../../src/stores/bundle/index.ts'
import { bundleStoreSchema } from '../../src/stores/bundle/schema.ts'
import { createStore as createLocal } from '../../src/stores/local/index.ts'
import { createStore as createLayout } from '../../src/stores/oci-layout/index.ts'
import { createStore as createOci } from '../../src/stores/oci/index.ts'
import { createWebhook as createGenericWebhook } from '../../src/webhooks/generic/index.ts'
import { genericWebhookSchema } from '../../src/webhooks/generic/schema.ts'
import { createWebhook as createRegistryWebhook } from '../../src/webhooks/registry/index.ts'
import { registryWebhookSchema } from '../../src/webhooks/registry/schema.ts'
import { FakeClock } from '../support/clock.ts'
import { startFakeNomad } from '../support/fake-nomad.ts'
import { MemoryRepository } from '../support/repository.ts'
import { scriptedServer, type Reply } from '../support/scripted-server.ts'
import { tempDir } from '../support/temp.ts'
import { openInProcess } from '../unit/state/open.ts'
import { deployOf, testDeployer } from './deployer.ts'
import { testPublisher } from './publisher.ts'
import { testWebhook } from './webhook.ts'
import { testStore } from './store.ts'

const logger = silentLogger
const redactor = new Redactor()
const nowhere = () => {
  throw new Error('not for this plugin')
}
const repository = 'registry.test/policies'

testStore('oci', async () => {
  const origin = new MemoryRepository(repository)
  const registries = { repository: () => origin }
  const store = createOci(
    { type: 'oci', repository, plainHttp: undefined },
    { registries, local: nowhere, promotion: nowhere, logger },
  )
  return { store, origin }
})

testStore('oci-layout', async () => {
  const path = tempDir('layout')
  const origin = await openLayout(path, { create: true })
  const context = { registries: { repository: nowhere }, local: nowhere, promotion: nowhere, logger }
  return { store: createLayout({ type: 'oci-layout', path }, context), origin }
})

testStore('local', async () => {
  const folder = tempDir('local')
  const { catalog } = await openInProcess(folder)
  const content = await createFolderContent({ path: folder, logger })
  const registry = createRegistry({ content, catalog, clock: new FakeClock(), logger })
  const local = (name: string) => registry.repository(name)
  const context = { registries: { repository: nowhere }, local, promotion: nowhere, logger }
  return {
    store: createLocal({ type: 'local', repository: 'policies' }, context),
    origin: registry.repository('policies'),
  }
})

testStore('bundle', async () => {
  const folder = tempDir('bundle')
  const { catalog } = await openInProcess(folder)
  const content = await createFolderContent({ path: folder, logger })
  const registry = createRegistry({ content, catalog, clock: new FakeClock(), logger })
  const local = (name: string) => registry.repository(name)
  // What a person names goes before what was promoted.
  const promotion = (terms: PromotionTerms) => ({ terms, last: null, standing: nowhere, promoted: nowhere })
  const config = bundleStoreSchema.parse({ type: 'bundle', from: 'authz', place: 'staging' })
  return {
    store: createBundle(config, { registries: { repository: nowhere }, local, promotion, logger }),
    origin: registry.repository('bundles/authz'),
  }
})

testDeployer('oci', async () => {
  const place = new MemoryRepository(repository)
  const registries = { repository: () => place }
  const tags = ['latest', '{version}']
  const deployer = createDeployer(
    { type: 'oci', repository, tags, prune: true, referrers: true, plainHttp: undefined },
    { registries, logger, redactor, clock: systemClock },
  )
  return { deployer, held: async () => place.tagged.get('latest') }
})

describe.each(['files', 'swap'])('mode: %s', (mode) => {
  testDeployer(
    'directory',
    async () => {
      const root = join(tempDir('place'), 'bundles')
      const deployer = createDirectory(directoryDeployerSchema.parse({ type: 'directory', root, mode }), {
        registries: { repository: nowhere },
        logger,
        redactor,
        clock: systemClock,
      })
      const held = async () => {
        const text = await readFile(join(root, 'authz.tar.gz'), 'utf8').catch(() => undefined)
        return text === undefined ? undefined : (await deployOf(text)).raw.digest
      }
      return { deployer, held }
    },
    { form: 'tarball' },
  )
})

testDeployer(
  'command',
  async () => {
    const place = join(tempDir('place'), 'held')
    const script = 'cp "$LONGSHORE_FILE" "$PLACE"'
    const config = { type: 'command', command: ['sh', '-c', script], env: { PLACE: place }, file: true }
    const deployer = createCommand(commandDeployerSchema.parse(config), {
      registries: { repository: nowhere },
      logger,
      redactor,
      clock: systemClock,
    })
    const held = async () => {
      const text = await readFile(place, 'utf8').catch(() => undefined)
      return text === undefined ? undefined : (await deployOf(text)).raw.digest
    }
    return { deployer, held }
  },
  { form: 'tarball' },
)

testDeployer(
  'http',
  async () => {
    const place = await scriptedServer({ 'PUT /here': { status: 204 } })
    onTestFinished(() => place[Symbol.asyncDispose]())
    const config = { type: 'http', url: `${place.origin}/here`, method: 'PUT', body: 'bundle' }
    const deployer = createHttp(httpDeployerSchema.parse(config), {
      registries: { repository: nowhere },
      logger,
      redactor,
      clock: systemClock,
    })
    const held = async () => {
      const last = place.requests.at(-1)
      return last && (await deployOf(last.body.toString())).raw.digest
    }
    return { deployer, held }
  },
  { form: 'tarball' },
)

const knowing = new Redactor()
knowing.add('hunter2hunter2')

/** One whose receiver answers so, at a URL of which the end is a secret. */
function publisherAt(create: (to: { url: string; timeout: string }, context: PublisherContext) => Publisher) {
  return async (reply: Reply = {}) => {
    const receiver = await scriptedServer({ 'POST /to/hunter2hunter2': reply })
    onTestFinished(() => receiver[Symbol.asyncDispose]())
    const to = { url: `${receiver.origin}/to/hunter2hunter2`, timeout: reply.hang === true ? '300ms' : '60s' }
    const publisher = create(to, { redactor: knowing })
    return { publisher, received: () => receiver.requests.map(({ body }) => JSON.parse(body.toString()) as unknown) }
  }
}

testPublisher(
  'http',
  publisherAt((to, context) => createHttpPublisher(httpPublisherSchema.parse({ type: 'http', ...to }), context)),
)

testPublisher(
  'slack',
  publisherAt((to, context) => createSlackPublisher(slackPublisherSchema.parse({ type: 'slack', ...to }), context)),
)

testWebhook('registry', (keys) => createRegistryWebhook(registryWebhookSchema.parse({ type: 'registry', ...keys })))

testWebhook('generic', (keys) => createGenericWebhook(genericWebhookSchema.parse({ type: 'generic', ...keys })))
testDeployer('nomad', async () => {
  const place = await startFakeNomad()
  onTestFinished(() => place.close())
  const config = { type: 'nomad', address: place.url, job: 'web', task: 'server' }
  const deployer = createNomad(nomadDeployerSchema.parse(config), {
    registries: { repository: nowhere },
    logger,
    redactor,
    clock: systemClock,
  })
  const held = async () => {
    const { image } = place.job!.TaskGroups![0]!.Tasks![0]!.Config as { image: string }
    return /sha256:.*/.exec(image)?.[0] as Digest | undefined
  }
  return { deployer, held, sendsNoBytes: true }
})
