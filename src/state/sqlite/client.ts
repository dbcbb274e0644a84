import { access as checkAccess, constants } from 'node:fs/promises'
import type { Worker } from 'node:worker_threads'
import { diskReason } from '../../lib/disk.ts'
import { StorageError } from '../../lib/errors.ts'
import { makeFolders } from '../../lib/folders.ts'
import type { Logger } from '../../lib/logger.ts'
import { access, type Groups } from '../operations/operation.ts'
import { rememberCatalog } from '../remembered.ts'
import type { State } from '../state.ts'
import { unpackError } from './errors.ts'
import { startId, type Reply, type Request, type WorkerStart } from './messages.ts'
import { startStateThread } from './thread.ts'

export interface SqliteOptions {
  /** The folder of `state.db` and `lock.db`; made when it is not there. */
  path: string
  /** Of the content that this state speaks of; another one is refused ever after. */
  contentId: string
  logger: Logger
  /** Refuses a state without a table: there is content that it should know of. */
  mustExist?: boolean
  /** One that was started before; another one unless given. */
  thread?: Worker | undefined
}

interface Waiter {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
}

/**
 * The embedded state: SQLite in a thread of its own, so that a disk's fsync never holds the loop. Throws StorageError
 * `locked` when another process uses the folder, `foreign` when the state belongs to other content or a newer longshore,
 * `corrupt`, `disk_full`, `read_only`, `io`.
 */
export async function createSqliteState(options: SqliteOptions): Promise<State> {
  const { path, contentId, mustExist = false, logger, thread: worker } = options
  await makeFolder(path)
  const thread = new StateThread(worker ?? startStateThread(), { path, contentId, mustExist }, logger)
  await thread.started
  const part = <Group extends keyof Groups>(group: Group) =>
    Object.fromEntries(
      Object.keys(access[group]).map((method) => [
        method,
        (...args: unknown[]) => thread.call({ name: `${group}.${method}`, args }),
      ]),
    ) as unknown as Groups[Group]
  return rememberCatalog<State>({
    catalog: part('catalog'),
    bundles: part('bundles'),
    deployments: part('deployments'),
    collection: part('collection'),
    decisions: part('decisions'),
    placements: part('placements'),
    promotions: part('promotions'),
    events: part('events'),
    outbox: part('outbox'),
    facts: part('facts'),
    // The kernel frees the lock only when this process ends.
    lease: { check: () => Promise.resolve(), lost: new Promise(() => undefined) },
    async snapshot(file) {
      await thread.snapshot(file)
      // With the query builder, which only the thread needs otherwise.
      const { openSnapshot } = await import('./snapshot.ts')
      return openSnapshot(file)
    },
    close: () => thread.close(),
  })
}

async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path)
    await checkAccess(path, constants.W_OK)
  } catch (error) {
    const { code, why } = diskReason(error)
    throw new StorageError(code, `the folder ${path} for the state cannot be used: ${why}`, {
      cause: error,
      hint: `Make sure that ${path} is a folder that the user that longshore runs as may write.`,
    })
  }
}

class StateThread {
  readonly started: Promise<unknown>
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiter>()
  readonly #exited: Promise<void>
  #nextId = startId
  #ended: Error | undefined
  #closing: Promise<void> | undefined

  constructor(worker: Worker, start: WorkerStart, logger: Logger) {
    this.#worker = worker
    this.started = this.#expect()
    this.#worker.on('message', (reply: Reply) => {
      this.#settle(reply)
    })
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#end(new StorageError('io', `the state in ${start.path} is closed`))
        resolve()
      })
    })
    this.#worker.once('error', (error) => {
      logger.error({ err: error }, 'the thread of the state ended; restart longshore')
      this.#end(new StorageError('io', `the thread of the state in ${start.path} ended by itself`, { cause: error }))
    })
    this.#worker.postMessage(start)
  }

  call(request: { name: string; args: unknown[] }): Promise<unknown> {
    return this.#closing === undefined ? this.#send(request) : Promise.reject(closed())
  }

  snapshot(file: string): Promise<unknown> {
    return this.#closing === undefined ? this.#send({ snapshot: file }) : Promise.reject(closed())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#ended === undefined) await this.#send({ close: true })
    await this.#exited
  }

  #send(request: { name: string; args: unknown[] } | { snapshot: string } | { close: true }): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    const answer = this.#expect()
    const message: Request = { id: this.#nextId - 1, ...request }
    this.#worker.postMessage(message)
    return answer
  }

  #expect(): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#waiting.set(this.#nextId++, { resolve, reject })
    return promise
  }

  #settle(reply: Reply): void {
    const waiter = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if ('error' in reply) waiter?.reject(unpackError(reply.error))
    else waiter?.resolve(reply.result)
  }

  #end(error: Error): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}

function closed(): StorageError {
  return new StorageError('io', 'the state was closed while it was still asked')
}
