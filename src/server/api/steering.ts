import { z } from 'zod'
import type { Logger } from '../../lib/logger.ts'
import { everyBundle, type Said } from '../../model/decision.ts'
import type { BundleStatus } from '../../model/status.ts'
import type { Control } from '../types.ts'
import type { Answer, Call, Operation } from './operation.ts'

const reason = z.string().max(1000).default('').describe('For those who read it later')
const wordBody = z.strictObject({ reason })
const place = z.string().min(1).nullable().default(null).describe('One place; all of the bundle unless said')
const autoDeployBody = z.strictObject({
  on: z.boolean().describe('Whether new releases go there by themselves'),
  to: place,
  reason,
})
const deployBody = z.strictObject({
  to: place,
  dryRun: z.boolean().default(false).describe('Change nothing, say what would be done'),
  reason,
})
/** Each place is asked what it holds. */
const planTimeoutMs = 5 * 60_000

interface Parts {
  control: Control
  logger: Logger
  /** Throws where there is no such bundle. */
  statusOf: (name: string) => Promise<BundleStatus>
}

/** What persons say of bundles: each is written to the log as an audit line, and kept as an event. */
export function steeringOperations(parts: Parts): Operation[] {
  return [...holdOperations(parts), autoDeployOperation(parts), deployOperation(parts)]
}

function holdOperations(parts: Parts): Operation[] {
  const { steering } = parts.control
  const hold = async (call: Call, bundle: string): Promise<Answer> => {
    const held = await steering.hold(bundle, saidIn(call, wordBody.parse(call.body).reason))
    audit(parts, call, 'hold', { bundle })
    return { body: { held } }
  }
  const resume = async (call: Call, bundle: string): Promise<Answer> => {
    const resumed = await steering.resume(bundle, saidIn(call, wordBody.parse(call.body).reason))
    audit(parts, call, 'resume', { bundle, resumed })
    return { body: { resumed } }
  }
  const held = { 200: { description: 'Whether it was not held before', schema: 'Held' as const } }
  const resumed = { 200: { description: 'Which were held', schema: 'Resumed' as const } }
  return [
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/hold',
      summary: 'Deploy nothing of a bundle before somebody says resume; it is served as before',
      needs: { action: 'deploy', of: 'bundle' },
      body: wordBody,
      answers: held,
      handle: ofBundle(parts, (call) => hold(call, call.name)),
    },
    {
      method: 'POST',
      path: '/api/v1/hold',
      summary: 'Deploy nothing at all before somebody says resume',
      needs: { action: 'deploy', of: 'server' },
      body: wordBody,
      answers: held,
      handle: (call) => hold(call, everyBundle),
    },
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/resume',
      summary: 'Go on deploying a bundle that was held',
      needs: { action: 'deploy', of: 'bundle' },
      body: wordBody,
      answers: resumed,
      handle: ofBundle(parts, (call) => resume(call, call.name)),
    },
    {
      method: 'POST',
      path: '/api/v1/resume',
      summary: 'Go on deploying all bundles that were held',
      needs: { action: 'deploy', of: 'server' },
      body: wordBody,
      answers: resumed,
      handle: (call) => resume(call, everyBundle),
    },
  ]
}

function autoDeployOperation(parts: Parts): Operation {
  return {
    method: 'POST',
    path: '/api/v1/bundles/{name}/auto-deploy',
    summary: 'Whether new releases go to a place, or to all places of a bundle, by themselves; goes before the config',
    needs: { action: 'deploy', of: 'bundle' },
    body: autoDeployBody,
    answers: { 200: { description: 'As it is now', schema: 'Switched' } },
    handle: ofBundle(parts, async (call) => {
      const { on, to, reason: because } = autoDeployBody.parse(call.body)
      await parts.control.steering.switchAutoDeploy(call.name, to, on, saidIn(call, because))
      audit(parts, call, 'auto-deploy', { bundle: call.name, place: to, on })
      return { body: { on } }
    }),
  }
}

function deployOperation(parts: Parts): Operation {
  const { steering } = parts.control
  return {
    method: 'POST',
    path: '/api/v1/bundles/{name}/deploy',
    summary: 'Put what is desired there now, whatever is there, also where auto-deploy is off; answers at once',
    needs: { action: 'deploy', of: 'bundle' },
    body: deployBody,
    answers: {
      200: { description: 'In a dry run: what would be done', schema: 'Plans' },
      202: { description: 'The deployments that begin', schema: 'Forced' },
    },
    handle: ofBundle(parts, async (call) => {
      const { to, dryRun, reason: because } = deployBody.parse(call.body)
      if (dryRun) {
        call.request.setTimeout(planTimeoutMs)
        return { body: { plans: await steering.plan(call.name, to, call.signal) } }
      }
      const deployments = await steering.deploy(call.name, to, saidIn(call, because))
      audit(parts, call, 'deploy', { bundle: call.name, place: to })
      return { status: 202, body: { deployments } }
    }),
  }
}

function saidIn({ caller }: Call, because: string): Said {
  return { by: caller.name, reason: because }
}

function audit({ logger }: Parts, { caller, requestId }: Call, action: string, what: object): void {
  logger.info({ audit: true, who: caller.name, action, requestId, ...what }, `${action} by ${caller.name}`)
}

function ofBundle({ statusOf }: Parts, handle: (call: Call) => Promise<Answer>) {
  return async (call: Call): Promise<Answer> => {
    await statusOf(call.name)
    return handle(call)
  }
}
