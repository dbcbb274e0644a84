import { RemoteError } from '../lib/errors.ts'
import { Limit } from '../lib/limit.ts'
import { isExact, type Follow } from '../model/follow.ts'
import type { Release } from '../model/release.ts'
import { createdOf } from '../oci/created.ts'
import type { Registry } from '../registry/types.ts'
import type { Candidate, Store } from '../stores/store.ts'
import { judge, matchesOf, type Judgement } from './follow.ts'
import { repositoryOf } from './prepare.ts'
import type { BundleSpec } from './types.ts'

export type Held = NonNullable<Judgement['held']>

export type Asked = Pick<BundleSpec, 'name' | 'store' | 'follow' | 'platform' | 'allowDowngrade' | 'schedule'>

export interface Past {
  current: Release | null
  isRedirected: boolean
}

/** What a store has, and what deciding about it needs to know besides. */
export interface Listing {
  tags: readonly string[]
  times: ReadonlyMap<string, number> | undefined
  running: { tag: string; at?: number | undefined } | undefined
  /** Those that were not there when they were asked for. */
  gone: Set<string>
}

/** What counts, and where: as the state keeps it, to be compared with what counts later. */
export function followedBy({ store, follow }: { store: { address: string }; follow: Follow }): string {
  return JSON.stringify({ store: store.address, follow })
}

/** Each is a request or two at each look. */
const mostTimed = 1_000
const timedAtOnce = 8
/** A list that is this far from what is there is no list of it. */
const mostGone = 20

/**
 * What the store offers of what is followed: one request where that has a name of its own. Else the list is asked for, and then
 * only of what would be taken what it stands for. Undefined when nothing counts. Throws RemoteError.
 */
export async function findCandidate(
  spec: Asked,
  past: Past & { listed: (listing: Listing) => void },
  context: { registry: Registry },
  signal: AbortSignal,
): Promise<{ candidate: Candidate } | { held: Held } | undefined> {
  const { store, follow } = spec
  if (isExact(follow)) {
    const candidate = await store.resolve(follow, signal)
    return candidate && { candidate }
  }
  const listing = await listTags(spec, past, context, signal)
  past.listed(listing)
  const { tags, times, running, gone } = listing
  const allowDowngrade = spec.allowDowngrade || past.isRedirected
  while (gone.size <= mostGone) {
    const { candidates, held } = judge(follow, tags, { times, gone, running, allowDowngrade })
    if (held !== undefined) return { held }
    const [best] = candidates
    if (best === undefined) return undefined
    const candidate = await store.resolve({ tag: best }, signal)
    if (candidate !== undefined) return { candidate }
    gone.add(best)
  }
  throw new RemoteError(
    'protocol',
    `${store.name} lists tags that it does not have: ${[...gone].slice(0, 3).join(', ')}`,
    {
      host: store.name,
    },
  )
}

/** Throws RemoteError. */
export async function listTags(
  spec: Asked,
  past: Past,
  context: { registry: Registry },
  signal: AbortSignal,
): Promise<Listing> {
  const tags = await spec.store.versions(signal)
  const times = await timesOf(spec, spec.follow, tags, signal)
  return { tags, times, running: await runningOf(spec, past, tags, context, signal), gone: new Set() }
}

/** Of those that the pattern matches, and only where that is what they are ordered by. */
async function timesOf(
  { store, platform }: Asked,
  follow: Follow,
  tags: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, number> | undefined> {
  if (!('pattern' in follow) || follow.order !== 'created') return undefined
  const matching = matchesOf(follow, tags)
  if (matching.length > mostTimed) {
    throw new RemoteError(
      'unsupported',
      `${matching.length} tags of ${store.name} match ${follow.pattern}: too many to ask each when it was made`,
      {
        host: store.name,
        hint: `Write a pattern that matches at most ${mostTimed}, or order by something that the tags say themselves.`,
      },
    )
  }
  const times = new Map<string, number>()
  const limit = new Limit(timedAtOnce)
  const ask = async (tag: string) => {
    const candidate = await store.resolve({ tag }, signal)
    const at = candidate && (await timeOf(store, candidate, { platform, signal }))
    if (at !== undefined) times.set(tag, at)
  }
  await Promise.all(matching.map((tag) => limit.do(() => ask(tag), signal)))
  return times
}

/** Undefined where it is gone by now. */
async function timeOf(
  store: Store,
  candidate: Candidate,
  options: { platform: string; signal: AbortSignal },
): Promise<number | undefined> {
  return orUndefined(store.createdAt(candidate, options))
}

async function orUndefined<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof RemoteError && error.code === 'not_found') return undefined
    throw error
  }
}

/** When it was made is asked only where its tag is gone: of our own copy, else of the store, which may have it without the tag. */
async function runningOf(
  { name, store, follow, platform }: Asked,
  { current }: Past,
  tags: readonly string[],
  { registry }: { registry: Registry },
  signal: AbortSignal,
): Promise<{ tag: string; at: number | undefined } | undefined> {
  if (current === null) return undefined
  const { version: tag, sourceDigest } = current
  if (!('pattern' in follow) || follow.order !== 'created' || tags.includes(tag)) return { tag, at: undefined }
  const options = { platform, signal }
  const own = await orUndefined(createdOf(registry.repository(repositoryOf(name)), sourceDigest, options))
  return { tag, at: own ?? (await timeOf(store, { version: tag, fingerprint: sourceDigest }, options)) }
}
