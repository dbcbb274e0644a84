import { parentPort, type MessagePort } from 'node:worker_threads'
import { systemClock } from '../../lib/clock.ts'
import { collectAll } from '../../lib/heap.ts'
import { nameOperations } from '../operations/named.ts'
import { packError, sqliteError } from './errors.ts'
import { commitGroup, type Work } from './group.ts'
import { startId, type Reply, type Request, type WorkerStart } from './messages.ts'
import { openStore, type Store } from './store.ts'

const startedMs = 10_000

/** The program of the state's thread: every message that has come by the time it looks is one group. */
async function serve(port: MessagePort, start: WorkerStart): Promise<void> {
  const operations = nameOperations()
  const reply = (message: Reply) => {
    port.postMessage(message)
  }
  let store: Store
  try {
    store = await openStore(start)
  } catch (error) {
    reply({ id: startId, error: packError(error) })
    return
  }
  let queue: Request[] = []
  let running = false
  let copying: Promise<void> = Promise.resolve()

  function workOf(request: Extract<Request, { name: string }>): Work & { access: 'read' | 'write' } {
    const operation = operations.get(request.name)!
    return {
      access: operation.access,
      run: () => operation.run(store.kysely, request.args),
      done: (result) => {
        reply({ id: request.id, result })
      },
      failed: (error) => {
        reply({ id: request.id, error: packError(sqliteError(error, `the operation ${request.name}`, store.file)) })
      },
    }
  }

  async function drain(): Promise<void> {
    running = true
    while (queue.length > 0) {
      const requests = queue
      queue = []
      const work = requests.filter((request) => 'name' in request).map(workOf)
      // Readers do not wait for the disk; nobody else writes in the meantime.
      for (const one of work) if (one.access === 'read') await answer(one)
      await commitGroup(
        store,
        work.filter(({ access }) => access === 'write'),
      )
      const close = requests.find((request) => 'close' in request)
      if (close !== undefined) return end(close.id)
    }
    running = false
  }

  async function answer(work: Work): Promise<void> {
    try {
      work.done(await work.run())
    } catch (error) {
      work.failed(error)
    }
  }

  async function end(id: number): Promise<void> {
    await copying
    store.close()
    reply({ id, result: undefined })
    port.close()
  }

  /** Beside the others: it reads by a connection of its own. */
  function snapshot(id: number, to: string): void {
    copying = store.snapshot(to).then(
      () => reply({ id, result: undefined }),
      (error: unknown) => reply({ id, error: packError(error) }),
    )
  }

  port.on('message', (request: Request) => {
    if ('snapshot' in request) return snapshot(request.id, request.snapshot)
    queue.push(request)
    // What else has arrived is delivered before this runs.
    if (!running && queue.length === 1) setImmediate(() => void drain())
  })
  reply({ id: startId, result: undefined })
}

const port = parentPort
port?.once('message', (start: WorkerStart) => {
  // Nobody listens while it opens.
  port.ref()
  void serve(port, start)
  // Much of what it loaded was needed only to load it.
  systemClock.after(startedMs, collectAll)
})
