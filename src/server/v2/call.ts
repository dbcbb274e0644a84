import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Metrics } from '../../lib/metrics.ts'
import { isDigest, type Digest } from '../../oci/digest.ts'
import type { LocalRepository, Registry } from '../../registry/types.ts'
import type { Slots } from '../slots.ts'
import type { Action, Exchange } from '../types.ts'
import type { BodyMemory } from './body.ts'
import type { Endpoint } from './path.ts'
import { Refusal, refusal } from './refusal.ts'

export interface V2Options {
  registry: Registry
  limits: {
    /** Beyond it 413; the specification asks for 4 MiB at least. */
    maxManifestBytes: number
    maxBlobBytes: number
    /** How many names a list has at most in one answer. */
    pageMax: number
  }
  /** Whether logging in could help somebody: then who may not is told how (401), else only that (403). */
  challenge: boolean
  /** Why what `bundles/NAME` holds is not handed out; undefined where it is. Unless said, all is. */
  whyHidden?: (bundle: string) => string | undefined
  /** Blobs that are being sent, shared with whoever reads from disk too; 512 at a time unless said. */
  downloads?: Slots
  metrics: Pick<Metrics, 'limited'>
  logger: Logger
  clock: Clock
}

/** One request to one endpoint. */
export interface Call extends Endpoint {
  options: V2Options
  downloads: Slots
  bodies: BodyMemory
  exchange: Exchange
}

const readOnlyPrefix = 'bundles/'

export function repositoryOf(call: Call): LocalRepository {
  return call.options.registry.repository(call.repository)
}

/** Throws Refusal unless the caller may do it to the repository, or, where the endpoint has none, to any. */
export function demand(call: Call, action: Action): void {
  if (action !== 'read') refuseReadOnly(call.repository)
  const { caller } = call.exchange
  const target = call.repository === '' ? undefined : call.repository
  if (!caller.may(action, target)) throw denied(call, `${caller.name} may not ${action} ${target ?? 'anything'}`)
  const why = whyHidden(call, call.repository)
  if (why !== undefined) throw refusal(404, 'NAME_UNKNOWN', why, { name: call.repository })
}

/** For repositories that are not the call's own: whether the caller may know what they hold. */
export function canSee(call: Call, repository: string): boolean {
  return call.exchange.caller.may('read', repository) && whyHidden(call, repository) === undefined
}

function whyHidden({ options }: Call, repository: string): string | undefined {
  if (!repository.startsWith(readOnlyPrefix)) return undefined
  return options.whyHidden?.(repository.slice(readOnlyPrefix.length))
}

function denied(call: Call, message: string): Refusal {
  if (!call.exchange.caller.anonymous || !call.options.challenge) return refusal(403, 'DENIED', message)
  return new Refusal(401, [{ code: 'UNAUTHORIZED', message }], { 'WWW-Authenticate': 'Basic realm="longshore"' })
}

function refuseReadOnly(repository: string): void {
  if (!repository.startsWith(readOnlyPrefix)) return
  const message = `${repository} holds what longshore serves as a bundle and is read only: push to another repository and let the bundle follow that`
  throw new Refusal(405, [{ code: 'UNSUPPORTED', message }], { Allow: 'GET, HEAD' })
}

/** Throws Refusal DIGEST_INVALID: no digest goes further before it passed here. */
export function digestIn(text: string | null): Digest {
  if (text !== null && isDigest(text)) return text
  const given =
    text === null ? 'no digest was given' : `not a sha256 or sha512 digest: ${JSON.stringify(text.slice(0, 200))}`
  throw refusal(400, 'DIGEST_INVALID', given)
}

/** Who did what to what: one line for each change, for people who have to know later. */
export function audit(
  call: Call,
  action: 'push' | 'mount' | 'delete',
  what: { kind: 'blob' | 'manifest' | 'tag'; reference: string; digest: Digest },
): void {
  const { caller, requestId } = call.exchange
  call.options.logger.info(
    { audit: true, who: caller.name, action, repository: call.repository, ...what, requestId },
    `${caller.name}: ${action} ${call.repository} ${what.kind} ${what.reference}`,
  )
}
