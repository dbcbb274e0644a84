import type { Selectable } from 'kysely'
import type { Event } from '../../model/event.ts'
import type { Message, MessageKey } from '../../model/message.ts'
import type { Db, Schema } from '../schema.ts'
import type { OutboxState } from '../state.ts'
import { eventOperations } from './events.ts'
import type { Operations } from './operation.ts'

export const outboxOperations: Operations<OutboxState> = {
  async configure(db, publishers) {
    const rows = await db.selectFrom('receivers').selectAll().execute()
    const before = new Map(rows.map(({ publisher, cursor }) => [publisher, cursor]))
    let dropped = 0
    for (const publisher of new Set(before.keys()).difference(new Set(publishers))) {
      const { numDeletedRows } = await db
        .deleteFrom('messages')
        .where('publisher', '=', publisher)
        .executeTakeFirstOrThrow()
      dropped += Number(numDeletedRows)
      await db.deleteFrom('receivers').where('publisher', '=', publisher).execute()
    }
    const cursor = await eventOperations.newest(db)
    for (const publisher of new Set(publishers).difference(new Set(before.keys()))) {
      await db.insertInto('receivers').values({ publisher, cursor }).execute()
    }
    return { cursors: Object.fromEntries(publishers.map((name) => [name, before.get(name) ?? cursor])), dropped }
  },

  async queue(db, publisher, events, { from, to }, at) {
    const { numUpdatedRows } = await db
      .updateTable('receivers')
      .set({ cursor: to })
      .where('publisher', '=', publisher)
      .where('cursor', '=', from)
      .executeTakeFirstOrThrow()
    if (numUpdatedRows !== 1n) return false
    const fresh = { state: 'waiting', attempts: 0, queuedAt: at, nextAttemptAt: at, lastError: null }
    for (const event of events) {
      const { seq, bundle } = event
      await db
        .insertInto('messages')
        .values({ publisher, seq, bundle, event: JSON.stringify(event), ...fresh })
        .execute()
    }
    return true
  },

  async heads(db, publisher) {
    const rows = await db
      .selectFrom((eb) =>
        eb
          .selectFrom('messages')
          .select((inner) => inner.fn.min<number>('seq').as('first'))
          .where('publisher', '=', publisher)
          .where('state', '=', 'waiting')
          .groupBy('bundle')
          .as('heads'),
      )
      .innerJoin('messages', (join) => join.onRef('messages.seq', '=', 'heads.first'))
      .select(['bundle', 'seq', 'nextAttemptAt'])
      .where('publisher', '=', publisher)
      .execute()
    return rows.map(({ nextAttemptAt, ...head }) => ({ ...head, nextAttemptAt: nextAttemptAt ?? 0 }))
  },

  async message(db, { publisher, seq }) {
    const query = db.selectFrom('messages').selectAll().where('publisher', '=', publisher).where('seq', '=', seq)
    const row = await query.executeTakeFirst()
    return row && messageOf(row)
  },

  async sent(db, { publisher, seq }, bundle) {
    await db.deleteFrom('messages').where('publisher', '=', publisher).where('seq', '=', seq).execute()
    const row = await db
      .selectFrom('messages')
      .select('seq')
      .where('publisher', '=', publisher)
      .where('state', '=', 'waiting')
      .where('bundle', '=', bundle)
      .orderBy('seq')
      .limit(1)
      .executeTakeFirst()
    return row?.seq
  },

  async failed(db, { publisher, seq }, { error: lastError, nextAttemptAt }) {
    await db
      .updateTable('messages')
      .set((eb) => ({ attempts: eb('attempts', '+', 1), nextAttemptAt, lastError }))
      .where('publisher', '=', publisher)
      .where('seq', '=', seq)
      .where('state', '=', 'waiting')
      .execute()
  },

  async park(db, publisher, { queuedUntil, seq, error, maxParked }) {
    const { numUpdatedRows } = await db
      .updateTable('messages')
      .set((eb) => ({ state: 'parked', nextAttemptAt: null, lastError: eb.fn.coalesce('lastError', eb.val(error)) }))
      .where('publisher', '=', publisher)
      .where('state', '=', 'waiting')
      .where('queuedAt', '<=', queuedUntil)
      .$if(seq !== null, (query) => query.where('seq', '=', seq!))
      .executeTakeFirstOrThrow()
    const parked = Number(numUpdatedRows)
    return { parked, dropped: parked === 0 ? 0 : await dropParked(db, publisher, maxParked) }
  },

  async list(db, { publisher, bundle, state }, { after, limit }) {
    const rows = await db
      .selectFrom('messages')
      .selectAll()
      .$if(publisher !== null, (query) => query.where('publisher', '=', publisher!))
      .$if(bundle !== null, (query) => query.where('bundle', '=', bundle!))
      .$if(state !== null, (query) => query.where('state', '=', state!))
      .$if(after !== null, (query) =>
        query.where((eb) =>
          eb.or([
            eb('publisher', '>', after!.publisher),
            eb.and([eb('publisher', '=', after!.publisher), eb('seq', '>', after!.seq)]),
          ]),
        ),
      )
      .orderBy('publisher')
      .orderBy('seq')
      .limit(limit)
      .execute()
    return rows.map(messageOf)
  },

  async resend(db, keys, at) {
    const again: MessageKey[] = []
    for (const { publisher, seq } of keys) {
      const { numUpdatedRows } = await db
        .updateTable('messages')
        .set({ state: 'waiting', attempts: 0, queuedAt: at, nextAttemptAt: at })
        .where('publisher', '=', publisher)
        .where('seq', '=', seq)
        .where('state', '=', 'parked')
        .executeTakeFirstOrThrow()
      if (numUpdatedRows === 1n) again.push({ publisher, seq })
    }
    return again
  },

  async counts(db) {
    const rows = await db
      .selectFrom('messages')
      .select(['publisher', 'state', (eb) => eb.fn.countAll<number | string>().as('count')])
      .groupBy(['publisher', 'state'])
      .execute()
    return rows.map(({ publisher, state, count }) => ({
      publisher,
      state: state as Message['state'],
      count: Number(count),
    }))
  },
}

/** The oldest go. */
async function dropParked(db: Db, publisher: string, maxParked: number): Promise<number> {
  const newestGone = await db
    .selectFrom('messages')
    .select('seq')
    .where('publisher', '=', publisher)
    .where('state', '=', 'parked')
    .orderBy('seq', 'desc')
    .offset(maxParked)
    .limit(1)
    .executeTakeFirst()
  if (newestGone === undefined) return 0
  const { numDeletedRows } = await db
    .deleteFrom('messages')
    .where('publisher', '=', publisher)
    .where('state', '=', 'parked')
    .where('seq', '<=', newestGone.seq)
    .executeTakeFirstOrThrow()
  return Number(numDeletedRows)
}

function messageOf({ event, seq: _, bundle: _bundle, ...row }: Selectable<Schema['messages']>): Message {
  return { ...row, state: row.state as Message['state'], event: JSON.parse(event) as Event }
}
