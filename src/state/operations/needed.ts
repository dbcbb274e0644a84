import { sql, type RawBuilder } from 'kysely'
import type { Digest } from '../../oci/digest.ts'
import type { Db } from '../schema.ts'
import { rowsOf } from './repository.ts'

/** What manifests of a repository may be needed for. */
export interface Need {
  repository: string
  /** In `bundles/NAME`, where nobody but us writes, a tag keeps only what never was a release. Null: every tag and kept release keeps. */
  bundle: string | null
  /** Releases of the bundle that count as gone. */
  without: readonly number[]
  /** What was put, or lost what it was needed for, since then is needed. Milliseconds since the epoch. */
  before: number
}

/** How many manifests one search looks at: some milliseconds of the state's thread. */
export const maxSearched = 10_000

/**
 * Looks at the first of `digests`, at all of them if that is not too much at once: which of these somebody may need. One that hangs
 * together with more than `maxSearched` others counts as needed; they get fewer as others go.
 */
export async function findNeeded(
  db: Db,
  need: Need,
  digests: readonly Digest[],
): Promise<{ looked: readonly Digest[]; needed: Set<Digest> }> {
  for (let looked = digests; ; looked = looked.slice(0, Math.ceil(looked.length / 4))) {
    const needed = looked.length === 0 ? new Set<Digest>() : await search(db, need, looked)
    if (needed !== undefined) return { looked, needed }
    if (looked.length === 1) return { looked, needed: new Set(looked) }
  }
}

/**
 * A tag or a kept release stands for it, it is recent, or something that is needed names it, is referred to by it, or refers to it.
 * What is only referred to keeps what it names and refers to, but not what else refers to it. The search goes upwards from each to
 * what would keep it, so its cost does not grow with the repository. Undefined where that would be too much.
 */
async function search(db: Db, need: Need, digests: readonly Digest[]): Promise<Set<Digest> | undefined> {
  const ways = new Ways(digests)
  for (let reached = ways.next(); reached.length > 0; reached = ways.next()) {
    ways.add(await findKeepers(db, need.repository, reached))
    if (ways.size > maxSearched) return undefined
  }
  return ways.keptBy(await findRoots(db, need, ways.wholes()), digests)
}

/** As what a manifest may be kept: for itself, with all that hangs on it, or only because something refers to it. */
type As = 'whole' | 'subject'
interface Step {
  digest: Digest
  as: As
}

/** `keeper`, if it is needed, keeps `digest`. */
interface Keeping extends Step {
  keeper: Digest
  keeperAs: As
}

const keyOf = ({ digest, as }: Step) => `${as} ${digest}`

/** From what would keep something to what it keeps. */
class Ways {
  #reached: Step[] = []
  readonly #seen = new Set<string>()
  readonly #wholes = new Set<Digest>()
  readonly #keeps = new Map<string, Step[]>()

  constructor(digests: readonly Digest[]) {
    for (const digest of digests) for (const as of ['whole', 'subject'] as const) this.#reach({ digest, as })
  }

  get size(): number {
    return this.#seen.size
  }

  /** What was reached and not looked at yet. */
  next(): Step[] {
    return this.#reached.splice(0)
  }

  add(found: readonly Keeping[]): void {
    for (const { keeper, keeperAs, ...step } of found) {
      const from = { digest: keeper, as: keeperAs }
      this.#reach(from)
      const kept = this.#keeps.get(keyOf(from))
      if (kept === undefined) this.#keeps.set(keyOf(from), [step])
      else kept.push(step)
    }
  }

