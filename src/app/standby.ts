import type { Config } from '../config/config.ts'
import type { Clock } from '../lib/clock.ts'
import type { Lifecycle } from '../lib/lifecycle.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { createHttpServer, type HttpServer } from '../server/http.ts'
import { createCors } from '../server/watcher/cors.ts'
import { createStandbyRoutes } from '../server/standby.ts'
import type { Standby } from '../state/postgres/client.ts'
import { listeningOf } from './listening.ts'

interface StandbyOptions {
  config: Pick<Config, 'server'>
  clock: Clock
  logger: Logger
  metrics: Metrics
  /** Ends the waiting. */
  signal: AbortSignal
}

/** While another instance acts this one says so, where it would answer otherwise. `end` makes way for who answers everything. */
export function createStandby(options: StandbyOptions, lifecycle: Lifecycle): Standby & { end(): Promise<void> } {
  const { config, clock, logger, metrics, signal } = options
  let server: HttpServer | undefined
  let heldBy = ''
  const why = () => `this instance stands by: ${heldBy} acts; it takes over within seconds when that one is gone`

  async function open(): Promise<void> {
    server = await createHttpServer({
      ...(await listeningOf(config.server, logger)),
      ...{ clock, logger, metrics, cors: createCors([]) },
      ...createStandbyRoutes(why),
    })
    lifecycle.defer('standby', () => server?.close())
  }

  return {
    signal,
    async waiting(by) {
      heldBy = by
      if (server === undefined) await open()
      logger.info({ heldBy, url: server?.url }, why())
    },
    async end() {
      if (server === undefined) return
      logger.info(`${heldBy} is gone: this instance acts from now on`)
      await server.close()
      server = undefined
    },
  }
}
