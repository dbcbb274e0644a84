import { sql } from 'kysely'
import type { Digest } from '../../oci/digest.ts'
import { isDigest } from '../../oci/digest.ts'
import type { Db } from '../schema.ts'
import type { CatalogState, Reference } from '../state.ts'
import type { Operations } from './operation.ts'
import { listOperations, manifestColumns, rowOf } from './lists.ts'
import { quotaExceeded } from '../quota.ts'
import { noteChange, noteLoss, pieces, pointTag } from './repository.ts'

export const catalogOperations: Operations<CatalogState> = {
  ...listOperations,

  async blob(db, repository, digest) {
    return db
      .selectFrom('blobs')
      .select(['size', 'usedAt'])
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirst()
  },

  async useBlob(db, repository, digest, usedAt) {
    const { numUpdatedRows } = await db
      .updateTable('blobs')
      .set((eb) => ({
        usedAt: eb.case().when('usedAt', '<', usedAt).then(usedAt).else(eb.ref('usedAt')).end(),
      }))
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    return numUpdatedRows > 0n
  },

  addBlob,

  async mountBlob(db, { digest, from, readable, to }, usedAt, maxBytes) {
    const size = from === undefined ? await findBlob(db, digest, readable) : await findBlob(db, digest, [from])
    if (size === undefined) return undefined
    await addBlob(db, to, { digest, size }, usedAt, maxBytes)
    return { size }
  },

  async removeBlob(db, repository, digest) {
    const { numDeletedRows } = await db
      .deleteFrom('blobs')
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    return numDeletedRows > 0n
  },

  async manifest(db, repository, reference) {
    const query = isDigest(reference)
      ? db.selectFrom('manifests').where('manifests.digest', '=', reference)
      : db
          .selectFrom('tags')
          .innerJoin('manifests', (join) =>
            join.onRef('manifests.repository', '=', 'tags.repository').onRef('manifests.digest', '=', 'tags.digest'),
          )
          .where('tags.repository', '=', repository)
          .where('tags.tag', '=', reference)
    const row = await query.where('manifests.repository', '=', repository).select(manifestColumns).executeTakeFirst()
    return row && rowOf(row)
  },

  usage,

  async putManifest(db, repository, manifest, references, tags, at, maxBytes) {
    const missing = await findMissing(db, repository, references)
    if (missing.length > 0) return { missing, moved: [] }
    const check = await quotaCheck(db, repository, maxBytes)
    const { annotations, ...columns } = manifest
    const values = { ...columns, annotations: annotations && JSON.stringify(annotations) }
    const { digest: _, ...changeable } = { ...values, putAt: at }
    await unbury(db, manifest.digest)
    await db
      .insertInto('manifests')
      .values({ repository, putAt: at, neededUntil: null, ...values })
      .onConflict((conflict) => conflict.columns(['repository', 'digest']).doUpdateSet(changeable))
      .execute()
    await addLinks(db, repository, manifest.digest, references)
    const moved: { tag: string; from: Digest | null }[] = []
    for (const tag of tags) {
      const from = await pointTag(db, repository, tag, manifest.digest)
      if (from !== manifest.digest) moved.push({ tag, from })
    }
    await noteLoss(
      db,
      repository,
      moved.flatMap(({ from }) => from ?? []),
      at,
    )
    await noteChange(db, repository)
    await check()
    return { missing: [], moved }
  },

  async parts(db, repository, digest) {
    const manifest = await db
      .selectFrom('manifests')
      .select('size')
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirst()
    if (manifest === undefined) return undefined
    const blobs = await db
      .selectFrom('links')
      .leftJoin('blobs', (join) =>
        join.onRef('blobs.repository', '=', 'links.repository').onRef('blobs.digest', '=', 'links.target'),
      )
      .select(['links.target as digest', 'blobs.size'])
      .where('links.repository', '=', repository)
      .where('links.digest', '=', digest)
      .where('links.kind', '=', 'blob')
      .execute()
    return [{ digest, size: manifest.size }, ...(blobs as { digest: Digest; size: number | null }[])]
  },

  async removeManifest(db, repository, digest, at) {
    const tags = await db
      .selectFrom('tags')
      .select('tag')
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .orderBy('tag')
      .execute()
    await noteLoss(db, repository, await findNeighbours(db, repository, digest), at)
    // Tags and links go with it, as the foreign keys say.
    const { numDeletedRows } = await db
      .deleteFrom('manifests')
      .where('repository', '=', repository)
      .where('digest', '=', digest)
      .executeTakeFirstOrThrow()
    if (numDeletedRows === 0n) return undefined
    await noteChange(db, repository)
    return { tags: tags.map(({ tag }) => tag) }
  },

  async removeTag(db, repository, tag, at) {
    const row = await db
      .deleteFrom('tags')
      .where('repository', '=', repository)
      .where('tag', '=', tag)
      .returning('digest')
      .executeTakeFirst()
    if (row === undefined) return undefined
    await noteLoss(db, repository, [row.digest as Digest], at)
    await noteChange(db, repository)
    return row.digest as Digest
  },

  async staleIndexes(db, limit) {
    const rows = await db
      .selectFrom('repositories')
      .select(['name', 'version'])
      .select((eb) =>
        eb
          .exists(
            eb.selectFrom('manifests').select('serial').whereRef('manifests.repository', '=', 'repositories.name'),
          )
          .as('full'),
      )
      .whereRef('version', '<>', 'indexed')
      .orderBy('name')
      .limit(limit)
      .execute()
    return rows.map(({ name, version, full }) => ({ repository: name, version, empty: !full }))
  },

  async indexWritten(db, repository, version) {
    await db.updateTable('repositories').set({ indexed: version }).where('name', '=', repository).execute()
    // One that is empty, and shown as empty, needs no row any more.
    await db
      .deleteFrom('repositories')
      .where('name', '=', repository)
      .where('version', '=', version)
      .where((eb) =>
        eb.not(eb.exists(eb.selectFrom('manifests').select('serial').where('manifests.repository', '=', repository))),
      )
      .execute()
  },
}

