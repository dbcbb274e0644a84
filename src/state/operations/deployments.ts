import type { Deployment } from '../../model/deployment.ts'
import type { DeploymentState } from '../state.ts'
import { note, type Happening } from './events.ts'
import type { Operations } from './operation.ts'

export const deploymentOperations: Operations<DeploymentState> = {
  async list(db, bundle) {
    const query = db.selectFrom('deployments').selectAll().orderBy('bundle').orderBy('place')
    return (await (bundle === undefined ? query : query.where('bundle', '=', bundle)).execute()) as Deployment[]
  },

  async configure(db, bundle, places, desired) {
    const rows = await db.selectFrom('deployments').select('place').where('bundle', '=', bundle).execute()
    const before = new Set(rows.map(({ place }) => place))
    for (const place of before.difference(new Set(places))) {
      await db.deleteFrom('deployments').where('bundle', '=', bundle).where('place', '=', place).execute()
    }
    const fresh = { deployed: null, observed: null, nextAttemptAt: null, lastError: null, lastAttemptAt: null }
    const never = { deployedAt: null, forced: 0, forcedDone: 0 }
    for (const place of new Set(places).difference(before)) {
      await db
        .insertInto('deployments')
        .values({ bundle, place, desired, state: 'pending', attempts: 0, ...fresh, ...never })
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
    const overtaken = (row.desired ?? 0) > (desired ?? 0)
    await db
      .updateTable('deployments')
      .set(overtaken ? facts : { ...facts, desired, state, attempts, nextAttemptAt })
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .execute()
    const happening = happeningOf(row as Deployment, deployment, at)
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
    for (const { place: to, desired } of rows) {
      await note(db, { type: 'deployment.forced', bundle, place: to, by, at, data: { release: desired, reason } })
    }
    return rows as Deployment[]
  },
}

function withLog(happening: Happening, log: readonly string[]): Happening {
  return log.length === 0 ? happening : { ...happening, data: { ...happening.data, log } }
}

/** What the change of a row tells: an attempt that began, how one ended, or that somebody else changed what was there. */
function happeningOf(before: Deployment, after: Deployment, at: number): Happening | undefined {
  const { bundle, place, desired, deployed, attempts, lastError, nextAttemptAt } = after
  const about = { bundle, place }
  const tried = { release: desired, attempt: attempts }
  if (after.state === 'deploying') {
    return { type: 'deployment.started', ...about, at: after.lastAttemptAt ?? 0, data: tried }
  }
  if (after.state === 'failed') {
    const data = { ...tried, error: lastError, nextAttemptAt }
    return { type: 'deployment.failed', ...about, at: after.lastAttemptAt ?? 0, data }
  }
  if (after.state === 'drifted') {
    const data = { release: deployed, digest: after.observed }
    return { type: 'deployment.drifted', ...about, at, data }
  }
  if (after.deployedAt === before.deployedAt || after.deployedAt === null) return undefined
  const data = { release: deployed, attempt: before.attempts, from: before.deployed, digest: after.observed }
  return { type: 'deployment.succeeded', ...about, at: after.deployedAt, data }
}
