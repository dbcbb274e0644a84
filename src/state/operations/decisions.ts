import { everyBundle, type Pin, type PinTo } from '../../model/decision.ts'
import type { Db } from '../schema.ts'
import type { DecisionState } from '../state.ts'
import { note } from './events.ts'
import type { Operations } from './operation.ts'

export const decisionOperations: Operations<DecisionState> = {
  async all(db) {
    const [pins, switches, holds] = [
      await db.selectFrom('pins').selectAll().orderBy('bundle').execute(),
      await db.selectFrom('switches').selectAll().orderBy('bundle').orderBy('place').execute(),
      await db.selectFrom('holds').selectAll().orderBy('bundle').execute(),
    ]
    return {
      pins: pins.map(({ to, ...word }): Pin => ({ ...word, to: JSON.parse(to) as PinTo })),
      switches: switches.map(({ place, on, ...word }) => ({ ...word, place: place || null, on: on === 1 })),
      holds,
    }
  },

  async pin(db, { bundle, to, ...word }) {
    const columns = { ...word, to: JSON.stringify(to) }
    await db
      .insertInto('pins')
      .values({ bundle, ...columns })
      .onConflict((conflict) => conflict.column('bundle').doUpdateSet(columns))
      .execute()
    const { by, at, reason } = word
    await note(db, { type: 'bundle.pinned', bundle, by, at, data: { pin: to, reason } })
  },

  async unpin(db, bundle, { by, at, reason }) {
    const { numDeletedRows } = await db.deleteFrom('pins').where('bundle', '=', bundle).executeTakeFirst()
    if (numDeletedRows === 0n) return false
    await note(db, { type: 'bundle.unpinned', bundle, by, at, data: { reason } })
    return true
  },

  /** What is said of the bundle goes for all its places: what was said of one of them before is over. */
  async switchAutoDeploy(db, { bundle, place, on, ...word }) {
    const { by, at, reason } = word
    if (place === null) await db.deleteFrom('switches').where('bundle', '=', bundle).execute()
    const columns = { ...word, on: on ? 1 : 0 }
    await db
      .insertInto('switches')
      .values({ bundle, place: place ?? '', ...columns })
      .onConflict((conflict) => conflict.columns(['bundle', 'place']).doUpdateSet(columns))
      .execute()
    await note(db, { type: 'auto_deploy.changed', bundle, place, by, at, data: { on, reason } })
  },

  async hold(db, bundles, word) {
    const held: string[] = []
    for (const bundle of bundles) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('holds')
        .values({ bundle, ...word })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) continue
      held.push(bundle)
      const { by, at, reason } = word
      await note(db, { type: 'deployments.held', bundle, by, at, data: { reason } })
    }
    return held
  },

  async resume(db, bundle, { by, at, reason }) {
    const resumed = await deleteHolds(db, bundle)
    for (const name of resumed) await note(db, { type: 'deployments.resumed', bundle: name, by, at, data: { reason } })
    return resumed
  },
}

async function deleteHolds(db: Db, bundle: string): Promise<string[]> {
  const query = db.deleteFrom('holds').returning('bundle')
  const rows = await (bundle === everyBundle ? query : query.where('bundle', '=', bundle)).execute()
  return rows.map((row) => row.bundle).sort()
}
