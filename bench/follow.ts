import semver from 'semver'
import type { Follow } from '../src/model/follow.ts'
import { judge } from '../src/reconcile/follow.ts'
import type { Row } from './row.ts'

// How long it takes to decide which of many tags counts, with the reason for every tag. A look holds the event loop for that.

const count = 10_000
const rounds = 31
const goalMs = 20

const lists: Record<string, (at: number) => string> = {
  builds: (at) => `main-${(at * 7919).toString(16)}-${1_718_000_000 + at}`,
  versions: (at) => `v${at % 7}.${at % 101}.${at}`,
  'versions, builds and junk': (at) =>
    [
      `v1.${at % 101}.${at}`,
      `1.${at % 89}.${at}-rc.${at % 5}`,
      `main-${at.toString(16)}-${1_718_000_000 + at}`,
      `pr-${at}`,
    ][at % 4]!,
}

const policies: Record<string, Follow> = {
  'semver ^1': { semver: '^1', prerelease: false },
  'a pattern by semver': { pattern: '^v?[0-9]+\\.', order: 'semver' },
  'a pattern with a group by number': { pattern: '^main-[0-9a-f]+-(?<n>[0-9]+)$', order: 'numeric' },
  'a pattern by the alphabet': { pattern: '^[mv]', order: 'alphabetical' },
}

export async function* run(): AsyncGenerator<Row> {
  for (const [list, tagOf] of Object.entries(lists)) {
    const tags = Array.from({ length: count }, (_, at) => tagOf((at * 7919) % count))
    for (const [name, follow] of Object.entries(policies)) {
      const [ours, library] = compare(
        () => judge(follow, tags),
        () => semver.maxSatisfying(tags, '^1'),
      )
      yield {
        what: `${count} tags, ${list}: ${name}`,
        ours: `${ours.toFixed(1)} ms`,
        beside: `npm's semver.maxSatisfying ${library.toFixed(1)} ms`,
        goal: `≤ ${goalMs} ms`,
        holds: ours <= goalMs,
      }
    }
  }
}

/** In turns, so that a slow moment of the machine meets both. Medians in milliseconds. */
function compare(...subjects: [() => unknown, () => unknown]): [number, number] {
  const times = subjects.map((): number[] => [])
  for (let round = 0; round < rounds; round++) {
    subjects.forEach((subject, which) => {
      const startedAt = performance.now()
      subject()
      times[which]!.push(performance.now() - startedAt)
    })
  }
  const [ours, others] = times.map((some) => some.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!)
  return [ours!, others!]
}
