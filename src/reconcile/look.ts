import { IntegrityError, LongshoreError, RemoteError } from '../lib/errors.ts'
import type { Clock } from '../lib/clock.ts'
import { isExact, nameOf } from '../model/follow.ts'
import type { Look, Memo, Release } from '../model/release.ts'
import { tagOf } from '../oci/tag.ts'
import type { Registry } from '../registry/types.ts'
import type { ReleaseDraft, State } from '../state/state.ts'
import type { Candidate } from '../stores/store.ts'
import { findCandidate, followedBy, type Held, type Listing } from './candidate.ts'
import { decide, isGarbled, triedAgainAt } from './decide.ts'
import { isWhole, mend } from './mend.ts'
import { prepare, repositoryOf, unpulled, withdraw } from './prepare.ts'
import type { Assembler, BundleSpec } from './types.ts'

export interface LookContext {
  state: State
  registry: Registry
  assembler: Assembler
  clock: Clock
  /** A folder for work in progress, on the content's file system. */
  scratch: string
  opaPath?: string
}

export interface Known {
  current: Release | null
  settled: Look | null
  trigger: string
  /** What an earlier look found of a candidate, so that the state need not be asked; undefined where nothing is known any more. */
  memo: Memo | undefined
  /** Called with the memo that the next look may rest on. */
  remembered: (memo: Memo | undefined) => void
  /** The spec as it is when the release is committed: what does not bear on content may have changed meanwhile. */
  latest: () => Pick<BundleSpec, 'keep' | 'places'>
  /** Since the current release another version or another store was asked for: then what counts there may be older. */
  isRedirected: boolean
  /** Whose word it was, where a person's made something else count. */
  by: string | null
  /** Called where a list of what the store has was needed. */
  listed: (listing: Listing) => void
  /** Called as soon as the store has answered. */
  offered: (candidate: Candidate) => void
  /** Called when bytes of what is served that were lost are there again. */
  mended: (release: Release) => void
}

/** A candidate; one that is not taken for its version alone is never asked for its fingerprint. */
export interface Offer {
  version: string
  fingerprint: string | null
}

/** What came of one look that was not cut short; failures are thrown. */
export type Finding = { candidate: Offer; bytes: number } & (
  | { outcome: 'released'; release: Release }
  | { outcome: 'unchanged' }
  /** `againAt`: when it is fetched again, where what came was not what was asked for. */
  | { outcome: 'refused'; message: string; code: string; againAt: number | null }
)

/**
 * Asks the store what there is, and brings it in if it is new: fetched into `bundles/NAME`, assembled, committed. The signal is
 * aborted when the recipe changes: what was begun under the older one does not commit. Throws what keeps a look from
 * finding out: RemoteError, StorageError, ConfigError.
 */
export async function lookAt(
  spec: BundleSpec,
  known: Known,
  context: LookContext,
  signal: AbortSignal,
): Promise<Finding> {
  const lost = await mendCurrent(spec, known, context, signal)
  const found = await findCandidate(spec, known, context, signal)
  if (found === undefined) throw nothingThere(spec)
  if ('held' in found) return stepDown(spec, found.held)
  const { candidate } = found
  known.offered(candidate)
  const { fingerprint } = candidate
  const isKnown = isCurrent(known, fingerprint, spec.recipe)
  const memo = isKnown ? known.memo : await context.state.bundles.memo(spec.name, fingerprint, spec.recipe)
  signal.throwIfAborted()
  const decision = decide({ ...known, candidate, memo, now: context.clock.now(), isChosen: !isExact(spec.follow) })
  // What is brought in may be remembered otherwise.
  known.remembered(decision.do === 'fetch' ? undefined : memo)
  if (decision.do === 'nothing') {
    if (lost.error !== undefined) throw lost.error
    return { outcome: 'unchanged', candidate, bytes: lost.bytes }
  }
  if (decision.do === 'refuse') {
    const { reason: message, code, againAt } = decision
    return { outcome: 'refused', candidate, bytes: 0, message, code, againAt }
  }
  // What comes is named by no manifest yet, and its manifest by no release.
  const end = context.registry.hold(repositoryOf(spec.name))
  try {
    return await bringIn(spec, candidate, { ...known, reason: decision.reason, memo }, context, signal)
  } finally {
    end()
  }
}

