import type { Store } from './store.ts'

type Committing = Pick<Store, 'raw' | 'checkFiles'>

/** One operation of a group: `run` awaits nothing but the database, and may be called again if its transaction failed. */
export interface Work {
  run(): Promise<unknown>
  done(result: unknown): void
  failed(error: unknown): void
}

/**
 * Runs all in one transaction, each in a savepoint: one fsync for all of them. Each is answered only after the commit;
 * one that fails takes back only what it did. When the transaction as a whole fails, each gets one of its own.
 */
export async function commitGroup(store: Committing, group: readonly Work[]): Promise<void> {
  if (group.length === 0) return
  try {
    const answers = await runGroup(store, group)
    for (const answer of answers) answer()
  } catch (error) {
    if (group.length === 1) return group[0]!.failed(error)
    for (const work of group) await commitGroup(store, [work])
  }
}

async function runGroup({ raw: database, checkFiles }: Committing, group: readonly Work[]): Promise<(() => void)[]> {
  const answers: (() => void)[] = []
  database.exec('begin immediate')
  try {
    for (const work of group) answers.push(await runInSavepoint(database, work))
    checkFiles()
    database.exec('commit')
    return answers
  } catch (error) {
    // Some errors, a full disk among them, have ended the transaction already.
    if (database.isTransaction) database.exec('rollback')
    throw error
  }
}

async function runInSavepoint(database: Committing['raw'], work: Work): Promise<() => void> {
  database.exec('savepoint operation')
  try {
    const result = await work.run()
    database.exec('release operation')
    return () => {
      work.done(result)
    }
  } catch (error) {
    if (!database.isTransaction) throw error
    database.exec('rollback to operation')
    database.exec('release operation')
    return () => {
      work.failed(error)
    }
  }
}
