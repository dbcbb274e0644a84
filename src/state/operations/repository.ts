import { sql, type RawBuilder } from 'kysely'
import type { Digest } from '../../oci/digest.ts'
import type { Db } from '../schema.ts'

// SQLite allows 32,766 parameters in a statement; few enough that the statements' texts repeat.
const listLength = 200

/** Lists of any length, in pieces that fit into a statement. */
export function pieces<T>(list: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(list.length / listLength) }, (_, at) =>
    list.slice(at * listLength, (at + 1) * listLength),
  )
}

/**
 * A list of any length as one parameter, to select "key" (text) from: the keys of a JSON object are rows to both databases, and none
 * comes twice.
 */
export function rowsOf(list: readonly (string | number)[]): RawBuilder<unknown> {
  return sql`json_each(${JSON.stringify(Object.fromEntries(list.map((key) => [key, 0])))})`
}

/** Whatever changes what a repository's index shows says so here, so that the index is written again. */
export async function noteChange(db: Db, repository: string): Promise<void> {
  await db
    .insertInto('repositories')
    .values({ name: repository, version: 1, indexed: 0 })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({ version: eb('repositories.version', '+', 1) })),
    )
    .execute()
}

/** Nobody may need these any more from now on: whoever found them just before still has his time. */
export async function noteLoss(db: Db, repository: string, digests: readonly Digest[], at: number): Promise<void> {
  for (const piece of pieces(digests)) {
    await db
      .updateTable('manifests')
      .set({ neededUntil: at })
      .where('repository', '=', repository)
      .where('digest', 'in', piece)
      .execute()
  }
}

/** Lets the tag stand for the manifest; returns what it stood for. */
export async function pointTag(db: Db, repository: string, tag: string, digest: Digest): Promise<Digest | null> {
  const before = await db
    .selectFrom('tags')
    .select('digest')
    .where('repository', '=', repository)
    .where('tag', '=', tag)
    .executeTakeFirst()
  if (before?.digest !== digest) {
    await db
      .insertInto('tags')
      .values({ repository, tag, digest })
      .onConflict((conflict) => conflict.columns(['repository', 'tag']).doUpdateSet({ digest }))
      .execute()
  }
  return (before?.digest ?? null) as Digest | null
}
