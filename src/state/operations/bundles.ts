import type { Look, Memo, Release } from '../../model/release.ts'
import type { Digest } from '../../oci/digest.ts'
import type { Db, Schema } from '../schema.ts'
import type { BundleState } from '../state.ts'
import { note, type Happening } from './events.ts'
import type { Operations } from './operation.ts'
import { noteChange, pieces, pointTag } from './repository.ts'
import { beginByWord } from './rollouts.ts'

export const bundleOperations: Operations<BundleState> = {
  async current(db) {
    const rows = await db
      .selectFrom('bundles')
      .innerJoin('releases', (join) =>
        join.onRef('releases.bundle', '=', 'bundles.name').onRef('releases.number', '=', 'bundles.newest'),
      )
      .selectAll('releases')
      .orderBy('bundles.name')
      .execute()
    return rows.map(releaseOf)
  },

  release: findRelease,

  async releaseByDigest(db, bundle, digest) {
    let [newest, kept] = [0, 0]
    for (const column of ['bundleDigest', 'manifestDigest', 'sourceDigest'] as const) {
      // The greatest rather than the first in descending order: for that, SQLite would walk the whole history.
      const row = await db
        .selectFrom('releases')
        .select((eb) => eb.fn.max<number | null>('number').as('newest'))
        .select((eb) =>
          eb.fn.max<number | null>(eb.case().when('kept', '=', 1).then(eb.ref('number')).end()).as('kept'),
        )
        .where('bundle', '=', bundle)
        .where(column, '=', digest)
        .executeTakeFirst()
      newest = Math.max(newest, row?.newest ?? 0)
      kept = Math.max(kept, row?.kept ?? 0)
    }
    return findRelease(db, bundle, kept > 0 ? kept : newest)
  },

  async releases(db, bundle, limit) {
    const rows = await db
      .selectFrom('releases')
      .selectAll()
      .where('bundle', '=', bundle)
      .orderBy('number', 'desc')
      .limit(limit)
      .execute()
    return rows.map(releaseOf)
  },

  async earlierDigests(db, limit) {
    const rows = await db
      .selectFrom('bundles')
      .innerJoin('releases', 'releases.bundle', 'bundles.name')
      .select(['releases.bundle', 'releases.bundleDigest as digest'])
      .whereRef('releases.number', '<', 'bundles.newest')
      .where((eb) => eb('releases.number', '>', eb('bundles.newest', '-', limit)))
      .where('releases.bundleDigest', 'is not', null)
      .orderBy('releases.bundle')
      .orderBy('releases.number')
      .execute()
    return rows as { bundle: string; digest: Digest }[]
  },

  async append(db, draft, { tags, memo, places, keep, at, followed, by }) {
    const release: Release = { ...draft, number: await nextNumber(db, draft.bundle), activatedAt: at, kept: true }
    await db
      .insertInto('releases')
      .values({ ...release, kept: 1 })
      .execute()
    if (followed !== undefined) await noteFollowed(db, release.bundle, followed)
    const repository = `bundles/${release.bundle}`
    for (const tag of tags) await pointTag(db, repository, tag, release.manifestDigest)
    if (tags.length > 0) await noteChange(db, repository)
    await remember(db, { ...memo, verdict: { release: release.number }, at })
    for (const place of places) await desire(db, release.bundle, place, release.number)
    // Where nothing is pulled any more, what was pulled before is needed for nothing.
    if (release.bundleDigest === null) await removeTags(db, repository)
    await letGo(db, release, release.bundleDigest === null ? 1 : keep)
    await note(db, createdOf(release))
    if (by !== undefined) {
      for (const place of places) await beginByWord(db, { bundle: release.bundle, place }, release.number, { by, at })
    }
    return release
  },

  async adopt(db, draft, at) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('bundles')
      .values({ name: draft.bundle, newest: 1 })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows !== 1n) return
    await db
      .insertInto('releases')
      .values({ ...draft, number: 1, activatedAt: at, kept: 1 })
      .execute()
  },

  async memo(db, bundle, fingerprint, recipe) {
    const row = await db
      .selectFrom('memos')
      .selectAll()
      .where('bundle', '=', bundle)
      .where('fingerprint', '=', fingerprint)
      .where('recipe', '=', recipe)
      .executeTakeFirst()
    return row && { ...row, verdict: JSON.parse(row.verdict) as Memo['verdict'] }
  },

  remember,

  async look(db, bundle) {
    const row = await db.selectFrom('looks').selectAll().where('bundle', '=', bundle).executeTakeFirst()
    return row as Look | undefined
  },

  async looks(db) {
    return (await db.selectFrom('looks').selectAll().orderBy('bundle').execute()) as Look[]
  },

  async saveLook(db, look, followed) {
    const { bundle, ...columns } = look
    const before = await db.selectFrom('looks').selectAll().where('bundle', '=', bundle).executeTakeFirst()
    await db
      .insertInto('looks')
      .values({ bundle, ...columns })
      .onConflict((conflict) => conflict.column('bundle').doUpdateSet(columns))
      .execute()
    if (followed !== undefined) await noteFollowed(db, bundle, followed)
    const happening = happeningOf(before as Look | undefined, look)
    if (happening !== undefined) await note(db, happening)
  },

  async followed(db) {
    const query = db.selectFrom('bundles').select(['name as bundle', 'followed']).orderBy('name')
    const rows = await query.where('followed', 'is not', null).execute()
    return rows as { bundle: string; followed: string }[]
  },
}

