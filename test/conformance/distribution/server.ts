import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Content } from '../../../src/content/content.ts'
import { createFolderContent } from '../../../src/content/folder.ts'
import { silentLogger, type Logger } from '../../../src/lib/logger.ts'
import { createRegistry } from '../../../src/registry/registry.ts'
import type { Registry, RegistryLimits } from '../../../src/registry/types.ts'
import type { Action, Caller } from '../../../src/server/types.ts'
import { createV2Route } from '../../../src/server/v2/route.ts'
import type { V2Options } from '../../../src/server/v2/route.ts'
import { createSqliteState } from '../../../src/state/sqlite/client.ts'
import { FakeClock } from '../../support/clock.ts'
import { tempDir } from '../../support/temp.ts'
import type { Target } from './api.ts'

export interface V2Server extends Target {
  content: Content
  registry: Registry
  clock: FakeClock
  /** The limits at which somebody was turned away. */
  limited: string[]
  close(): Promise<void>
}

export interface V2ServerOptions {
  may?: (action: Action, target?: string) => boolean
  anonymous?: boolean
  challenge?: boolean
  limits?: Partial<V2Options['limits']>
  whyHidden?: V2Options['whyHidden']
  logger?: Logger
  registryLimits?: Partial<RegistryLimits>
}

/** Our route behind a real server on loopback, with a registry of its own. */
export async function startV2Server(options: V2ServerOptions = {}): Promise<V2Server> {
  const clock = new FakeClock()
  const path = tempDir('v2')
  const logger = options.logger ?? silentLogger
  const content = await createFolderContent({ path, logger })
  const state = await createSqliteState({ path, contentId: 'of-a-test', logger })
  const limits = options.registryLimits ?? {}
  const registry = createRegistry({ content, catalog: state.catalog, clock, logger, limits })
  const limited: string[] = []
  const route = createV2Route({
    registry,
    limits: { maxManifestBytes: 4 * 1024 * 1024, maxBlobBytes: 2 ** 31, pageMax: 1000, ...options.limits },
    challenge: options.challenge ?? false,
    metrics: { limited: (limit) => limited.push(limit) },
    ...(options.whyHidden && { whyHidden: options.whyHidden }),
    logger,
    clock,
  })
  const caller: Caller = {
    name: options.anonymous === true ? 'anonymous' : 'ann',
    anonymous: options.anonymous ?? false,
    may: options.may ?? (() => true),
  }
  const server = createServer((request, response) => {
    const gone = new AbortController()
    response.once('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    const url = new URL(request.url ?? '/', 'http://registry.invalid')
    void route({ request, response, url, caller, requestId: randomUUID(), signal: gone.signal })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    content,
    registry,
    clock,
    limited,
    letTimePass: (ms) => clock.advance(ms),
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await registry.close()
      await state.close()
      await content.close()
    },
  }
}
