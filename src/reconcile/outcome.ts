import { LongshoreError, RemoteError } from '../lib/errors.ts'
import { backoffMs, type Backoff } from '../lib/retry.ts'
import { nextLookAt, type Schedule } from '../lib/schedule.ts'
import type { Look } from '../model/release.ts'
import type { Candidate } from '../stores/store.ts'
import type { Due } from './alarm.ts'
import type { Finding } from './look.ts'

/** After failed looks; the bundle's own interval is the longest wait. */
const backoff: Backoff = { firstMs: 2000, factor: 2, capMs: 600_000 }

type Outcome = Pick<Look, 'outcome' | 'version' | 'fingerprint' | 'message' | 'code'>

/** What one look came to, before it is written down. */
export interface Found {
  outcome: Outcome
  finding?: Finding
  error?: unknown
}

export function outcomeOf(finding: Finding): Outcome {
  const { version, fingerprint } = finding.candidate
  const why = finding.outcome === 'refused' ? finding : { message: null, code: null }
  return { outcome: finding.outcome, version, fingerprint, message: why.message, code: why.code }
}

export function failureOf(error: unknown, offered: Candidate | null): Outcome {
  const { message, code } = error instanceof LongshoreError ? error : { message: messageOf(error), code: 'internal' }
  const { version = null, fingerprint = null } = offered ?? {}
  return { outcome: 'failed', version, fingerprint, message, code }
}

/**
 * A registry that is left alone for a while was not asked: what the look before failed with is still what is known, and no news.
 * Who asks for a look is told how it is.
 */
export function stillKnown(before: Look | null, { trigger, outcome }: { trigger: string; outcome: Outcome }): Outcome {
  if (outcome.code !== 'circuit_open' || trigger === 'request' || before?.outcome !== 'failed') return outcome
  const { version, fingerprint, message, code } = before
  return { outcome: 'failed', version, fingerprint, message, code }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

export function isSettled(look: Look | null): boolean {
  return look?.outcome === 'released' || look?.outcome === 'unchanged'
}

/** Whether a look says nothing that the one before did not: then it is not written down. */
export function sameOutcome(before: Look | null, now: Look): boolean {
  if (before === null || now.outcome === 'released') return false
  const is = before.outcome === 'released' ? 'unchanged' : before.outcome
  return (
    is === now.outcome &&
    before.version === now.version &&
    before.fingerprint === now.fingerprint &&
    // Those say how long it is to wait, which is something else each time.
    (before.message === now.message || now.code === 'rate_limited' || now.code === 'circuit_open') &&
    before.code === now.code
  )
}

/** When to look next: by the schedule; sooner after a failure, but never before the other side wants to be asked again. */
export function nextDue(
  schedule: Schedule,
  now: number,
  { failures, finding, error }: { failures: number; finding: Finding | undefined; error: unknown },
  random: () => number,
): Due | null {
  const due = nextLookAt(schedule, now, random)
  const againAt = finding?.outcome === 'refused' ? finding.againAt : null
  if (againAt !== null) return { at: Math.min(due ?? Infinity, Math.max(againAt, now)), isTimeOfDay: false }
  if (failures === 0) return due === null ? null : { at: due, isTimeOfDay: schedule.kind === 'cron' }
  const retryAt = now + Math.round(backoffMs(failures, backoff, random))
  const notBefore = now + (error instanceof RemoteError ? (error.retryAfterMs ?? 0) : 0)
  return { at: Math.max(Math.min(due ?? Infinity, retryAt), notBefore), isTimeOfDay: false }
}

/** What waits for a moment is looked at then. */
export function soonerOf(due: Due | null, at: number | null): Due | null {
  return at === null || (due !== null && due.at <= at) ? due : { at, isTimeOfDay: false }
}