/** Before the first release there is nothing to step down from. */
async function noteFollowed(db: Db, bundle: string, followed: string): Promise<void> {
  await db.updateTable('bundles').set({ followed }).where('name', '=', bundle).execute()
}

function createdOf({ bundle, number, version, bundleDigest, manifestDigest, reason, activatedAt }: Release): Happening {
  const data = { release: number, version, digest: bundleDigest ?? manifestDigest, reason }
  return { type: 'release.created', bundle, at: activatedAt, data }
}

/** A release has its own. */
function happeningOf(before: Look | undefined, look: Look): Happening | undefined {
  const { bundle, endedAt: at, outcome, version, message: error, code } = look
  const about = { bundle, at }
  if (outcome === 'refused') return { type: 'look.refused', ...about, data: { version, error, code } }
  if (outcome === 'failed') return { type: 'look.failed', ...about, data: { version, error, code } }
  if (before?.outcome === 'failed' || before?.outcome === 'refused') {
    return { type: 'look.recovered', ...about, data: { version } }
  }
  return undefined
}

async function findRelease(db: Db, bundle: string, number: number): Promise<Release | undefined> {
  const row = await db
    .selectFrom('releases')
    .selectAll()
    .where('bundle', '=', bundle)
    .where('number', '=', number)
    .executeTakeFirst()
  return row && releaseOf(row)
}

function releaseOf(row: Schema['releases']): Release {
  return { ...row, kept: row.kept === 1 } as Release
}

async function nextNumber(db: Db, bundle: string): Promise<number> {
  const { newest } = await db
    .insertInto('bundles')
    .values({ name: bundle, newest: 1 })
    .onConflict((conflict) => conflict.column('name').doUpdateSet((eb) => ({ newest: eb('bundles.newest', '+', 1) })))
    .returning('newest')
    .executeTakeFirstOrThrow()
  return newest
}

async function remember(db: Db, memo: Memo): Promise<void> {
  const { bundle, fingerprint, recipe, at } = memo
  const verdict = JSON.stringify(memo.verdict)
  await db
    .insertInto('memos')
    .values({ bundle, fingerprint, recipe, verdict, at })
    .onConflict((conflict) => conflict.columns(['bundle', 'fingerprint', 'recipe']).doUpdateSet({ verdict, at }))
    .execute()
}

async function desire(db: Db, bundle: string, place: string, number: number): Promise<void> {
  const wanted = { desired: number, state: 'pending', attempts: 0, nextAttemptAt: null, lastError: null }
  const unknown = { deployed: null, observed: null, lastAttemptAt: null, deployedAt: null }
  const never = { forced: 0, forcedDone: 0 }
  await db
    .insertInto('deployments')
    .values({ bundle, place, ...wanted, ...unknown, ...never })
    .onConflict((conflict) => conflict.columns(['bundle', 'place']).doUpdateSet(wanted))
    .execute()
}

async function removeTags(db: Db, repository: string): Promise<void> {
  const { numDeletedRows } = await db.deleteFrom('tags').where('repository', '=', repository).executeTakeFirst()
  if (numDeletedRows > 0n) await noteChange(db, repository)
}

/** Releases that nobody needs any more keep their line in the history; their manifests leave the catalog. */
async function letGo(db: Db, { bundle, number }: Release, keep: number): Promise<void> {
  const gone = await findGone(db, bundle, number, keep)
  await markGone(
    db,
    bundle,
    gone.map((release) => release.number),
  )
  const digests = new Set(gone.flatMap((release) => [release.manifestDigest, release.sourceDigest]))
  for (const digest of digests) await removeUnlessKept(db, bundle, digest as Digest)
}

/** Releases whose bytes are still kept, beyond the newest `keep`, that no place holds or wants. */
export function findGone(
  db: Db,
  bundle: string,
  newest: number,
  keep: number,
): Promise<Pick<Schema['releases'], 'number' | 'manifestDigest' | 'sourceDigest'>[]> {
  return db
    .selectFrom('releases')
    .select(['number', 'manifestDigest', 'sourceDigest'])
    .where('bundle', '=', bundle)
    .where('kept', '=', 1)
    .where('bundleDigest', 'is not', null)
    .where('number', '<=', newest - Math.max(1, keep))
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('deployments')
            .select('place')
            .whereRef('deployments.bundle', '=', 'releases.bundle')
            .where((eb) =>
              eb.or([
                eb('deployments.deployed', '=', eb.ref('releases.number')),
                eb('deployments.desired', '=', eb.ref('releases.number')),
              ]),
            ),
        ),
      ),
    )
    .execute()
}

export async function markGone(db: Db, bundle: string, releases: readonly number[]): Promise<void> {
  for (const numbers of pieces(releases)) {
    await db
      .updateTable('releases')
      .set({ kept: 0 })
      .where('bundle', '=', bundle)
      .where('number', 'in', numbers)
      .execute()
  }
}

async function removeUnlessKept(db: Db, bundle: string, digest: Digest): Promise<void> {
  for (const column of ['manifestDigest', 'sourceDigest'] as const) {
    const keeper = await db
      .selectFrom('releases')
      .select('number')
      .where('bundle', '=', bundle)
      .where(column, '=', digest)
      .where('kept', '=', 1)
      .where('bundleDigest', 'is not', null)
      .limit(1)
      .executeTakeFirst()
    if (keeper !== undefined) return
  }
  const repository = `bundles/${bundle}`
  await db.deleteFrom('manifests').where('repository', '=', repository).where('digest', '=', digest).execute()
  await noteChange(db, repository)
}
