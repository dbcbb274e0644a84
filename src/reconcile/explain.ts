import { LongshoreError } from '../lib/errors.ts'
import { isExact, nameOf, type Exact, type Verdict } from '../model/follow.ts'
import { judgePlace, type Explanation, type TagsExplained } from '../model/explain.ts'
import type { Look } from '../model/release.ts'
import type { BundleStatus } from '../model/status.ts'
import type { Promoter } from '../stores/store.ts'
import { judge, type Judgement } from './follow.ts'
import type { TagList, Listed } from './tag-list.ts'
import type { BundleSpec } from './types.ts'
import type { Past } from './candidate.ts'

/** What is looked at, and what is known of it. */
export interface Explained extends Past {
  /** With what a pin makes of it. */
  spec: BundleSpec
  look: Look | null
  list: TagList
}

/** At most `limit` tags, best first. A store that cannot be asked leaves everything else as it is. */
export async function explain(
  status: BundleStatus,
  watched: Explained,
  limit: number,
  signal: AbortSignal,
): Promise<Explanation> {
  return {
    bundle: status,
    tags: await explainTags(watched, limit, signal),
    places: status.deployments.map((place) => ({ place: place.place, verdict: judgePlace(place, status.held) })),
  }
}

async function explainTags(watched: Explained, limit: number, signal: AbortSignal): Promise<TagsExplained> {
  const { spec, list } = watched
  const promoter = promoterOf(watched)
  const follow = promoter === undefined ? nameOf(spec.follow) : `what is promoted from ${promoter.terms.from}`
  try {
    const listed = await list.get(spec, watched, signal)
    const verdicts = promoter === undefined ? judged(watched, listed) : promoted(watched, promoter, listed)
    return {
      follow,
      askedAt: listed.at,
      total: verdicts.length,
      verdicts: verdicts.slice(0, limit),
      error: null,
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof LongshoreError)) throw error
    const { code, message } = error
    return { follow, askedAt: null, total: 0, verdicts: [], error: { code, message } }
  }
}

/** As the next look would, but for what it finds gone. */
function judged(watched: Explained, listed: Listed): Judgement['verdicts'] {
  const { spec, look, current, isRedirected } = watched
  const { follow } = spec
  const { tags, times, gone } = listed
  if (isExact(follow)) return judge(follow, ...withFollowed(follow, tags, look)).verdicts
  const allowDowngrade = spec.allowDowngrade || isRedirected
  const tag = current?.version
  const running = listed.running?.tag === tag ? listed.running : tag === undefined ? undefined : { tag }
  return judge(follow, tags, { times, gone, running, allowDowngrade }).verdicts
}

/** What is promoted from another bundle counts, whatever its tags; undefined for all other bundles, and while a version is named. */
function promoterOf({ spec: { store, follow } }: Explained): Promoter | undefined {
  return 'tag' in follow && follow.tag === 'latest' ? store.promoter : undefined
}

/** The version that was promoted is taken, which need not be the newest there is. Before that, none is. */
function promoted({ current, look }: Explained, { terms }: Promoter, { tags }: Listed): Judgement['verdicts'] {
  const not: Verdict = { code: 'not_promoted', from: terms.from }
  if (current === null) return tags.map((tag) => ({ tag, verdict: not }))
  const { verdicts } = judge({ tag: current.version }, ...withFollowed({ tag: current.version }, tags, look))
  return verdicts.map((one) => (one.verdict.code === 'not_followed' ? { ...one, verdict: not } : one))
}

/** What is followed by its name comes first, and also where no list has it: a digest never is in one. */
function withFollowed(
  follow: Exact,
  tags: readonly string[],
  look: Look | null,
): [tags: string[], known: { gone: Set<string> }] {
  const followed = nameOf(follow)
  const isGone = 'tag' in follow ? !tags.includes(followed) : look?.code === 'not_found'
  const others = tags.filter((tag) => tag !== followed)
  return [[followed, ...others], { gone: new Set(isGone ? [followed] : []) }]
}