  wholes(): Digest[] {
    return [...this.#wholes]
  }

  keptBy(roots: readonly Digest[], digests: readonly Digest[]): Set<Digest> {
    const kept = new Set<string>()
    const next: Step[] = roots.map((digest) => ({ digest, as: 'whole' }))
    for (let step = next.pop(); step !== undefined; step = next.pop()) {
      if (kept.has(keyOf(step))) continue
      kept.add(keyOf(step))
      next.push(...(this.#keeps.get(keyOf(step)) ?? []))
    }
    return new Set(
      digests.filter(
        (digest) => kept.has(keyOf({ digest, as: 'whole' })) || kept.has(keyOf({ digest, as: 'subject' })),
      ),
    )
  }

  #reach(step: Step): void {
    if (this.#seen.has(keyOf(step))) return
    this.#seen.add(keyOf(step))
    if (step.as === 'whole') this.#wholes.add(step.digest)
    this.#reached.push(step)
  }
}

async function findKeepers(db: Db, repository: string, steps: readonly Step[]): Promise<Keeping[]> {
  const asked = (as: As) => steps.filter((step) => step.as === as).map(({ digest }) => digest)
  const [whole, subject] = [asked('whole'), asked('subject')]
  const namers = await links(
    db,
    sql`
    select target as digest, digest as keeper from links
    where repository = ${repository} and target in (select "key" from ${rowsOf([...whole, ...subject])})`,
  )
  const subjects = await links(
    db,
    sql`
    select digest, subject as keeper from manifests
    where repository = ${repository} and subject is not null and digest in (select "key" from ${rowsOf(whole)})`,
  )
  const referrers = await links(
    db,
    sql`
    select subject as digest, digest as keeper from manifests
    where repository = ${repository} and subject in (select "key" from ${rowsOf(subject)})`,
  )
  const asWhole = new Set(whole)
  const asSubject = new Set(subject)
  const same = (as: As) => (row: Row) => ({ ...row, as, keeperAs: as })
  return [
    ...namers.filter(({ digest }) => asWhole.has(digest)).map(same('whole')),
    ...subjects.map(same('whole')),
    ...[...namers.filter(({ digest }) => asSubject.has(digest)), ...referrers].map(same('subject')),
    ...referrers.map((row) => ({ ...row, as: 'subject' as const, keeperAs: 'whole' as const })),
  ]
}

interface Row {
  digest: Digest
  keeper: Digest
}

async function links(db: Db, query: RawBuilder<unknown>): Promise<Row[]> {
  const { rows } = await sql<Row>`${query} limit ${maxSearched + 1}`.execute(db)
  return rows
}

/** Those that are needed whatever else is. */
async function findRoots(db: Db, need: Need, digests: readonly Digest[]): Promise<Digest[]> {
  const { repository, before } = need
  const roots = new Set<Digest>()
  const asked = sql`(select "key" from ${rowsOf(digests)})`
  for (const query of [
    sql`select digest from manifests where repository = ${repository} and digest in ${asked}
      and ("putAt" >= ${before} or "neededUntil" >= ${before})`,
    tagged(need, asked),
    ...released(need, asked),
  ]) {
    const { rows } = await sql<{ digest: Digest }>`${query}`.execute(db)
    for (const { digest } of rows) roots.add(digest)
  }
  return [...roots]
}

function tagged({ repository, bundle }: Need, asked: RawBuilder<unknown>): RawBuilder<unknown> {
  const query = sql`select digest from tags where repository = ${repository} and digest in ${asked}`
  if (bundle === null) return query
  return sql`${query}
    and not exists (select 1 from releases where bundle = ${bundle} and "manifestDigest" = tags.digest)
    and not exists (select 1 from releases where bundle = ${bundle} and "sourceDigest" = tags.digest)`
}

/** Where others push, a release of any bundle may have come from: it is fetched again from there, or was never fetched at all. */
function released({ bundle, without }: Need, asked: RawBuilder<unknown>): RawBuilder<unknown>[] {
  const isKept =
    bundle === null
      ? sql`kept = 1`
      : sql`bundle = ${bundle} and kept = 1 and "bundleDigest" is not null
          and number not in (select cast("key" as bigint) from ${rowsOf(without)})`
  return ['manifestDigest', 'sourceDigest'].map(
    (column) => sql`select ${sql.id(column)} as digest from releases where ${sql.id(column)} in ${asked} and ${isKept}`,
  )
}
