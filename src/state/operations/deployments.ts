import type { Deployment } from '../../model/deployment.ts'
import type { DeploymentState } from '../state.ts'
import type { Db } from '../schema.ts'
import { note, type Happening } from './events.ts'
import type { Operations } from './operation.ts'
import { arrive, leave, notePut } from './placements.ts'
import { beginRollout, tellRollout, versionOf } from './rollouts.ts'

export const deploymentOperations: Operations<DeploymentState> = {
  async list(db, bundle) {
    const query = db.selectFrom('deployments').selectAll().orderBy('bundle').orderBy('place')
    return (await (bundle === undefined ? query : query.where('bundle', '=', bundle)).execute()) as Deployment[]
  },

  async configure(db, bundle, places, desired, { placements, at } = { placements: [], at: 0 }) {
    const rows = await db.selectFrom('deployments').select('place').where('bundle', '=', bundle).execute()
    const before = new Set(rows.map(({ place }) => place))
    for (const place of before.difference(new Set(places))) {
      await leave(db, bundle, place, at)
      for (const table of ['deployments', 'rollouts'] as const) {
        await db.deleteFrom(table).where('bundle', '=', bundle).where('place', '=', place).execute()
      }
    }
    const fresh = {
      observed: null,
      nextAttemptAt: null,
      lastError: null,
      lastAttemptAt: null,
      forced: 0,
      forcedDone: 0,
    }
    const never = { deployed: null, deployedAt: null }
    const known = new Map<string, typeof never | { deployed: number | null; deployedAt: number | null }>()
    for (const placement of placements) known.set(placement.place, await arrive(db, bundle, placement))
    for (const place of new Set(places).difference(before)) {
      await db
        .insertInto('deployments')
        .values({ bundle, place, desired, state: 'pending', attempts: 0, ...fresh, ...(known.get(place) ?? never) })
        .execute()
    }
  },

  async save(db, deployment, at, log = []) {
    const { bundle, place, ...columns } = deployment
    // Asked for meanwhile, perhaps.
    const { desired, state, attempts, nextAttemptAt, forced: _, ...facts } = columns
    const row = await db
      .selectFrom('deployments')
      .selectAll()
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .executeTakeFirst()
    if (row === undefined) return
    if (state === 'deploying' && desired !== null) await notePut(db, bundle, place, desired)
    const overtaken = (row.desired ?? 0) > (desired ?? 0)
    await db
      .updateTable('deployments')
      .set(overtaken ? facts : { ...facts, desired, state, attempts, nextAttemptAt })
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .execute()
    const happening = await happeningOf(db, row as Deployment, deployment, at)
    if (happening !== undefined) await note(db, withLog(happening, log))
  },

  async force(db, bundle, place, { by, at, reason }) {
    const rows = await db
      .updateTable('deployments')
      // What was given up has all its attempts again.
      .set((eb) => ({ forced: eb('forced', '+', 1), attempts: 0 }))
      .where('bundle', '=', bundle)
      .$if(place !== null, (query) => query.where('place', '=', place!))
      .returningAll()
      .execute()
    for (const row of rows as Deployment[]) {
      const { place: to, desired: release } = row
      const data = { release, version: await versionOf(db, bundle, release), reason }
      await note(db, { type: 'deployment.forced', bundle, place: to, by, at, data })
      await beginRollout(db, row, { by, at })
    }
    return rows as Deployment[]
  },
}

function withLog(happening: Happening, log: readonly string[]): Happening {
  return log.length === 0 ? happening : { ...happening, data: { ...happening.data, log } }
}

/** What the change of a row tells: an attempt that began, how one ended, or that somebody else changed what was there. */
async function happeningOf(db: Db, before: Deployment, after: Deployment, now: number): Promise<Happening | undefined> {
  const { bundle, place, state, desired, deployed, lastError: error, nextAttemptAt } = after
  const about = { bundle, place }
  if (state === 'drifted') {
    const data = { release: deployed, version: await versionOf(db, bundle, deployed), digest: after.observed, error }
    return { type: 'deployment.drifted', ...about, at: now, data }
  }
  const tell = async (outcome: Deployment['state'], at: number) => {
    const release = outcome === 'done' ? deployed : desired
    const { by, data } = await tellRollout(db, after, { release, from: before.deployed, outcome, at })
    // A newer release that came meanwhile begins to count anew.
    const attempt = outcome === 'done' ? Math.max(before.attempts, data.failures + 1) : after.attempts
    return { ...about, at, by, data: { release, from: before.deployed, attempt, ...data } }
  }
  if (state === 'deploying') {
    const { data, ...told } = await tell('deploying', after.lastAttemptAt ?? now)
    return { type: 'deployment.started', ...told, data }
  }
  if (state === 'failed') {
    // Nobody was asked: what failed before was told then.
    if (before.state !== 'deploying' && before.attempts === after.attempts) return undefined
    const { data, ...told } = await tell('failed', now)
    return { type: 'deployment.failed', ...told, data: { ...data, error, nextAttemptAt } }
  }
  if (after.deployedAt === null) return undefined
  const isPut = after.deployed !== before.deployed || after.deployedAt !== before.deployedAt
  // An attempt that seemed to fail may have put it there all the same; the clock may stand still, or be set back.
  const hasEnded = state === 'done' && (before.state === 'deploying' || before.state === 'failed')
  if (!isPut && !hasEnded) return undefined
  const { data, ...told } = await tell('done', isPut ? after.deployedAt : now)
  return { type: 'deployment.succeeded', ...told, data: { ...data, digest: after.observed } }
}
