import { compilePattern } from '../lib/pattern.ts'
import { compareVersions, findVersion, parseRange, parseVersion, type Version } from '../lib/version.ts'
import { isExact, nameOf, type Follow, type FollowPattern, type FollowRange, type Verdict } from '../model/follow.ts'

/** What is known besides the list of tags. */
export interface Known {
  /** When what a tag stands for was made, in milliseconds since the epoch; for the order `created`. */
  times?: ReadonlyMap<string, number> | undefined
  /** Those that were in the list, and were not there when they were asked for. */
  gone?: ReadonlySet<string> | undefined
  /** What runs: the tag it was taken by, and when it was made where that is known. */
  running?: { tag: string; at?: number | undefined } | undefined
  /** Whether an older one than what runs is taken where that is gone. */
  allowDowngrade?: boolean | undefined
}

export interface Judgement {
  /** What counts, best first; the first that is there when it is asked for is taken. None where all are older than what runs. */
  candidates: string[]
  /** The best of what there is, where that is older than what ran, which is gone. */
  held: { best: string; running: string } | undefined
  /** On every tag: those that count first, best first, then the others in the order they came in. */
  verdicts: { tag: string; verdict: Verdict }[]
}

/** A tag that counts, with what it is ordered by. */
interface Ranked<K> {
  tag: string
  key: K
}

type Reading<K> = { key: K } | { verdict: Verdict }

/** One way to read and to order tags. */
interface Reader<K> {
  read(tag: string, at: number | undefined): Reading<K>
  /** More than 0 where `a` is newer; 0 where both are one version. */
  compare(a: K, b: K): number
  /** Of two names of one version, more than 0 where `a` is the plain one. */
  plainer?(a: Ranked<K>, b: Ranked<K>): number
}

/**
 * Which of these tags counts, and of every tag why, or why not. Pure: the same code decides and explains. Throws ConfigError
 * for a range or a pattern that cannot be read.
 */
export function judge(follow: Follow, tags: readonly string[], known: Known = {}): Judgement {
  if (isExact(follow)) return judgeExact(nameOf(follow), tags, known)
  if ('semver' in follow) return rank(inRange(follow), tags, known)
  switch (follow.order) {
    case 'semver':
      return rank(matching(follow, byVersion), tags, known)
    case 'numeric':
      return rank(matching(follow, byNumber), tags, known)
    case 'alphabetical':
      return rank(matching(follow, byText), tags, known)
    case 'created':
      return rank(matching(follow, byTime), tags, known)
  }
}

/** Those that the pattern matches: of these alone it is asked when they were made. */
export function matchesOf({ pattern }: FollowPattern, tags: readonly string[]): string[] {
  const compiled = compilePattern(pattern)
  return tags.filter((tag) => compiled.match(tag) !== undefined)
}

function judgeExact(followed: string, tags: readonly string[], { gone }: Known): Judgement {
  const isThere = tags.includes(followed) && gone?.has(followed) !== true
  const verdictOf = (tag: string): Verdict => {
    if (tag !== followed) return { code: 'not_followed', follow: followed }
    return { code: isThere ? 'taken' : 'gone' }
  }
  return {
    candidates: isThere ? [followed] : [],
    held: undefined,
    verdicts: tags.map((tag) => ({ tag, verdict: verdictOf(tag) })),
  }
}

