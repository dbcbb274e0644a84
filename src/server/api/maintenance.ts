import { z } from 'zod'
import type { Operation } from './operation.ts'
import type { OperationOptions } from './operations.ts'

const collectBody = z.strictObject({
  dryRun: z.boolean().default(false).describe('Change nothing, say what would go'),
})
const backupBody = z.strictObject({
  to: z.string().min(1).describe("A new or empty folder on the server's machine, as an absolute path"),
})
/** It is done in small steps, with pauses. */
const maintenanceTimeoutMs = 6 * 3_600_000

/** Work on the data folder as a whole. */
export function maintenanceOperations({ control, logger }: Pick<OperationOptions, 'control' | 'logger'>): Operation[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/gc',
      summary: 'Remove what nobody needs; answers when that is done',
      needs: { action: 'admin', of: 'server' },
      body: collectBody,
      answers: { 200: { description: 'What is gone, or would be', schema: 'Collected' } },
      async handle({ request, caller, requestId, signal, body }) {
        request.setTimeout(maintenanceTimeoutMs)
        const { dryRun } = collectBody.parse(body)
        const collected = await control.collect({ dryRun, signal })
        const { items: _, ...numbers } = collected
        logger.info({ audit: true, who: caller.name, action: 'gc', requestId, ...numbers }, 'collected')
        return { body: collected }
      },
    },
    {
      method: 'POST',
      path: '/api/v1/backup',
      summary: "Copy state and blobs into a folder of the server's machine; answers when that is done",
      needs: { action: 'admin', of: 'server' },
      body: backupBody,
      answers: { 200: { description: 'What was copied', schema: 'BackedUp' } },
      async handle({ request, caller, requestId, signal, body }) {
        request.setTimeout(maintenanceTimeoutMs)
        const { to } = backupBody.parse(body)
        const backedUp = await control.backUp({ to, signal })
        const { blobs, bytes, missing } = backedUp
        const what = { to, blobs, bytes, missing: missing.length }
        logger.info({ audit: true, who: caller.name, action: 'backup', requestId, ...what }, `backed up to ${to}`)
        return { body: backedUp }
      },
    },
    {
      method: 'POST',
      path: '/api/v1/verify-content',
      summary: 'Hash every blob, take away what is damaged and fetch again what can be; answers when that is done',
      needs: { action: 'admin', of: 'server' },
      answers: { 200: { description: 'What was found', schema: 'Verified' } },
      async handle({ request, caller, requestId, signal }) {
        request.setTimeout(maintenanceTimeoutMs)
        const verified = await control.verify({ signal })
        const { findings: _, ...numbers } = verified
        logger.info({ audit: true, who: caller.name, action: 'verify-content', requestId, ...numbers }, 'verified')
        return { body: verified }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/verify-content',
      summary: 'How far the verification is that runs now',
      needs: { action: 'admin', of: 'server' },
      answers: { 200: { description: 'What was hashed so far', schema: 'Verifying' } },
      handle() {
        const seen = control.verifying()
        return { body: { running: seen !== null, blobs: 0, bytes: 0, ...seen } }
      },
    },
  ]
}
