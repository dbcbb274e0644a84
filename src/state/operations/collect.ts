import { sql } from 'kysely'
import type { Digest } from '../../oci/digest.ts'
import type { Db } from '../schema.ts'
import type { CollectionState } from '../state.ts'
import { findGone, markGone } from './bundles.ts'
import type { Operations } from './operation.ts'
import { noteChange, pieces, rowsOf } from './repository.ts'

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

  async dropManifests(db, repository, { bundle, keep, putBefore, dryRun }) {
    const gone =
      bundle === null || keep === null ? [] : await findGone(db, bundle, await newestNumber(db, bundle), keep)
    const releases = gone.map(({ number }) => number)
    const manifests = await findUnneeded(db, repository, { bundle, putBefore, releases })
    if (!dryRun) {
      if (bundle !== null) await markGone(db, bundle, releases)
      for (const piece of pieces(manifests.map(({ digest }) => digest))) {
        await db.deleteFrom('manifests').where('repository', '=', repository).where('digest', 'in', piece).execute()
      }
      if (manifests.length > 0) await noteChange(db, repository)
    }
    return { releases, manifests }
  },

  async dropBlobs(db, repository, { after = '', limit, usedBefore, without, dryRun }) {
    const { rows } = await sql<{ digest: Digest; size: number; usedAt: number; named: number }>`
      select digest, size, "usedAt", case when exists (
        select 1 from links
        where links.repository = blobs.repository and links.target = blobs.digest
          and links.digest not in (select "key" from ${rowsOf(without)})
      ) then 1 else 0 end as named
      from blobs where repository = ${repository} and digest > ${after} order by digest limit ${limit}`.execute(db)
    const blobs = rows
      .filter(({ named, usedAt }) => named === 0 && usedAt < usedBefore)
      .map(({ digest, size, usedAt }) => ({ digest, size, usedAt }))
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

/**
 * Manifests that were put before this moment, that no kept release is made of, and that nothing which is needed names, refers
 * to or is referred to by. In `bundles/NAME`, where nobody but us writes, a tag keeps only what never was a release. Without a
 * bundle, every tag and every release that is kept does.
 */
async function findUnneeded(
  db: Db,
  repository: string,
  { bundle, putBefore, releases }: { bundle: string | null; putBefore: number; releases: number[] },
): Promise<{ digest: Digest; size: number }[]> {
  const gone = sql`select cast("key" as bigint) from ${rowsOf(releases)}`
  // Where others push, a release of any bundle may have come from: it is fetched again from there, or was never fetched at all.
  const isKept =
    bundle === null
      ? sql`kept = 1`
      : sql`bundle = ${bundle} and kept = 1 and "bundleDigest" is not null and number not in (${gone})`
  // Postgres takes one reference to itself in a recursive table: so what names and what refers are one list.
  const { rows } = await sql<{ digest: Digest; size: number }>`
    with recursive naming(digest, target) as (
      select digest, target from links where repository = ${repository}
    ), referring(digest, subject) as (
      select digest, subject from manifests where repository = ${repository} and subject is not null
    ), needed(digest) as (
      select "manifestDigest" from releases where ${isKept}
      union
      select "sourceDigest" from releases where ${isKept}
      union
      select digest from tags where repository = ${repository}
        and not exists (select 1 from releases where bundle = ${bundle} and "manifestDigest" = tags.digest)
        and not exists (select 1 from releases where bundle = ${bundle} and "sourceDigest" = tags.digest)
      union
      select digest from manifests where repository = ${repository} and "putAt" >= ${putBefore}
      union
      select next.digest from needed join (
        select digest as "from", target as digest from naming union all select subject, digest from referring
      ) as next on next."from" = needed.digest
    ), subjects(digest) as (
      select subject from needed join referring on referring.digest = needed.digest
      union
      select next.digest from subjects join (
        select digest as "from", target as digest from naming union all select digest, subject from referring
      ) as next on next."from" = subjects.digest
    )
    select digest, size from manifests
    where repository = ${repository}
      and digest not in (select digest from needed) and digest not in (select digest from subjects)
    order by digest`.execute(db)
  return rows
}

async function newestNumber(db: Db, bundle: string): Promise<number> {
  const row = await db.selectFrom('bundles').select('newest').where('name', '=', bundle).executeTakeFirst()
  return row?.newest ?? 0
}
