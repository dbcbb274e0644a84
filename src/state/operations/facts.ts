import type { State } from '../state.ts'
import type { Operations } from './operation.ts'

export const factOperations: Operations<State['facts']> = {
  async get(db, key) {
    return (await db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst())?.value
  },

  async set(db, key, value) {
    await db
      .insertInto('facts')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
  },
}
