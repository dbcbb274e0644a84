import type { Approval } from '../../model/promotion.ts'
import type { PromotionState } from '../state.ts'
import { note } from './events.ts'
import type { Operations } from './operation.ts'

export const promotionOperations: Operations<PromotionState> = {
  async read(db, bundle, from, place) {
    const approvals = await db
      .selectFrom('approvals')
      .selectAll()
      .where('bundle', '=', bundle)
      .where('source', '=', from)
      .orderBy('release')
      .execute()
    const ripe = await db
      .selectFrom('ripe')
      .select('release')
      .where('bundle', '=', bundle)
      .where('source', '=', from)
      .where('place', '=', place ?? '')
      .orderBy('release')
      .execute()
    return {
      ripe: ripe.map(({ release }) => release),
      approvals: approvals.map(({ source, ...approval }) => ({ ...approval, from: source }) as Approval),
    }
  },

  async ripen(db, bundle, { from, place, release, at }) {
    await db
      .insertInto('ripe')
      .values({ bundle, source: from, place: place ?? '', release, at })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  },

  async approve(db, { from, ...approval }, version) {
    const { numInsertedOrUpdatedRows } = await db
      .insertInto('approvals')
      .values({ ...approval, source: from })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow()
    if (numInsertedOrUpdatedRows !== 1n) return false
    const { bundle, by, at, release, digest, reason } = approval
    await note(db, { type: 'release.approved', bundle, by, at, data: { from, release, version, digest, reason } })
    return true
  },
}
