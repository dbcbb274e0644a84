import { z } from 'zod'
import { everyBundle, type PinTo } from '../../model/decision.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import { isTag } from '../../oci/reference.ts'
import { approveOperation } from './approve.ts'
import { Refused, type Answer, type Call, type Operation } from './operation.ts'
import { audit, ofBundle, reason, saidIn, type SteeringApiParts } from './steering-parts.ts'

const wordBody = z.strictObject({ reason })
const place = z.string().min(1).nullable().default(null).describe('One place; all of the bundle unless said')
const autoDeployBody = z.strictObject({
  on: z.boolean().describe('Whether new releases go there by themselves'),
  to: place,
  reason,
})
const pinBody = z.strictObject({
  version: z
    .string()
    .min(1)
    .describe('A tag, which is followed wherever it moves; or, frozen, a release `@41` or a digest `@sha256:…`'),
  reason,
})
const rollbackBody = z.strictObject({
  release: z.int().min(1).nullable().default(null).describe('Its number; the one before what is served unless said'),
  reason,
})
const deployBody = z.strictObject({
  to: place,
  dryRun: z.boolean().default(false).describe('Change nothing, say what would be done'),
  reason,
})
/** A look downloads, and these answer when it is done. */
const lookTimeoutMs = 15 * 60_000
/** Each place is asked what it holds. */
const planTimeoutMs = 5 * 60_000

/** What persons say of bundles: each is written to the log as an audit line, and kept as an event. */
export function steeringOperations(parts: SteeringApiParts): Operation[] {
  return [
    ...pinOperations(parts),
    approveOperation(parts),
    ...holdOperations(parts),
    autoDeployOperation(parts),
    deployOperation(parts),
  ]
}

function pinOperations(parts: SteeringApiParts): Operation[] {
  const { steering } = parts.control
  const pinned = { 200: { description: 'What is pinned, and what the look at it came to', schema: 'Pinned' as const } }
  return [
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/pin',
      summary: 'Serve this version from now on, whatever the config follows; answers when it was looked at',
      needs: { action: 'deploy', of: 'bundle' },
      body: pinBody,
      answers: pinned,
      handle: ofBundle(parts, async (call) => {
        call.request.setTimeout(lookTimeoutMs)
        const { version, reason: because } = pinBody.parse(call.body)
        const body = await steering.pin(call.name, parsePin(version), saidIn(call, because), call.signal)
        audit(parts, call, 'pin', { bundle: call.name, to: body.to })
        return { body }
      }),
    },
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/unpin',
      summary: 'Follow what the config says again; answers when it was looked at',
      needs: { action: 'deploy', of: 'bundle' },
      body: wordBody,
      answers: { 200: { description: 'Whether it was pinned, and what the look came to', schema: 'Unpinned' } },
      handle: ofBundle(parts, async (call) => {
        call.request.setTimeout(lookTimeoutMs)
        const said = saidIn(call, wordBody.parse(call.body).reason)
        const body = await steering.unpin(call.name, said)
        audit(parts, call, 'unpin', { bundle: call.name })
        return { body }
      }),
    },
    {
      method: 'POST',
      path: '/api/v1/bundles/{name}/rollback',
      summary: 'Pin a release of the past: the one before what is served, or any by its number',
      needs: { action: 'deploy', of: 'bundle' },
      body: rollbackBody,
      answers: pinned,
      handle: ofBundle(parts, async (call) => {
        call.request.setTimeout(lookTimeoutMs)
        const { release, reason: because } = rollbackBody.parse(call.body)
        const body = await steering.rollback(call.name, release, saidIn(call, because), call.signal)
        audit(parts, call, 'rollback', { bundle: call.name, to: body.to })
        return { body }
      }),
    },
  ]
}

/** `v1.4.2`, `@41`, `@sha256:…`. */
function parsePin(text: string): PinTo {
  const frozen = text.startsWith('@') ? text.slice(1) : undefined
  if (isDigest(frozen ?? text)) return { digest: (frozen ?? text) as Digest }
  if (frozen !== undefined && /^[1-9]\d{0,14}$/.test(frozen)) return { release: Number(frozen) }
  if (frozen === undefined && isTag(text)) return { tag: text }
  throw new Refused({
    status: 400,
    code: 'bad_version',
    message: `"${text.slice(0, 200)}" is no version`,
    hint: 'A tag such as v1.4.2, a release such as @41, or a digest such as @sha256:…',
  })
}

function holdOperations(parts: SteeringApiParts): Operation[] {
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

function autoDeployOperation(parts: SteeringApiParts): Operation {
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

function deployOperation(parts: SteeringApiParts): Operation {
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
