import type { Selectable } from 'kysely'
import type { Event, EventType } from '../../model/event.ts'
import type { Db, Schema } from '../schema.ts'
import type { EventState } from '../state.ts'
import type { Operations } from './operation.ts'

/** Older ones go: whoever was away for longer has to look at what is. */
export const maxEvents = 100_000

export const eventOperations: Operations<EventState> = {
  async newest(db) {
    const row = await db.selectFrom('events').select('seq').orderBy('seq', 'desc').limit(1).executeTakeFirst()
    return row?.seq ?? 0
  },

  async after(db, seq, limit) {
    const rows = await db.selectFrom('events').selectAll().where('seq', '>', seq).orderBy('seq').limit(limit).execute()
    return rows.map(eventOf)
  },

  async ofBundle(db, bundle, limit, place) {
    const rows = await db
      .selectFrom('events')
      .selectAll()
      .where('bundle', '=', bundle)
      .$if(place !== undefined, (query) => query.where('place', '=', place!))
      .orderBy('seq', 'desc')
      .limit(limit)
      .execute()
    return rows.map(eventOf)
  },
}

export interface Happening {
  at: number
  type: EventType
  bundle: string
  place?: string | null
  by?: string | null
  data?: Event['data']
}

/** In the transaction of what it tells of. */
export async function note(db: Db, { place = null, by = null, data = {}, ...happening }: Happening): Promise<void> {
  const { seq } = await db
    .insertInto('events')
    .values({ ...happening, place, by, data: JSON.stringify(data) })
    .returning('seq')
    .executeTakeFirstOrThrow()
  await db
    .deleteFrom('events')
    .where('seq', '<=', seq - maxEvents)
    .execute()
}

function eventOf({ data, ...row }: Selectable<Schema['events']>): Event {
  return { ...row, type: row.type as EventType, data: JSON.parse(data) as Event['data'] }
}
