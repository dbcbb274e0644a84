import { z } from 'zod'
import { isDigest, type Digest } from '../../oci/digest.ts'
import type { Said } from '../../model/decision.ts'
import { Refused, type Call, type Operation } from './operation.ts'
import { audit, ofBundle, reason, saidIn, type SteeringApiParts } from './steering-parts.ts'

const approveBody = z.strictObject({
  release: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      'Of the bundle that it comes from: its number `41`, or a digest `sha256:…`; the one that waits unless said',
    ),
  reason,
})

export function approveOperation(parts: SteeringApiParts): Operation {
  return {
    method: 'POST',
    path: '/api/v1/bundles/{name}/approve',
    summary: 'Agree to a release of the bundle that this one is promoted from; answers when it was looked at',
    needs: { action: 'deploy', of: 'bundle' },
    body: approveBody,
    answers: { 200: { description: 'Which release, and what still has to pass before it counts', schema: 'Approved' } },
    handle: ofBundle(parts, async (call: Call) => {
      const { release, reason: because } = approveBody.parse(call.body)
      const said: Said = saidIn(call, because)
      const body = await parts.control.steering.approve(call.name, release === null ? null : meantBy(release), said)
      audit(parts, call, 'approve', { bundle: call.name, release: body.release, digest: body.digest })
      return { body }
    }),
  }
}

/** `41`, `sha256:…`, and both as a pin writes them, behind an `@`. */
function meantBy(text: string): { release: number } | { digest: Digest } {
  const name = text.startsWith('@') ? text.slice(1) : text
  if (isDigest(name)) return { digest: name }
  if (/^[1-9]\d{0,14}$/.test(name)) return { release: Number(name) }
  throw new Refused({
    status: 400,
    code: 'bad_release',
    message: `"${text.slice(0, 200)}" is no release`,
    hint: 'A number such as 41, or a digest such as sha256:…',
  })
}
