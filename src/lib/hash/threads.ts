import { availableParallelism } from 'node:os'
import type { Worker } from 'node:worker_threads'
import { startThread } from '../start-thread.ts'
import type { Done, Order } from './worker.ts'

const idleTimeoutMs = 10_000
/** More do not help: then the disk or the line is what is waited for. */
const mostThreads = 4

interface Waiting {
  resolve: (done: Done) => void
  reject: (error: Error) => void
}

interface Thread {
  worker: Worker
  /** By the id of what is hashed, in the order in which it was asked. */
  hashes: Map<number, Waiting[]>
  /** Answers that are still to come. */
  owed: number
  failure: Error | undefined
  stopIdle: () => void
}

/**
 * Threads that hash what is too much for the event loop. Started when there is work, ended when there was none for a while;
 * what they have not answered holds the process open, they themselves do not.
 */
export class HashThreads {
  readonly #max: number
  readonly #threads = new Set<Thread>()
  #lastId = 0

  constructor(max = Math.min(mostThreads, availableParallelism())) {
    this.#max = max
  }

  begin(algorithm: string): ThreadHash {
    const id = ++this.#lastId
    const thread = this.#pick()
    thread.stopIdle()
    thread.hashes.set(id, [])
    send(thread, { id, do: 'begin', algorithm })
    return new ThreadHash(id, thread, () => this.#rest(thread))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()))
  }

  /** One that has nothing to do, a new one where there may be more, or the one with least. */
  #pick(): Thread {
    const [least] = [...this.#threads].sort((a, b) => a.hashes.size - b.hashes.size)
    if (least !== undefined && (least.hashes.size === 0 || this.#threads.size >= this.#max)) return least
    return this.#start()
  }

  #start(): Thread {
    const worker = startThread(new URL('./worker.ts', import.meta.url))
    worker.unref()
    const thread: Thread = { worker, hashes: new Map(), owed: 0, failure: undefined, stopIdle: () => undefined }
    this.#threads.add(thread)
    worker.on('message', (done: Done) => {
      settle(thread)
      thread.hashes.get(done.id)?.shift()?.resolve(done)
    })
    const fail = (error: Error) => {
      thread.failure ??= error
      this.#threads.delete(thread)
      for (const waiting of [...thread.hashes.values()].flat()) waiting.reject(thread.failure)
      thread.hashes.clear()
    }
    worker.on('error', fail)
    worker.on('exit', (code) => fail(new Error(`a hashing thread ended with ${code}`)))
    return thread
  }

  #rest(thread: Thread): void {
    if (thread.hashes.size > 0 || thread.failure !== undefined) return
    const timer = setTimeout(() => void thread.worker.terminate(), idleTimeoutMs).unref()
    thread.stopIdle = () => clearTimeout(timer)
  }
}

/** One hash in a thread. Everything is done in the order in which it is called. */
export class ThreadHash {
  readonly #id: number
  readonly #thread: Thread
  readonly #onEnd: () => void

  constructor(id: number, thread: Thread, onEnd: () => void) {
    this.#id = id
    this.#thread = thread
    this.#onEnd = onEnd
  }

  /** Nobody may write to them before this resolves. */
  async update(bytes: Uint8Array<SharedArrayBuffer>): Promise<void> {
    await this.#ask({ id: this.#id, do: 'update', bytes })
  }

  /** Of all so far, in hex; more may follow. */
  async digest(): Promise<string> {
    const { digest } = await this.#ask({ id: this.#id, do: 'digest' })
    return digest!
  }

  mark(): void {
    send(this.#thread, { id: this.#id, do: 'mark' })
  }

  /** As if nothing had come since the last mark. */
  rollback(): void {
    send(this.#thread, { id: this.#id, do: 'rollback' })
  }

  /** What is asked after this is refused. */
  end(): void {
    if (!this.#thread.hashes.delete(this.#id)) return
    send(this.#thread, { id: this.#id, do: 'end' })
    this.#onEnd()
  }

  #ask(order: Order): Promise<Done> {
    const { hashes, failure, worker } = this.#thread
    const waiting = hashes.get(this.#id)
    if (waiting === undefined) return Promise.reject(failure ?? new Error('this hash has ended'))
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      if (this.#thread.owed++ === 0) worker.ref()
      send(this.#thread, order)
    })
  }
}

function send({ worker, failure }: Thread, order: Order): void {
  if (failure === undefined) worker.postMessage(order)
}

function settle(thread: Thread): void {
  if (--thread.owed === 0) thread.worker.unref()
}

let shared: HashThreads | undefined

/** Those of this process. */
export function hashThreads(): HashThreads {
  shared ??= new HashThreads()
  return shared
}
