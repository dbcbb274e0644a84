import { z } from 'zod'
import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Look } from '../../model/release.ts'
import type { BundleStatus } from '../../model/status.ts'
import { unknownBundle } from '../bundles/refusals.ts'
import type { Control, Exchange } from '../types.ts'
import { eventStreamOperation } from './event-stream.ts'
import { maintenanceOperations } from './maintenance.ts'
import { messageOperations } from './messages.ts'
import { Refused, storageStatuses, type Operation } from './operation.ts'
import { createProbes } from './probes.ts'
import { steeringOperations } from './steering.ts'

export interface OperationOptions {
  control: Control
  metrics: Pick<Metrics, 'text' | 'contentType' | 'limited'>
  logger: Logger
  clock: Clock
  /** Aborted when the server is about to stop. */
  draining: AbortSignal
}

const historyQuery = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(50) })
const eventsQuery = historyQuery.extend({ place: z.string().min(1).optional().describe('Only what happened there') })
const explainQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100_000).default(50).describe('How many tags, best first'),
})
/** A list of tags comes in pages, from elsewhere. */
const explainTimeoutMs = 5 * 60_000
/** A look downloads, and answers when it is done. */
const lookTimeoutMs = 15 * 60_000

export function createOperations(options: OperationOptions): Operation[] {
  return [
    ...bundleOperations(options),
    explainOperation(options),
    ...lookOperations(options),
    eventStreamOperation({ ...options, feed: options.control.feed }),
    ...messageOperations(options),
    ...serverOperations(options),
    ...maintenanceOperations(options),
    ...steeringOperations({ ...options, statusOf: (name) => statusOf(options.control, name) }),
    ...createProbes(options),
  ]
}

function bundleOperations({ control }: OperationOptions): Operation[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/bundles',
      summary: 'Every bundle that the caller may read: what is served, the last look, where it is deployed',
      needs: { action: 'read', of: 'any' },
      answers: { 200: { description: 'In the order of the config', schema: 'Bundles' } },
      handle: async ({ caller }) => ({ body: { bundles: await readable(control, caller) } }),
    },
    {
      method: 'GET',
      path: '/api/v1/bundles/{name}',
      summary: 'One bundle',
      needs: { action: 'read', of: 'bundle' },
      answers: { 200: { description: 'Its status', schema: 'Bundle' } },
      handle: async ({ name }) => ({ body: await statusOf(control, name) }),
    },
    {
      method: 'GET',
      path: '/api/v1/bundles/{name}/releases',
      summary: 'The history of a bundle',
      needs: { action: 'read', of: 'bundle' },
      query: historyQuery,
      answers: { 200: { description: 'Newest first', schema: 'Releases' } },
      async handle({ name, query }) {
        await statusOf(control, name)
        return { body: { releases: await control.releases(name, historyQuery.parse(query).limit) } }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/bundles/{name}/events',
      summary: 'What happened to a bundle, and what persons decided',
      needs: { action: 'read', of: 'bundle' },
      query: eventsQuery,
      answers: { 200: { description: 'Newest first', schema: 'Events' } },
      async handle({ name, query }) {
        await statusOf(control, name)
        const { limit, place } = eventsQuery.parse(query)
        return { body: { events: await control.events(name, limit, place) } }
      },
    },
  ]
}

function explainOperation({ control }: OperationOptions): Operation {
  return {
    method: 'GET',
    path: '/api/v1/bundles/{name}/explain',
    summary: 'Why a bundle is what it is: what counts and by whose word, each tag and each place with the reason',
    needs: { action: 'read', of: 'bundle' },
    query: explainQuery,
    answers: {
      200: { description: 'Also where the store cannot be asked: `tags.error` says so', schema: 'Explanation' },
    },
    async handle({ name, query, request, signal }) {
      request.setTimeout(explainTimeoutMs)
      const explained = await control.explain(name, explainQuery.parse(query).limit, signal)
      if (explained === undefined) throw new Refused(unknownBundle(name))
      return { body: explained }
    },
  }
}

function lookOperations({ control }: OperationOptions): Operation[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/look',
      summary: 'Look at the store now; answers when the look is done, whatever it came to',
      needs: { action: 'deploy', of: 'bundle' },
      answers: { 200: { description: 'What the look came to', schema: 'Look' } },
      handle: async (call) => ({ body: await look(control, call, call.name) }),
    },
    {
      method: 'POST',
      path: '/v1/bundles/{name}/rebuild',
      summary: 'The bundle server’s word for look: fails when the look did',
      needs: { action: 'deploy', of: 'bundle' },
      answers: { 200: { description: 'Looked at, and served as the store has it', schema: 'Look' } },
      async handle(call) {
        const done = await look(control, call, call.name)
        if (done.outcome === 'released' || done.outcome === 'unchanged') return { body: done }
        const message = done.message ?? `the look at ${call.name} ${done.outcome}`
        throw new Refused({ status: statusOfFailure(done), code: done.code ?? done.outcome, message })
      },
    },
    {
      method: 'GET',
      path: '/api/v1/deployments',
      summary: 'Every bundle at every place, and what stayed at places that left the config',
      needs: { action: 'read', of: 'any' },
      answers: { 200: { description: 'Of the bundles that the caller may read', schema: 'Deployments' } },
      async handle({ caller }) {
        const bundles = await readable(control, caller)
        const left = control.left().filter(({ bundle }) => caller.may('read', `bundles/${bundle}`))
        return { body: { deployments: bundles.flatMap((bundle) => bundle.deployments), left } }
      },
    },
  ]
}

function serverOperations({ control, logger }: OperationOptions): Operation[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/config/reload',
      summary: 'Read the config again and take it up, or refuse it as a whole',
      needs: { action: 'admin', of: 'server' },
      answers: { 200: { description: 'Which bundles came, changed and went', schema: 'Reloaded' } },
      async handle({ caller, requestId }) {
        const reloaded = await control.reload()
        logger.info({ audit: true, who: caller.name, action: 'reload', requestId, ...reloaded }, 'config reloaded')
        return { body: reloaded }
      },
    },
  ]
}

async function readable(control: Control, caller: Exchange['caller']): Promise<BundleStatus[]> {
  const bundles = await control.status()
  return bundles.filter(({ name }) => caller.may('read', `bundles/${name}`))
}

async function statusOf(control: Control, name: string): Promise<BundleStatus> {
  const found = (await control.status()).find((bundle) => bundle.name === name)
  if (found === undefined) throw new Refused(unknownBundle(name))
  return found
}

async function look(control: Control, { request, signal }: Exchange, name: string): Promise<Look> {
  request.setTimeout(lookTimeoutMs)
  const done = await control.look(name, 'request', signal)
  if (done === undefined) throw new Refused(unknownBundle(name))
  return done
}

const statuses: Record<string, number> = {
  timeout: 504,
  busy: 503,
  circuit_open: 503,
  rate_limited: 503,
  ...storageStatuses,
}

/** Refused content is the client's to mend (422), a store that fails is a gateway's trouble. */
function statusOfFailure({ outcome, code }: Look): number {
  if (outcome === 'refused') return 422
  return statuses[code ?? ''] ?? 502
}
