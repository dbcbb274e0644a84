import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { migrate, migrations } from '../../../src/state/migrations/migrate.ts'
import { openDatabase } from '../../../src/state/sqlite/database.ts'
import { dumpDatabase } from '../../support/dump.ts'
import { frozen, frozenVersions, thaw } from '../../support/frozen-state.ts'
import { tempDir } from '../../support/temp.ts'
import { draft, openInProcess } from './open.ts'

const [manifest, layer] = [digestOf(frozen.manifest), digestOf(frozen.layer)]

describe('a state that an earlier version wrote', () => {
  it.each(frozenVersions)('version %s: opens, and everything is there', async (version) => {
    const state = await openInProcess(thaw(version))
    const { catalog, bundles, deployments } = state
    expect(await state.facts.get('example')).toBe('there')
    expect(await catalog.repositories({ limit: 9 })).toEqual(['bundles/authz', 'policies/authz'])
    const row = {
      digest: manifest,
      size: frozen.manifest.length,
      annotations: { a: 'b' },
      subject: null,
      artifactType: null,
    }
    expect(await catalog.manifest('policies/authz', 'latest')).toMatchObject(row)
    expect(await catalog.blob('policies/authz', layer)).toEqual({ size: frozen.layer.length, usedAt: 1000 })
    expect(await catalog.staleIndexes(9)).toMatchObject([{ repository: 'policies/authz', version: 2 }])
    const release = {
      ...draft(frozen.manifest),
      bundleDigest: layer,
      size: frozen.layer.length,
      version: '1.0.0',
      revision: 'rev',
      reason: 'first',
    }
    expect(await bundles.current()).toEqual([{ ...release, number: 1, activatedAt: 1000, kept: true }])
    expect(await bundles.memo('authz', 'f', 'r')).toMatchObject({ verdict: { release: 1 } })
    expect(await bundles.look('authz')).toMatchObject({ outcome: 'released', nextAt: 5000 })
    expect(await deployments.list()).toMatchObject([{ place: 'prod', desired: 1, deployed: 1, state: 'done' }])
    const { holds, pins, switches } = await state.decisions.all()
    expect(holds).toHaveLength(version >= 2 ? 1 : 0)
    expect([pins, switches, await state.events.after(0, 9)].map((rows) => rows.length)).toEqual(
      version >= 3 ? [1, 1, 1] : [0, 0, 0],
    )
    const messages = await state.outbox.list({ publisher: null, bundle: null, state: null }, { after: null, limit: 9 })
    expect(messages).toMatchObject(version >= 4 ? [{ publisher: 'events', state: 'parked', event: { seq: 1 } }] : [])
    await state.close()
  })

  it.each(frozenVersions)('version %s: can be gone on with', async (version) => {
    const folder = thaw(version)
    const state = await openInProcess(folder)
    const drop = { limit: 9, usedBefore: 2000, dryRun: false }
    const { blobs } = await state.collection.dropBlobs('policies/authz', drop)
    expect(blobs.map(({ digest }) => digest)).toEqual([digestOf('orphan')])
    const context = { tags: ['latest'], memo: { bundle: 'authz', fingerprint: 'g', recipe: 'r' }, places: ['prod'] }
    const next = { ...draft(frozen.manifest), bundleDigest: layer }
    expect((await state.bundles.append(next, { ...context, keep: 1, at: 2000 })).number).toBe(2)
    await state.close()
    const again = await openInProcess(folder)
    expect((await again.bundles.releases('authz', 9)).map(({ number }) => number)).toEqual([2, 1])
    await again.close()
  })

  it.each(frozenVersions)('version %s: becomes the very schema that a new one has', async (version) => {
    const schemaOf = async (path: string) => {
      const { raw, kysely } = openDatabase(join(path, 'state.db'))
      await migrate(kysely, 'state.db')
      const query = 'select "type", "name", "sql" from sqlite_schema order by "type", "name"'
      const schema = raw.prepare(query).all()
      raw.close()
      return schema
    }
    expect(await schemaOf(thaw(version))).toEqual(await schemaOf(tempDir('new')))
  })

  it('is there for every version: `node scripts/freeze-state.ts` makes the next', () => {
    expect(frozenVersions).toEqual(migrations.map(({ version }) => version))
  })

  it('has rows in every table', () => {
    const raw = new DatabaseSync(join(thaw(frozenVersions.at(-1)!), 'state.db'))
    const tables = raw.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'").all()
    expect(tables.length).toBeGreaterThan(10)
    for (const { name } of tables) {
      const { count } = raw.prepare(`select count(*) as count from "${String(name)}"`).get()!
      expect(count, String(name)).toBeGreaterThan(0)
    }
    raw.close()
  })

  it('and that a newer one wrote is refused, and left as it is', async () => {
    const folder = thaw(frozenVersions.at(-1)!)
    const raw = new DatabaseSync(join(folder, 'state.db'))
    raw.exec('update schema_version set version = 99')
    const before = dumpDatabase(raw)
    raw.close()
    await expect(openInProcess(folder)).rejects.toMatchObject({
      ...{ name: 'StorageError', code: 'foreign' },
      message: expect.stringMatching(/has schema version 99, this longshore knows only up to \d+/) as string,
      hint: expect.stringMatching(/A newer longshore wrote it/) as string,
    })
    const again = new DatabaseSync(join(folder, 'state.db'))
    expect(dumpDatabase(again)).toBe(before)
    again.close()
  })
})
