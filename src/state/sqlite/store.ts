import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { StorageError } from '../../lib/errors.ts'
import { migrate } from '../migrations/migrate.ts'
import { bundleOperations } from '../operations/bundles.ts'
import { catalogOperations } from '../operations/catalog.ts'
import { collectionOperations } from '../operations/collect.ts'
import { decisionOperations } from '../operations/decisions.ts'
import { deploymentOperations } from '../operations/deployments.ts'
import { eventOperations } from '../operations/events.ts'
import { factOperations } from '../operations/facts.ts'
import { promotionOperations } from '../operations/promotions.ts'
import { access, type Groups, type Operations } from '../operations/operation.ts'
import { outboxOperations } from '../operations/outbox.ts'
import type { Db } from '../schema.ts'
import { openDatabase, type OpenDatabase } from './database.ts'
import { sqliteError } from './errors.ts'
import type { WorkerStart } from './messages.ts'
import { snapshotTo } from './snapshot.ts'

/** The database of one folder, with its lock. */
export interface Store extends OpenDatabase {
  /** For messages. */
  file: string
  /** Copies it into a new file. */
  snapshot(to: string): Promise<void>
  close(): void
}

const contentIdFact = 'contentId'

/** Takes the folder's lock, opens the database and brings its schema up to date. Throws StorageError. */
export async function openStore({ path, contentId }: WorkerStart): Promise<Store> {
  const unlock = takeLock(path)
  const file = join(path, 'state.db')
  let opened: OpenDatabase | undefined
  try {
    opened = openDatabase(file)
    const { raw, kysely } = opened
    await migrate(kysely, file)
    await claim(kysely, path, contentId)
    return {
      raw,
      kysely,
      file,
      snapshot: (to) => snapshotTo(file, to),
      close: () => {
        raw.close()
        unlock()
      },
    }
  } catch (error) {
    opened?.raw.close()
    unlock()
    throw sqliteError(error, 'opening the state', file)
  }
}

/**
 * SQLite's exclusive lock on `lock.db`, which the kernel frees however this process ends. Nobody in this process may open
 * and close that file by other means: with POSIX locks, that would free it too.
 */
export function takeLock(path: string): () => void {
  const file = join(path, 'lock.db')
  let lock: DatabaseSync | undefined
  try {
    lock = new DatabaseSync(file)
    lock.exec('begin exclusive')
  } catch (error) {
    lock?.close()
    const ours = sqliteError(error, 'locking the folder', file)
    if (!(ours instanceof StorageError) || ours.code !== 'locked') throw ours
    throw new StorageError('locked', `the folder ${path} is in use by another longshore`, {
      cause: error,
      hint: 'Stop that one first, or give this one a folder of its own (content.path).',
    })
  }
  const held = lock
  return () => {
    held.close()
  }
}

async function claim(db: Db, path: string, contentId: string): Promise<void> {
  const known = await factOperations.get(db, contentIdFact)
  if (known === undefined) await factOperations.set(db, contentIdFact, contentId)
  else if (known !== contentId) {
    throw new StorageError(
      'foreign',
      `the state in ${path} belongs to content ${known}, but was given content ${contentId}`,
      {
        hint: 'Give it the content folder that it was made with (its file "id" says which), or begin with an empty folder.',
      },
    )
  }
}

export interface NamedOperation {
  access: 'read' | 'write'
  run(db: Db, args: unknown[]): Promise<unknown>
}

/** Every operation by the name that it is sent under: `catalog.blob`. */
export function nameOperations(): Map<string, NamedOperation> {
  const groups: { [Group in keyof Groups]: Operations<Groups[Group]> } = {
    catalog: catalogOperations,
    bundles: bundleOperations,
    deployments: deploymentOperations,
    collection: collectionOperations,
    decisions: decisionOperations,
    promotions: promotionOperations,
    events: eventOperations,
    outbox: outboxOperations,
    facts: factOperations,
  }
  return new Map(
    Object.entries(access).flatMap(([group, methods]) =>
      Object.entries(methods).map(([method, kind]): [string, NamedOperation] => {
        const operations = groups[group as keyof Groups] as Record<
          string,
          (db: Db, ...args: unknown[]) => Promise<unknown>
        >
        return [`${group}.${method}`, { access: kind, run: (db, args) => operations[method]!(db, ...args) }]
      }),
    ),
  )
}
