import { sql, type Kysely } from 'kysely'

export async function up(db: Kysely<never>): Promise<void> {
  // When a tag, or a manifest that named it or that it referred to, was last taken off it: null where that is not known.
  await db.schema.alterTable('manifests').addColumn('neededUntil', 'integer').execute()

  // Whether a release that is kept came from a manifest, whichever bundle's it is: asked by the collection for each one.
  for (const column of ['manifestDigest', 'sourceDigest'] as const) {
    await sql`create index ${sql.id(`releases_kept_${column}`)} on releases (${sql.id(column)}) where kept = 1`.execute(
      db,
    )
  }
}
