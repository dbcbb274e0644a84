import { sql, type Kysely } from 'kysely'

const statements = [
  // Whether a manifest of the repository names a blob: asked for each one by the collection.
  `create index links_target on links ("repository", "target")`,

  // Blobs that no repository has, and whose files are about to be removed.
  `create table tombstones ("digest" text not null primary key, "at" integer not null) strict, without rowid`,

  // Bundles that are not deployed before a person says so.
  `create table holds (
    "bundle" text not null primary key, "at" integer not null, "reason" text not null
  ) strict, without rowid`,
]

export async function up(db: Kysely<never>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
