import type { Kysely } from 'kysely'
import type { Db, Schema } from '../schema.ts'
import { isConflict, isLost } from './errors.ts'

/** One operation of a group: `run` awaits nothing but the database, and may be called again if its transaction failed. */
export interface Work {
  run(db: Db): Promise<unknown>
  done(result: unknown): void
  failed(error: unknown): void
}

/** The connection broke while its transaction was committed. Nobody can say whether it was. */
export class Unsure extends Error {}

/** Two that wanted the same: so often it is tried again. */
const maxConflicts = 5

/**
 * Runs all in one transaction: one wait for the disk for all of them. Each is answered only after the commit. When one fails, or the
 * transaction as a whole, each gets one of its own: what fails is rare, and a savepoint for each would cost every one two more round
 * trips. Throws where the connection is lost: what was not answered by then was not done. `fence` throws where nothing may be written.
 */
export async function commitGroup(
  db: Kysely<Schema>,
  group: readonly Work[],
  fence: (db: Db) => Promise<void>,
): Promise<void> {
  for (let conflicts = 0; ; conflicts++) {
    try {
      const answers = await runGroup(db, group, fence)
      for (const answer of answers) answer()
      return
    } catch (error) {
      if (isLost(error)) throw error
      if (error instanceof Unsure) return group.forEach((work) => work.failed(error))
      if (isConflict(error) && conflicts < maxConflicts) continue
      if (group.length === 1) return group[0]!.failed(error)
      break
    }
  }
  for (const work of group) await commitGroup(db, [work], fence)
}

async function runGroup(
  db: Kysely<Schema>,
  group: readonly Work[],
  fence: (db: Db) => Promise<void>,
): Promise<(() => void)[]> {
  let isCommitting = false
  try {
    return await db.transaction().execute(async (trx) => {
      await fence(trx)
      const answers: (() => void)[] = []
      for (const work of group) {
        const result = await work.run(trx)
        answers.push(() => work.done(result))
      }
      isCommitting = true
      return answers
    })
  } catch (error) {
    if (!isCommitting || !isLost(error)) throw error
    throw new Unsure('the connection broke during a commit', { cause: error })
  }
}
