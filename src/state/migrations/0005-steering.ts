import type { Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  // Releases of another bundle that a person agreed to.
  await db.schema
    .createTable('approvals')
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('release', 'integer', (column) => column.notNull())
    .addColumn('digest', 'text', (column) => column.notNull())
    .addColumn('by', 'text', (column) => column.notNull())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('approvals_key', ['bundle', 'source', 'release'])
    .execute()

  // Releases of another bundle that were for long enough where they had to be. "place" is empty where none was asked for.
  await db.schema
    .createTable('ripe')
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('place', 'text', (column) => column.notNull())
    .addColumn('release', 'integer', (column) => column.notNull())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('ripe_key', ['bundle', 'source', 'place', 'release'])
    .execute()

  // Releases that were put to a place, or that an attempt began to put there.
  await db.schema
    .createTable('puts')
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('place', 'text', (column) => column.notNull())
    .addColumn('release', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('puts_key', ['bundle', 'place', 'release'])
    .execute()

  // How a bundle goes to a place, as the config said last. "leftAt": when that left the config; null while it is there. From then on
  // "deployed" is what stayed there, and the rest how often it was tried in vain to take it away.
  await db.schema
    .createTable('placements')
    .addColumn('bundle', 'text', (column) => column.notNull())
    .addColumn('place', 'text', (column) => column.notNull())
    .addColumn('form', 'text', (column) => column.notNull())
    .addColumn('path', 'text')
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('leftAt', 'bigint')
    .addColumn('deployed', 'integer')
    .addColumn('deployedAt', 'bigint')
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('nextAttemptAt', 'bigint')
    .addColumn('lastError', 'text')
    .addPrimaryKeyConstraint('placements_key', ['bundle', 'place'])
    .execute()
}
