import type { Deployment } from '../../model/deployment.ts'
import type { DeploymentState } from '../state.ts'
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
    for (const place of new Set(places).difference(before)) {
      await db
        .insertInto('deployments')
        .values({ bundle, place, desired, state: 'pending', attempts: 0, ...fresh, deployedAt: null })
        .execute()
    }
  },

  async save(db, { bundle, place, ...columns }) {
    const { desired, state, attempts, nextAttemptAt, ...facts } = columns
    const row = await db
      .selectFrom('deployments')
      .select('desired')
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .executeTakeFirst()
    const overtaken = (row?.desired ?? 0) > (desired ?? 0)
    await db
      .updateTable('deployments')
      .set(overtaken ? facts : { ...facts, desired, state, attempts, nextAttemptAt })
      .where('bundle', '=', bundle)
      .where('place', '=', place)
      .execute()
  },
}
