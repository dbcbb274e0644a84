import { sql } from 'kysely'
import type { Digest } from '../../oci/digest.ts'
import type { Db } from '../schema.ts'
import type { CollectionState, UnusedBlob } from '../state.ts'
import { findGone, markGone } from './bundles.ts'
import { findNeeded } from './needed.ts'
import type { Operations } from './operation.ts'
import { noteChange, pieces, rowsOf } from './repository.ts'

/** More than there are manifests. */
const everyone = 1_000_000_000

/** Each of these looks at one page: none of them holds the thread for long. */
export const collectionOperations: Operations<CollectionState> = {
  async repositories(db, { after = '', limit }) {
    const names: string[] = []
    while (names.length < limit) {
      const next = await nextRepository(db, names.at(-1) ?? after)
      if (next === null) break
      names.push(next)
    }
    return names
  },

  async dropReleases(db, bundle, { keep, dryRun }) {
    const releases = (await findGone(db, bundle, await newestNumber(db, bundle), keep)).map(({ number }) => number)
    if (!dryRun) await markGone(db, bundle, releases)
    return releases
  },

  async dropManifests(db, repository, { after = '', limit, dryRun, ...need }) {
    const page = await db
      .selectFrom('manifests')
      .select(['digest', 'size', 'putAt', 'neededUntil'])
      .where('repository', '=', repository)
      .where('digest', '>', after)
      .orderBy('digest')
      .limit(limit)
      .execute()
    const old = page.filter(({ putAt, neededUntil }) => Math.max(putAt, neededUntil ?? 0) < need.before)
    const digests = old.map(({ digest }) => digest as Digest)
    const { looked, needed } = await findNeeded(db, { repository, ...need }, digests)
    const gone = looked.filter((digest) => !needed.has(digest))
    const names = dryRun ? await findNamed(db, repository, gone) : []
    if (!dryRun) await removeManifests(db, repository, gone)
    const sizes = new Map(old.map(({ digest, size }) => [digest, size]))
    const manifests = gone.map((digest) => ({ digest, size: sizes.get(digest)! }))
    const last = looked.length < digests.length ? looked.at(-1)! : page.length < limit ? null : page.at(-1)!.digest
    return { manifests, names, next: last as Digest | null }
  },

  async dropBlobs(db, repository, { after = '', limit, usedBefore, dryRun }) {
    const most = dryRun ? everyone : 1
    const { rows } = await sql<UnusedBlob>`
      select digest, size, "usedAt", (
        select count(*) from (
          select 1 from links where links.repository = blobs.repository and links.target = blobs.digest limit ${most}
        ) as one
      ) as named
      from blobs where repository = ${repository} and digest > ${after} order by digest limit ${limit}`.execute(db)
    const blobs = rows.filter(({ named, usedAt }) => (dryRun || named === 0) && usedAt < usedBefore)
    if (!dryRun) {
      for (const piece of pieces(blobs.map(({ digest }) => digest))) {
        await db.deleteFrom('blobs').where('repository', '=', repository).where('digest', 'in', piece).execute()
      }
    }
    return { blobs, next: rows.length < limit ? null : rows.at(-1)!.digest }
  },

  async owners(db, digests, max) {
    const { rows } = await sql<{ digest: Digest; owners: number }>`
      select wanted."key" as digest,
        (select count(*) from (select 1 from blobs where blobs.digest = wanted."key" limit ${max}) as one) +
        (select count(*) from (select 1 from manifests where manifests.digest = wanted."key" limit ${max}) as one) as owners
      from ${rowsOf(digests)} as wanted`.execute(db)
    return rows
  },

  async bury(db, digests, at) {
    const { rows } = await sql<{ digest: Digest }>`
      select wanted."key" as digest from ${rowsOf(digests)} as wanted
      where not exists (select 1 from blobs where blobs.digest = wanted."key")
        and not exists (select 1 from manifests where manifests.digest = wanted."key")`.execute(db)
    const buried = rows.map(({ digest }) => digest)
    for (const piece of pieces(buried)) {
      await db
        .insertInto('tombstones')
        .values(piece.map((digest) => ({ digest, at })))
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    }
    return buried
  },

  async tombstones(db, { after = '', limit }) {
    const rows = await db
      .selectFrom('tombstones')
      .select('digest')
      .where('digest', '>', after)
      .orderBy('digest')
      .limit(limit)
      .execute()
    return rows.map(({ digest }) => digest as Digest)
  },

  async isBuried(db, digest) {
    const { rows } = await sql`
      select 1 from tombstones where digest = ${digest}
        and not exists (select 1 from blobs where blobs.digest = ${digest})
        and not exists (select 1 from manifests where manifests.digest = ${digest})`.execute(db)
    return rows.length > 0
  },

  async unbury(db, digests) {
    for (const piece of pieces(digests)) await db.deleteFrom('tombstones').where('digest', 'in', piece).execute()
  },
}

async function nextRepository(db: Db, after: string): Promise<string | null> {
  const { rows } = await sql<{ name: string | null }>`
    select min(name) as name from (
      select (select min(repository) from blobs where repository > ${after}) as name
      union all
      select (select min(repository) from manifests where repository > ${after})
    ) as names`.execute(db)
  return rows[0]?.name ?? null
}

async function findNamed(db: Db, repository: string, digests: readonly Digest[]): Promise<Digest[]> {
  const { rows } = await sql<{ target: Digest }>`
    select target from links
    where repository = ${repository} and digest in (select "key" from ${rowsOf(digests)})`.execute(db)
  return rows.map(({ target }) => target)
}

/** With their tags, which are of no release that is kept, and with what they name. */
async function removeManifests(db: Db, repository: string, digests: readonly Digest[]): Promise<void> {
  for (const piece of pieces(digests)) {
    await db.deleteFrom('manifests').where('repository', '=', repository).where('digest', 'in', piece).execute()
  }
  if (digests.length > 0) await noteChange(db, repository)
}

async function newestNumber(db: Db, bundle: string): Promise<number> {
  const row = await db.selectFrom('bundles').select('newest').where('name', '=', bundle).executeTakeFirst()
  return row?.newest ?? 0
}
