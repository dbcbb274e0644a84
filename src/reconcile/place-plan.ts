import type { Deploy, Deployer, Observation } from '../deployers/deployer.ts'
import { LongshoreError } from '../lib/errors.ts'
import type { Hold } from '../model/decision.ts'
import type { Deployment, Plan } from '../model/deployment.ts'

/** What an attempt that a person asks for would do, and why. The place is asked, nothing is changed. `what`: what is desired there. */
export async function planOf(
  { bundle, place, desired, deployed }: Deployment,
  what: Deploy | undefined,
  { deployer, hold }: { deployer: Deployer; hold: Hold | null },
  signal: AbortSignal,
): Promise<Plan> {
  const about = { bundle, place, desired, deployed }
  if (what === undefined) return { ...about, observed: null, does: 'nothing', why: 'there is no release yet' }
  let said: Observation | undefined
  try {
    said = await deployer.observe(what, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof LongshoreError)) throw error
    return { ...about, observed: null, does: 'nothing', why: `it cannot be asked what it has: ${error.message}` }
  }
  const observed = said?.digest ?? null
  if (hold !== null) return { ...about, observed, does: 'nothing', why: `held by ${hold.by}: ${hold.reason}` }
  const isThere = said?.settled ?? deployed === what.release.number
  const why = isThere ? 'it is there; asked for, it goes there once more' : `${deployer.name} does not have it`
  return { ...about, observed, does: isThere ? 'repeat' : 'deploy', why }
}