async function addBlob(
  db: Db,
  repository: string,
  { digest, size }: { digest: Digest; size: number },
  usedAt: number,
  maxBytes?: number,
): Promise<void> {
  const check = await quotaCheck(db, repository, maxBytes)
  await unbury(db, digest)
  await db
    .insertInto('blobs')
    .values({ repository, digest, size, usedAt })
    .onConflict((conflict) => conflict.columns(['repository', 'digest']).doUpdateSet({ size, usedAt }))
    .execute()
  await check()
}

async function usage(db: Db, repository: string): Promise<number> {
  let bytes = 0
  for (const table of ['blobs', 'manifests'] as const) {
    const row = await db
      .selectFrom(table)
      .select((eb) => eb.fn.sum<number | null>('size').as('bytes'))
      .where('repository', '=', repository)
      .executeTakeFirst()
    bytes += row?.bytes ?? 0
  }
  return bytes
}

/** Asked before something is added, to be called afterwards: it throws, which takes back the whole operation. */
async function quotaCheck(db: Db, repository: string, maxBytes: number | undefined): Promise<() => Promise<void>> {
  if (maxBytes === undefined) return () => Promise.resolve()
  const before = await usage(db, repository)
  return async () => {
    const after = await usage(db, repository)
    // What is there already may come again, also where the quota was lowered.
    if (after > maxBytes && after > before) throw quotaExceeded(repository, maxBytes, after)
  }
}

/** What a manifest names and refers to, and what refers to it: whatever was needed for its sake alone. */
async function findNeighbours(db: Db, repository: string, digest: Digest): Promise<Digest[]> {
  const { rows } = await sql<{ digest: Digest }>`
    select target as digest from links where repository = ${repository} and digest = ${digest} and kind = 'manifest'
    union all
    select subject from manifests where repository = ${repository} and digest = ${digest} and subject is not null
    union all
    select digest from manifests where repository = ${repository} and subject = ${digest}`.execute(db)
  return rows.map((row) => row.digest)
}

/** Somebody has it again: it is not to be removed. */
async function unbury(db: Db, digest: Digest): Promise<void> {
  await db.deleteFrom('tombstones').where('digest', '=', digest).execute()
}

async function findBlob(db: Db, digest: Digest, repositories: string[] | 'all' = []): Promise<number | undefined> {
  const query = db.selectFrom('blobs').select('size').where('digest', '=', digest).limit(1)
  if (repositories === 'all') return (await query.executeTakeFirst())?.size
  for (const names of pieces(repositories)) {
    const row = await query.where('repository', 'in', names).executeTakeFirst()
    if (row !== undefined) return row.size
  }
  return undefined
}

async function findMissing(db: Db, repository: string, references: readonly Reference[]): Promise<Digest[]> {
  const required = references.filter((reference) => reference.required)
  const here = { blob: new Set<string>(), manifest: new Set<string>() }
  for (const wanted of pieces([...new Set(required.map(({ digest }) => digest))])) {
    for (const [kind, table] of [['blob', 'blobs'] as const, ['manifest', 'manifests'] as const]) {
      if (!required.some((reference) => reference.kind === 'manifest' || reference.kind === kind)) continue
      const rows = await db
        .selectFrom(table)
        .select('digest')
        .where('repository', '=', repository)
        .where('digest', 'in', wanted)
        .execute()
      for (const { digest } of rows) here[kind].add(digest)
    }
  }
  // A member of an index may be any blob; what an image names as a blob is not there because a manifest has the same bytes.
  const isHere = ({ digest, kind }: Reference) =>
    here.blob.has(digest) || (kind === 'manifest' && here.manifest.has(digest))
  return [...new Set(required.filter((reference) => !isHere(reference)).map(({ digest }) => digest))]
}

async function addLinks(db: Db, repository: string, digest: Digest, references: readonly Reference[]): Promise<void> {
  for (const piece of pieces(references)) {
    await db
      .insertInto('links')
      .values(piece.map(({ digest: target, kind }) => ({ repository, digest, target, kind })))
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}
