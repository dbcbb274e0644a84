import type { Placement } from '../../model/placement.ts'
import type { Db } from '../schema.ts'
import type { PlacementState } from '../state.ts'
import { note } from './events.ts'
import type { Operations } from './operation.ts'
import { versionOf } from './rollouts.ts'

export const placementOperations: Operations<PlacementState> = {
  async list(db) {
    const rows = await db.selectFrom('placements').selectAll().orderBy('bundle').orderBy('place').execute()
    return rows.map(({ deployedAt: _, ...row }) => row)
  },

  async puts(db, bundle, place) {
    const rows = await db
      .selectFrom('puts')
      .select('release')
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .orderBy('release')
      .execute()
    return rows.map(({ release }) => release)
  },

  async saveLeft(db, left, at, log) {
    const { bundle, place, attempts, nextAttemptAt, lastError, deployed: release } = left
    const { numUpdatedRows } = await db
      .updateTable('placements')
      .set({ attempts, nextAttemptAt, lastError })
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .where('leftAt', 'is not', null)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 0n) return
    const about = { bundle, place, at }
    const tried = { release, version: await versionOf(db, bundle, release), attempt: attempts }
    if (lastError === null) return note(db, { type: 'prune.started', ...about, data: tried })
    await note(db, { type: 'prune.failed', ...about, data: { ...tried, error: lastError, nextAttemptAt, log } })
  },

  async move(db, bundle, { place, form, path, address }) {
    await db
      .updateTable('placements')
      .set({ form, path, address })
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .where('leftAt', 'is', null)
      .execute()
  },

  async forget(db, { bundle, place, attempts, deployed: release }, at, log) {
    const { numDeletedRows } = await db
      .deleteFrom('placements')
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .where('leftAt', 'is not', null)
      .executeTakeFirstOrThrow()
    if (numDeletedRows === 0n) return
    await db.deleteFrom('puts').where('bundle', '=', bundle).where('place', '=', place).execute()
    const data = { release, version: await versionOf(db, bundle, release), attempt: attempts, log }
    await note(db, { type: 'prune.succeeded', bundle, place, at, data })
  },
}

/** An attempt to put it there begins: from now on some of it may be there. */
export async function notePut(db: Db, bundle: string, place: string, release: number): Promise<void> {
  await db
    .insertInto('puts')
    .values({ bundle, place, release })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** The place is no longer in the config. What may be there is remembered where it is known how it went there. */
export async function leave(db: Db, bundle: string, place: string, at: number): Promise<void> {
  const row = await db
    .selectFrom('deployments')
    .select(['deployed', 'deployedAt'])
    .where('bundle', '=', bundle)
    .where('place', '=', place)
    .executeTakeFirst()
  const put = await db
    .selectFrom('puts')
    .select('release')
    .where('bundle', '=', bundle)
    .where('place', '=', place)
    .limit(1)
    .executeTakeFirst()
  if (put === undefined && (row?.deployed ?? null) === null) {
    await db.deleteFrom('placements').where('bundle', '=', bundle).where('place', '=', place).execute()
    return
  }
  const never = { attempts: 0, nextAttemptAt: null, lastError: null }
  const stayed = { deployed: row?.deployed ?? null, deployedAt: row?.deployedAt ?? null }
  await db
    .updateTable('placements')
    .set({ leftAt: at, ...stayed, ...never })
    .where('bundle', '=', bundle)
    .where('place', '=', place)
    .execute()
}

/** The place is in the config. What is known of what is there, where the bundle went there before and nothing was taken away since. */
export async function arrive(
  db: Db,
  bundle: string,
  { place, form, path, address }: Placement,
): Promise<{ deployed: number | null; deployedAt: number | null }> {
  const before = await db
    .selectFrom('placements')
    .selectAll()
    .where('bundle', '=', bundle)
    .where('place', '=', place)
    .executeTakeFirst()
  const columns = { form, path, address, leftAt: null, deployed: null, deployedAt: null }
  const fresh = { ...columns, attempts: 0, nextAttemptAt: null, lastError: null }
  await db
    .insertInto('placements')
    .values({ bundle, place, ...fresh })
    .onConflict((conflict) => conflict.columns(['bundle', 'place']).doUpdateSet(fresh))
    .execute()
  const isSame = before?.form === form && before.path === path && before.address === address
  if (!isSame || before.attempts > 0) return { deployed: null, deployedAt: null }
  return { deployed: before.deployed, deployedAt: before.deployedAt }
}