function rank<K>(reader: Reader<K>, tags: readonly string[], known: Known): Judgement {
  const { times, gone } = known
  const ranked: Ranked<K>[] = []
  const others: Judgement['verdicts'] = []
  for (const tag of tags) {
    const reading = reader.read(tag, times?.get(tag))
    if (!('key' in reading)) others.push({ tag, verdict: reading.verdict })
    else if (gone?.has(tag) === true) others.push({ tag, verdict: { code: 'gone' } })
    else ranked.push({ tag, key: reading.key })
  }
  ranked.sort((a, b) => reader.compare(b.key, a.key) || (reader.plainer?.(b, a) ?? 0) || (a.tag < b.tag ? 1 : -1))
  const [best] = ranked
  const held = best && heldBy(reader, best, ranked, known)
  const verdictOf = ({ tag, key }: Ranked<K>): Verdict => {
    if (tag !== best!.tag) {
      return { code: reader.compare(key, best!.key) === 0 ? 'same_version_as' : 'older_than', tag: best!.tag }
    }
    return held === undefined ? { code: 'taken' } : { code: 'step_down', tag: held.running }
  }
  return {
    candidates: held === undefined ? ranked.map(({ tag }) => tag) : [],
    held,
    verdicts: [...ranked.map((one) => ({ tag: one.tag, verdict: verdictOf(one) })), ...others],
  }
}

/**
 * What ran is gone, and the best there is is older. What ran and does not count by this policy was taken by another one, or by
 * a person's word: then a step down is what was asked for.
 */
function heldBy<K>(
  reader: Reader<K>,
  best: Ranked<K>,
  ranked: readonly Ranked<K>[],
  { running, allowDowngrade }: Known,
): Judgement['held'] {
  if (running === undefined || allowDowngrade === true) return undefined
  const reading = reader.read(running.tag, running.at)
  if (!('key' in reading) || reader.compare(best.key, reading.key) >= 0) return undefined
  // A tag that moved to something older is followed there.
  if (ranked.some(({ tag }) => tag === running.tag)) return undefined
  return { best: best.tag, running: running.tag }
}

function inRange({ semver: text, prerelease }: FollowRange): Reader<Version> {
  const range = parseRange(text)
  return {
    ...byVersion,
    read(tag) {
      const key = parseVersion(tag)
      if (key === undefined) return { verdict: { code: 'not_a_version' } }
      if (prerelease ? range.spans(key) : range.has(key)) return { key }
      const isOther = key.prerelease.length === 0 || !range.spans(key)
      return { verdict: isOther ? { code: 'outside_range', range: text } : { code: 'prerelease' } }
    },
  }
}

/** Reads the part of a tag that the pattern's group holds, or all of it. */
function matching<K>({ pattern }: FollowPattern, reader: Reader<K>): Reader<K> {
  const compiled = compilePattern(pattern)
  return {
    ...reader,
    read(tag, at) {
      const key = compiled.match(tag)
      return key === undefined ? { verdict: { code: 'no_match', pattern } } : reader.read(key, at)
    },
  }
}

const byVersion: Reader<Version> = {
  read(text) {
    const key = findVersion(text)
    return key === undefined ? { verdict: { code: 'not_a_version' } } : { key }
  },
  compare: compareVersions,
  plainer: (a, b) => plainness(a) - plainness(b),
}

/** `1.2.3` before `v1.2.3` before `1.2.3_build`; `1.2.0` before `1.2`, which often is a name for the newest of many. */
function plainness({ tag, key }: Ranked<Version>): number {
  const isFull = /\d+\.\d+\.\d/.test(tag)
  return (key.hasBuild ? 0 : 4) + (isFull ? 2 : 0) + (/^\d/.test(tag) ? 1 : 0)
}

/** The last run of digits, of any length. */
const byNumber: Reader<string> = {
  read(text) {
    const digits = text.match(/\d+/g)?.at(-1)
    return digits === undefined ? { verdict: { code: 'no_number' } } : { key: digits.replace(/^0+(?=\d)/, '') }
  },
  compare: (a, b) => a.length - b.length || compareText(a, b),
}

const byText: Reader<string> = { read: (text) => ({ key: text }), compare: compareText }

const byTime: Reader<number> = {
  read: (_text, at) => (at === undefined ? { verdict: { code: 'no_time' } } : { key: at }),
  compare: (a, b) => a - b,
}

/** The same everywhere, whatever the machine's language. */
function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}