/** Whether the memo at hand is of this candidate, and of what is served: any other is asked for. */
function isCurrent({ memo, current }: Known, fingerprint: string, recipe: string): boolean {
  if (memo?.fingerprint !== fingerprint || memo.recipe !== recipe) return false
  return 'release' in memo.verdict && memo.verdict.release === current?.number
}

/** Before all else, since what is offered now may be something else. What kept it from that counts only where nothing newer comes. */
async function mendCurrent(
  spec: BundleSpec,
  { current, mended }: Known,
  context: LookContext,
  signal: AbortSignal,
): Promise<{ bytes: number; error?: Error }> {
  if (current === null || !spec.pull || (await isWhole(current, context))) return { bytes: 0 }
  try {
    const { bytes } = await mend(spec, current, context, signal)
    mended(current)
    return { bytes }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof LongshoreError)) throw error
    return { bytes: 0, error }
  }
}

async function bringIn(
  spec: BundleSpec,
  candidate: Candidate,
  known: Known & { reason: string; memo: Memo | undefined },
  context: LookContext,
  signal: AbortSignal,
): Promise<Finding> {
  const { state, clock } = context
  const key = { bundle: spec.name, fingerprint: candidate.fingerprint, recipe: spec.recipe }
  const remember = async (verdict: Memo['verdict']) => {
    const memo = { ...key, verdict, at: clock.now() }
    await state.bundles.remember(memo)
    return memo
  }
  let prepared
  try {
    prepared = spec.pull ? await prepare(spec, candidate, context, signal) : unpulled(candidate)
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof IntegrityError)) throw error
    const message = messageOf(error)
    const { code, file = null } = error
    const tries = isGarbled(code) ? { tries: triesOf(known.memo) + 1 } : {}
    const memo = await remember({ refused: message, code, file, ...tries })
    return { outcome: 'refused', candidate, bytes: 0, message, code, againAt: triedAgainAt(memo) }
  }
  const { bytes, ...made } = prepared
  const draft: ReleaseDraft = { bundle: spec.name, version: candidate.version, reason: known.reason, ...made }
  signal.throwIfAborted()
  const isRenamed = !isExact(spec.follow) && known.current?.version !== candidate.version
  if (known.current !== null && !isRenamed && isSame(known.current, draft)) {
    await remember({ release: known.current.number })
    if (spec.pull) await withdraw(spec.name, draft.sourceDigest, context)
    return { outcome: 'unchanged', candidate, bytes }
  }
  const { places, keep } = known.latest()
  const release = await state.bundles.append(draft, {
    tags: spec.pull ? [...new Set(['latest', tagOf(candidate.version)])] : [],
    memo: key,
    places: places.map(({ name }) => name),
    keep,
    at: clock.now(),
    followed: followedBy(spec),
    by: known.by ?? candidate.by,
  })
  return { outcome: 'released', candidate, bytes, release }
}

function triesOf(memo: Memo | undefined): number {
  return memo !== undefined && 'refused' in memo.verdict ? (memo.verdict.tries ?? 1) : 0
}

function isSame(current: Release, draft: ReleaseDraft): boolean {
  return current.bundleDigest === draft.bundleDigest && current.manifestDigest === draft.manifestDigest
}

function messageOf({ message, file }: IntegrityError): string {
  return file === undefined || message.includes(file) ? message : `${file}: ${message}`
}

function nothingThere({ store, follow }: BundleSpec): RemoteError {
  return new RemoteError('not_found', `${store.name} has nothing for ${nameOf(follow)}`, {
    host: store.name,
    hint: 'Push it there, or change what the bundle follows; what was released before stays.',
  })
}

function stepDown({ store, name }: BundleSpec, { best, running }: Held): Finding {
  const message = `${running} is gone from ${store.name}, and ${best} is older: what is served stays. To go down, set allow_downgrade for ${name}`
  return {
    outcome: 'refused',
    candidate: { version: best, fingerprint: null },
    bytes: 0,
    message,
    code: 'step_down',
    againAt: null,
  }
}
