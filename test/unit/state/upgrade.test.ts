import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { migrate, migrations } from '../../../src/state/migrations/migrate.ts'
import { openDatabase } from '../../../src/state/sqlite/database.ts'
import { tempDir } from '../../support/temp.ts'
import { draft, openInProcess } from './open.ts'

const [manifest, layer, config] = [digestOf('manifest'), digestOf('layer'), digestOf('config')]

/**
 * Rows of every table, as the first version wrote them; each later one adds what it has to `later`. SQL of its own: today's code
 * writes today's tables.
 */
const first = [
  `insert into facts values ('contentId', 'content-1'), ('example', 'there')`,
  `insert into repositories values ('bundles/authz', 3, 3), ('policies/authz', 2, 1)`,
  ...['bundles/authz', 'policies/authz'].flatMap((repository) => [
    `insert into manifests (repository, digest, mediaType, size, artifactType, subject, annotations, putAt)
     values ('${repository}', '${manifest}', 'application/vnd.oci.image.manifest.v1+json', 300, null, null, '{"a":"b"}', 1000)`,
    `insert into tags values ('${repository}', 'latest', '${manifest}')`,
    `insert into links values ('${repository}', '${manifest}', '${layer}', 'blob'), ('${repository}', '${manifest}', '${config}', 'blob')`,
    `insert into blobs values ('${repository}', '${layer}', 10, 1000), ('${repository}', '${config}', 2, 1000)`,
  ]),
  `insert into blobs values ('policies/authz', '${digestOf('orphan')}', 7, 1000)`,
  `insert into bundles values ('authz', 1)`,
  `insert into releases values
     ('authz', 1, '${layer}', 10, '${manifest}', '${manifest}', 'original', '1.0.0', 'rev', 1000, 'first', 1)`,
  `insert into memos values ('authz', 'f', 'r', '{"release":1}', 1000)`,
  `insert into looks values ('authz', 1, 2, 'released', 'push', '1.0.0', 'f', null, null, 0, 5000)`,
  `insert into deployments values ('authz', 'prod', 1, 1, '${manifest}', 'done', 1, null, null, 1000, 1000)`,
]
const later: Record<number, string[]> = {
  2: [
    `insert into tombstones values ('${digestOf('buried')}', 1000)`,
    `insert into holds values ('authz', 1000, 'somebody held it')`,
  ],
}

async function writtenBy(version: number): Promise<string> {
  const folder = tempDir(`version-${version}`)
  const database = openDatabase(join(folder, 'state.db'))
  await migrate(database.kysely, 'state.db', migrations.slice(0, version))
  for (let at = 1; at <= version; at++) {
    for (const statement of at === 1 ? first : (later[at] ?? [])) database.raw.exec(statement)
  }
  database.raw.close()
  return folder
}

describe('a state that an earlier version wrote', () => {
  it.each(migrations.map(({ version }) => version))('version %s: opens, and everything is there', async (version) => {
    const state = await openInProcess(await writtenBy(version))
    const { catalog, bundles, deployments } = state
    expect(await state.facts.get('example')).toBe('there')
    expect(await catalog.repositories({ limit: 9 })).toEqual(['bundles/authz', 'policies/authz'])
    const row = { digest: manifest, size: 300, annotations: { a: 'b' }, subject: null, artifactType: null }
    expect(await catalog.manifest('policies/authz', 'latest')).toMatchObject(row)
    expect(await catalog.blob('policies/authz', layer)).toEqual({ size: 10, usedAt: 1000 })
    expect(await catalog.staleIndexes(9)).toMatchObject([{ repository: 'policies/authz', version: 2 }])
    const release = { ...draft('manifest'), bundleDigest: layer, version: '1.0.0', revision: 'rev', reason: 'first' }
    expect(await bundles.current()).toEqual([{ ...release, number: 1, activatedAt: 1000, kept: true }])
    expect(await bundles.memo('authz', 'f', 'r')).toMatchObject({ verdict: { release: 1 } })
    expect(await bundles.look('authz')).toMatchObject({ outcome: 'released', nextAt: 5000 })
    expect(await deployments.list()).toMatchObject([{ place: 'prod', desired: 1, deployed: 1, state: 'done' }])
    expect(await state.holds.list()).toHaveLength(version >= 2 ? 1 : 0)
    await state.close()
  })

  it.each(migrations.map(({ version }) => version))('version %s: can be gone on with', async (version) => {
    const folder = await writtenBy(version)
    const state = await openInProcess(folder)
    const drop = { limit: 9, usedBefore: 2000, without: [], dryRun: false }
    const { blobs } = await state.collection.dropBlobs('policies/authz', drop)
    expect(blobs.map(({ digest }) => digest)).toEqual([digestOf('orphan')])
    const context = { tags: ['latest'], memo: { bundle: 'authz', fingerprint: 'g', recipe: 'r' }, places: ['prod'] }
    const next = { ...draft('manifest'), bundleDigest: layer }
    expect((await state.bundles.append(next, { ...context, keep: 1, at: 2000 })).number).toBe(2)
    await state.close()
    const again = await openInProcess(folder)
    expect((await again.bundles.releases('authz', 9)).map(({ number }) => number)).toEqual([2, 1])
    await again.close()
  })

  it('has rows in every table', async () => {
    const newest = migrations.at(-1)!.version
    const { raw } = openDatabase(join(await writtenBy(newest), 'state.db'))
    const tables = raw.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'").all()
    expect(tables.length).toBeGreaterThan(10)
    for (const { name } of tables) {
      const { count } = raw.prepare(`select count(*) as count from "${String(name)}"`).get()!
      expect(count, String(name)).toBeGreaterThan(0)
    }
    raw.close()
  })
})
