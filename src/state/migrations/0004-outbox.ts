import type { Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  // Up to which event each publisher has been given what it is to send.
  await db.schema
    .createTable('receivers')
    .addColumn('publisher', 'text', (column) => column.notNull().primaryKey())
    .addColumn('cursor', 'bigint', (column) => column.notNull())
    .execute()

  // "event" is JSON: the event's own row may be gone before it is sent. "nextAttemptAt" is null where it is parked.
  await db.schema
    .createTable('messages')
    .addColumn('publisher', 'text', (column) => column.notNull())
    .addColumn('seq', 'bigint', (column) => column.notNull())
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('event', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('queuedAt', 'bigint', (column) => column.notNull())
    .addColumn('nextAttemptAt', 'bigint')
    .addColumn('lastError', 'text')
    .addPrimaryKeyConstraint('messages_key', ['publisher', 'seq'])
    .execute()
  await db.schema
    .createIndex('messages_state')
    .on('messages')
    .columns(['publisher', 'state', 'bundle', 'seq'])
    .execute()

  // What is being brought to a place, from its first attempt until it is there: by whom, since when, how often in vain.
  await db.schema
    .createTable('rollouts')
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('place', 'text', (column) => column.notNull())
    .addColumn('release', 'integer', (column) => column.notNull())
    .addColumn('forced', 'integer', (column) => column.notNull())
    .addColumn('by', 'text')
    .addColumn('begunAt', 'bigint', (column) => column.notNull())
    .addColumn('failures', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('rollouts_key', ['bundle', 'place'])
    .execute()
}
