import type { Deployment } from '../../model/deployment.ts'
import type { Db, Schema } from '../schema.ts'
import { note } from './events.ts'

type Rollout = Schema['rollouts']

/** What of a deployment its events tell besides the row itself. */
export interface Told {
  by: string | null
  data: { version: string | null; fromVersion: string | null; begunAt: number; tookMs: number; failures: number }
}

/** A person asked for it: whoever that is, and the time that it takes from now on, are told with how it ends. */
export async function beginRollout(
  db: Db,
  { bundle, place, desired, forced }: Pick<Deployment, 'bundle' | 'place' | 'desired' | 'forced'>,
  { by, at }: { by: string | null; at: number },
): Promise<Rollout> {
  const columns = { release: desired ?? 0, forced, by, begunAt: at, failures: 0 }
  await db
    .insertInto('rollouts')
    .values({ bundle, place, ...columns })
    .onConflict((conflict) => conflict.columns(['bundle', 'place']).doUpdateSet(columns))
    .execute()
  return { bundle, place, ...columns }
}

/** Of an attempt at this release that begins, failed or succeeded. `from`: what the place had before. */
export async function tellRollout(
  db: Db,
  row: Deployment,
  {
    release,
    from,
    outcome,
    at,
  }: { release: number | null; from: number | null; outcome: Deployment['state']; at: number },
): Promise<Told> {
  const rollout = await underWay(db, row, release, at)
  const failures = rollout.failures + (outcome === 'failed' ? 1 : 0)
  const ofThis = db.updateTable('rollouts').where('bundle', '=', row.bundle).where('place', '=', row.place)
  if (outcome === 'failed') await ofThis.set({ failures }).execute()
  // One that a person asked for meanwhile begins when this is over.
  if (outcome === 'done' && row.forcedDone >= rollout.forced) {
    await db.deleteFrom('rollouts').where('bundle', '=', row.bundle).where('place', '=', row.place).execute()
  }
  const { by, begunAt } = rollout
  const [version, fromVersion] = [await versionOf(db, row.bundle, release), await versionOf(db, row.bundle, from)]
  return { by, data: { version, fromVersion, begunAt, tookMs: Math.max(0, at - begunAt), failures } }
}

export async function versionOf(db: Db, bundle: string, number: number | null): Promise<string | null> {
  if (number === null) return null
  const row = await db
    .selectFrom('releases')
    .select('version')
    .where('bundle', '=', bundle)
    .where('number', '=', number)
    .executeTakeFirst()
  return row?.version ?? null
}

/** One that failed and is tried no more, since another release goes there instead: nothing else would say how it ended. */
async function noteOvertaken(db: Db, rollout: Rollout, next: number | null, at: number): Promise<void> {
  const { bundle, place, release, by, begunAt, failures } = rollout
  const [version, nextVersion] = [await versionOf(db, bundle, release), await versionOf(db, bundle, next)]
  const data = { release, version, next, nextVersion, begunAt, tookMs: Math.max(0, at - begunAt), failures }
  await note(db, { type: 'deployment.overtaken', bundle, place, by, at, data })
}

/** By a person's word this release goes there: whose that was is told with how it ends, also where the word stands nowhere any more. */
export async function beginByWord(
  db: Db,
  { bundle, place }: { bundle: string; place: string },
  release: number,
  word: { by: string; at: number },
): Promise<void> {
  const ofThis = (table: 'rollouts' | 'deployments') =>
    db.selectFrom(table).selectAll().where('bundle', '=', bundle).where('place', '=', place).executeTakeFirst()
  const known = (await ofThis('rollouts')) as Rollout | undefined
  if (known !== undefined && known.failures > 0) await noteOvertaken(db, known, release, word.at)
  const row = (await ofThis('deployments')) as Deployment | undefined
  await beginRollout(db, { bundle, place, desired: release, forced: row?.forcedDone ?? 0 }, word)
}

/** A newer release begins anew; whoever pinned the bundle is behind what is deployed of it. */
async function underWay(db: Db, row: Deployment, release: number | null, at: number): Promise<Rollout> {
  const { bundle, place, forcedDone } = row
  const known = await db
    .selectFrom('rollouts')
    .selectAll()
    .where('bundle', '=', bundle)
    .where('place', '=', place)
    .executeTakeFirst()
  if (known?.release === release) return known
  if (known !== undefined && known.failures > 0) await noteOvertaken(db, known, release, at)
  const pin = await db.selectFrom('pins').select('by').where('bundle', '=', bundle).executeTakeFirst()
  return beginRollout(db, { bundle, place, desired: release, forced: forcedDone }, { by: pin?.by ?? null, at })
}
