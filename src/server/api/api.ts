import { LongshoreError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { refuse } from '../refusal.ts'
import type { Exchange, Route } from '../types.ts'
import { sendWhole } from '../whole.ts'
import type { Framework, FrameworkOptions } from './framework.ts'
import { demand, refusalFor, Refused } from './operation.ts'
import { createProbes, type Probe } from './probes.ts'

export type ApiOptions = Omit<FrameworkOptions, 'draining'>

/** Everything that is neither a bundle nor the registry. */
export interface Api {
  route: Route
  /** Whether anybody may ask for this path, whoever they are. */
  isOpen(path: string): boolean
  /** Not ready from now on. */
  drain(): void
  close(): Promise<void>
}

/** No route needs more: most take no body at all. */
export const maxBodyBytes = 64 * 1024

/** The framework, and what checks queries and bodies, is loaded with the first request that is no probe: many servers get none. */
export function createApi(options: ApiOptions): Api {
  const draining = new AbortController()
  const parts = { ...options, draining: draining.signal }
  const probes = new Map(createProbes(parts).map((probe) => [probe.path, probe]))
  let opening: Promise<Framework> | undefined
  const open = () => (opening ??= import('./framework.ts').then(({ openFramework }) => openFramework(parts)))

  return {
    async route(exchange) {
      const { request, url } = exchange
      const probe = request.method === 'GET' ? probes.get(url.pathname) : undefined
      if (probe !== undefined) return answer(probe, exchange, options.logger)
      ;(await open()).route(exchange)
    },
    isOpen: (path) => probes.get(path)?.needs === 'nothing',
    drain: () => draining.abort(),
    close: async () => (await opening)?.close(),
  }
}

async function answer(probe: Probe, exchange: Exchange, logger: Logger): Promise<void> {
  try {
    demand(probe, exchange.caller, '')
    const { status, body, type } = await probe.handle()
    const text = type === undefined ? JSON.stringify(body) : String(body)
    sendWhole(exchange.response, exchange.requestId, { text, ...(status && { status }), ...(type && { type }) })
  } catch (error) {
    if (!(error instanceof Refused || error instanceof LongshoreError)) throw error
    const { response, requestId } = exchange
    if (error instanceof LongshoreError) logger.error({ err: error, url: probe.path, requestId }, 'a request failed')
    refuse(response, probe.path, requestId, refusalFor(error))
  }
}
