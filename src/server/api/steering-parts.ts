import { z } from 'zod'
import type { Logger } from '../../lib/logger.ts'
import type { Said } from '../../model/decision.ts'
import type { BundleStatus } from '../../model/status.ts'
import type { Control } from '../types.ts'
import type { Answer, Call } from './operation.ts'

/** What routes need by which persons decide something. */
export interface SteeringApiParts {
  control: Control
  logger: Logger
  /** Throws where there is no such bundle. */
  statusOf: (name: string) => Promise<BundleStatus>
}

export const reason = z.string().max(1000).default('').describe('For those who read it later')

export function saidIn({ caller }: Call, because: string): Said {
  return { by: caller.name, reason: because }
}

export function audit({ logger }: SteeringApiParts, { caller, requestId }: Call, action: string, what: object): void {
  logger.info({ audit: true, who: caller.name, action, requestId, ...what }, `${action} by ${caller.name}`)
}

export function ofBundle({ statusOf }: SteeringApiParts, handle: (call: Call) => Promise<Answer>) {
  return async (call: Call): Promise<Answer> => {
    await statusOf(call.name)
    return handle(call)
  }
}
