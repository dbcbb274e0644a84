import { sql, type Kysely } from 'kysely'
import type { Words } from './words.ts'

const statements = ({ keyed }: Words) => [
  // Whether a manifest of the repository names a blob: asked for each one by the collection.
  `create index links_target on links ("repository", "target")`,

  // Blobs that no repository has, and whose files are about to be removed.
  `create table tombstones ("digest" text not null primary key, "at" integer not null) ${keyed}`,

  // Bundles that are not deployed before a person says so.
  `create table holds (
    "bundle" text not null primary key, "at" integer not null, "reason" text not null
  ) ${keyed}`,
]

export async function up(db: Kysely<never>, words: Words): Promise<void> {
  for (const statement of statements(words)) await sql.raw(statement).execute(db)
}
