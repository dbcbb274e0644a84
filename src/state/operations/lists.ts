import { parseJsonText } from '../../lib/json.ts'
import type { Digest } from '../../oci/digest.ts'
import type { CatalogState, ManifestRow } from '../state.ts'
import type { Operations } from './operation.ts'

export const manifestColumns = [
  'manifests.digest',
  'manifests.mediaType',
  'manifests.size',
  'manifests.artifactType',
  'manifests.subject',
  'manifests.annotations',
] as const

interface Row {
  digest: string
  mediaType: string
  size: number
  artifactType: string | null
  subject: string | null
  annotations: string | null
}

export function rowOf({ digest, mediaType, size, artifactType, subject, annotations }: Row): ManifestRow {
  return {
    digest: digest as Digest,
    mediaType,
    size,
    artifactType,
    subject: subject as Digest | null,
    annotations: annotations === null ? null : (parseJsonText(annotations) as Record<string, string>),
  }
}

/** Pages go on by the last name seen: their cost does not grow with what went before. */
export const listOperations: Pick<
  Operations<CatalogState>,
  'tags' | 'tagged' | 'untagged' | 'hasRepository' | 'repositories' | 'referrers' | 'digests'
> = {
  async tags(db, repository, { after = '', limit }) {
    const rows = await db
      .selectFrom('tags')
      .select('tag')
      .where('repository', '=', repository)
      .where('tag', '>', after)
      .orderBy('tag')
      .limit(limit)
      .execute()
    return rows.map(({ tag }) => tag)
  },

  async tagged(db, repository, { after = '', limit }) {
    const rows = await db
      .selectFrom('tags')
      .innerJoin('manifests', (join) =>
        join.onRef('manifests.repository', '=', 'tags.repository').onRef('manifests.digest', '=', 'tags.digest'),
      )
      .select('tags.tag')
      .select(manifestColumns)
      .where('tags.repository', '=', repository)
      .where('tags.tag', '>', after)
      .orderBy('tags.tag')
      .limit(limit)
      .execute()
    return rows.map((row) => ({ tag: row.tag, manifest: rowOf(row) }))
  },

  async untagged(db, repository, { after = '', limit }) {
    const rows = await db
      .selectFrom('manifests')
      .select(manifestColumns)
      .where('repository', '=', repository)
      .where('digest', '>', after)
      .where((eb) =>
        eb.not(
          eb.exists(
            eb
              .selectFrom('tags')
              .select('tag')
              .where('tags.repository', '=', repository)
              .whereRef('tags.digest', '=', 'manifests.digest'),
          ),
        ),
      )
      .orderBy('digest')
      .limit(limit)
      .execute()
    return rows.map(rowOf)
  },

  async hasRepository(db, repository) {
    for (const table of ['manifests', 'blobs'] as const) {
      const row = await db
        .selectFrom(table)
        .select('digest')
        .where('repository', '=', repository)
        .limit(1)
        .executeTakeFirst()
      if (row !== undefined) return true
    }
    return false
  },

  async repositories(db, { after = '', limit }) {
    const rows = await db
      .selectFrom('repositories')
      .select('name')
      .where('name', '>', after)
      .where((eb) =>
        eb.exists(
          eb.selectFrom('manifests').select('serial').whereRef('manifests.repository', '=', 'repositories.name'),
        ),
      )
      .orderBy('name')
      .limit(limit)
      .execute()
    return rows.map(({ name }) => name)
  },

  async referrers(db, repository, subject, artifactType) {
    const query = db
      .selectFrom('manifests')
      .select(manifestColumns)
      .where('repository', '=', repository)
      .where('subject', '=', subject)
      .orderBy('serial')
    const rows = await (artifactType === undefined ? query : query.where('artifactType', '=', artifactType)).execute()
    return rows.map(rowOf)
  },

  async digests(db, { after = '', limit }) {
    const page = (table: 'blobs' | 'manifests') =>
      db
        .selectFrom(table)
        .select(['digest', (eb) => eb.fn.max('size').as('size')])
        .where('digest', '>', after)
        .groupBy('digest')
        .orderBy('digest')
        .limit(limit)
        .execute()
    const sizes = new Map([...(await page('blobs')), ...(await page('manifests'))].map((row) => [row.digest, row.size]))
    return [...sizes]
      .map(([digest, size]) => ({ digest: digest as Digest, size }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1))
      .slice(0, limit)
  },
}
