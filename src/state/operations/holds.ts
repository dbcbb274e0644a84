import type { HoldState } from '../state.ts'
import type { Operations } from './operation.ts'

export const holdOperations: Operations<HoldState> = {
  async list(db) {
    return db.selectFrom('holds').selectAll().orderBy('bundle').execute()
  },

  async hold(db, bundles, reason, at) {
    for (const bundle of bundles) {
      await db
        .insertInto('holds')
        .values({ bundle, at, reason })
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    }
  },

  async resume(db, bundle) {
    const query = db.deleteFrom('holds').returning('bundle')
    const rows = await (bundle === undefined ? query : query.where('bundle', '=', bundle)).execute()
    return rows.map((row) => row.bundle).sort()
  },
}
