import type { Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  // Which store and version counted at the last look that was well: null where that is not known.
  await db.schema.alterTable('bundles').addColumn('followed', 'text').execute()
}
