import type { Observation } from '../deployers/deployer.ts'
import type { Deployment } from '../model/deployment.ts'

// What a place's row becomes. Pure: whoever has the row saves it.

/** From now on this release, with all its attempts. */
export function desiring(row: Deployment, release: number): Deployment {
  return { ...row, desired: release, state: 'pending', attempts: 0, nextAttemptAt: null, lastError: null }
}

/** It may be well now: what was given up has all its attempts again. */
export function anew(row: Deployment): Deployment {
  return isGivenUp(row) ? { ...row, attempts: 0 } : row
}

/** As a start finds it: the end of the process cut an attempt short, and none is under way. */
export function found(row: Deployment): Deployment {
  return row.state === 'deploying' ? { ...row, state: 'pending' } : row
}

export function begun(row: Deployment, at: number): Deployment {
  return { ...attempted(row, at), state: 'deploying', attempts: row.attempts + 1 }
}

/** What is there came before this attempt, also where somebody set the clock back since: `isWhole` rests on that. */
function attempted(row: Deployment, at: number): Deployment {
  const deployedAt = row.deployedAt === null ? null : Math.min(row.deployedAt, at - 1)
  return { ...row, deployedAt, lastAttemptAt: at }
}

/** `forced`: up to which word of a person this was done; `at`: when it was put there, null where it was there already. */
export function done(
  row: Deployment,
  release: number,
  said: Observation | undefined,
  { forced, at }: { forced: number; at: number | null },
): Deployment {
  const facts = {
    observed: said?.digest ?? null,
    deployed: release,
    forcedDone: forced,
    deployedAt: at ?? lastPutAt(row),
    lastAttemptAt: at === null || row.lastAttemptAt === null ? row.lastAttemptAt : Math.min(at, row.lastAttemptAt),
  }
  const isLast = row.desired === release
  return { ...row, ...facts, ...(isLast && ({ state: 'done', nextAttemptAt: null, lastError: null } as const)) }
}

/** An attempt that seemed to fail may have put it there all the same. */
function lastPutAt({ deployedAt, lastAttemptAt }: Deployment): number | null {
  return deployedAt === null || lastAttemptAt === null ? deployedAt : Math.max(deployedAt, lastAttemptAt)
}

/** `pauseMs` says after how many attempts how long to wait. `isTried`: false where nobody was asked, so that it counts as no attempt. */
export function failed(
  row: Deployment,
  { lastError, at, isTried }: { lastError: string; at: number; isTried: boolean },
  pauseMs: (attempts: number) => number | null,
): Deployment {
  // Where it could not even be asked what it holds, nothing was put there.
  const hadBegun = row.state === 'deploying'
  const attempts = row.attempts + (isTried && !hadBegun ? 1 : 0)
  const waitMs = pauseMs(attempts)
  const nextAttemptAt = waitMs === null ? null : at + waitMs
  return { ...(hadBegun ? attempted(row, at) : row), state: 'failed', attempts, lastError, nextAttemptAt }
}

/** Somebody has put right what somebody else had changed. */
export function mended(row: Deployment, said: Observation | undefined): Deployment {
  const state = row.desired === row.deployed ? 'done' : 'pending'
  return { ...row, observed: said?.digest ?? null, state, lastError: null }
}

/** The row as it was saved, where another one was desired or asked for meanwhile: only facts are taken over. */
export function withFacts(row: Deployment, saved: Deployment): Deployment {
  const { deployed, observed, deployedAt, lastAttemptAt, forcedDone } = saved
  return { ...row, deployed, observed, deployedAt, lastAttemptAt, forcedDone }
}

export function isGivenUp({ state, nextAttemptAt }: Deployment): boolean {
  return state === 'failed' && nextAttemptAt === null
}

/** Whether what the place holds is ours by all that we know: no attempt came after the one that put it there. */
export function isWhole({ state, deployed, deployedAt, lastAttemptAt }: Deployment): boolean {
  if (deployed === null || deployedAt === null || state === 'deploying' || state === 'failed') return false
  return lastAttemptAt === null || lastAttemptAt <= deployedAt
}
