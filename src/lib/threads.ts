import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, type Worker } from 'node:worker_threads'
import { ConfigError, IntegrityError, RemoteError, StorageError } from './errors.ts'
import { Limit } from './limit.ts'
import { startTaskThread, type TaskProgram } from './start-thread.ts'

/** Worker threads for what would hold the event loop. */
export interface Threads {
  /**
   * Has a thread run the function that its program serves as `name`. `task` and result are cloned. When it is aborted the
   * thread is ended, wherever it is, before this rejects with the reason; what it wrote is the caller's to remove.
   */
  run<Result>(name: string, task: unknown, signal?: AbortSignal): Promise<Result>
  /** Ends what is under way. */
  close(): Promise<void>
}

export interface ThreadsOptions extends TaskProgram {
  /** At most so many tasks at once; the others wait. */
  threads: number
  /** The first of them, where it was started before. */
  started?: Worker | undefined
}

const idleTimeoutMs = 10_000
/** V8 cannot always stop a thread that does nothing but collect garbage: that must not hold up who stops it. */
const terminateTimeoutMs = 1_000

/** What crosses from a thread: errors would lose their class and code. */
type Outcome = { result: unknown } | { error: PortableError }

interface PortableError {
  kind: 'config' | 'remote' | 'integrity' | 'storage' | 'other'
  message: string
  fields: Record<string, unknown>
  stack: string | undefined
}

interface Request {
  name: string
  task: unknown
}

/** Starts no thread before there is work, keeps none for long without. Idle threads do not hold the process open. */
export function createThreads({ threads, started, ...program }: ThreadsOptions): Threads {
  const limit = new Limit(threads)
  const closing = new AbortController()
  const idle = new Map<Worker, NodeJS.Timeout>()
  let first = started
  const start = () => {
    const worker = first ?? startTaskThread(program)
    first = undefined
    // A task hears of its own thread's end; one that ends while idle is no loss.
    worker.on('error', () => undefined)
    worker.on('exit', () => idle.delete(worker))
    return worker
  }
  const work = async (request: Request, signal: AbortSignal): Promise<Outcome> => {
    // While it waited for its turn, nobody listened.
    signal.throwIfAborted()
    const [worker] = idle.keys().take(1)
    if (worker !== undefined) clearTimeout(idle.get(worker))
    if (worker !== undefined) idle.delete(worker)
    const busy = worker ?? start()
    const outcome = await ask(busy, request, signal)
    busy.unref()
    idle.set(busy, setTimeout(() => void busy.terminate(), idleTimeoutMs).unref())
    return outcome
  }
  return {
    async run<Result>(name: string, task: unknown, signal?: AbortSignal) {
      const either = signal === undefined ? closing.signal : AbortSignal.any([signal, closing.signal])
      const outcome = await limit.do(() => work({ name, task }, either), either)
      if ('error' in outcome) throw revive(outcome.error)
      return outcome.result as Result
    },
    async close() {
      closing.abort(new Error('the threads were closed'))
      await Promise.all([...idle.keys()].map(end))
    },
  }
}

/** For the program of a thread: answers requests until the thread is ended. */
export function serveTasks(functions: Record<string, (task: never) => Promise<unknown>>): void {
  const answer = async ({ name, task }: Request): Promise<Outcome> => {
    try {
      const run = functions[name] as ((task: unknown) => Promise<unknown>) | undefined
      if (run === undefined) throw new Error(`this thread does not serve ${name}`)
      return { result: await run(task) }
    } catch (error) {
      return { error: flatten(error) }
    }
  }
  parentPort?.on(
    'message',
    (request: Request) => void answer(request).then((outcome) => parentPort?.postMessage(outcome)),
  )
}

/** One task of one thread. On any failure but the task's own, the thread is ended before this rejects. */
async function ask(worker: Worker, request: Request, signal: AbortSignal): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
  const gone = (code: number) => reject(new Error(`a thread ended with ${code} in the middle of ${request.name}`))
  const stop = () => reject(signal.reason as Error)
  worker.once('message', resolve).once('error', reject).once('exit', gone)
  signal.addEventListener('abort', stop, { once: true })
  try {
    worker.ref()
    worker.postMessage(request)
    return await promise
  } catch (error) {
    await end(worker)
    throw isOutOfMemory(error) ? tooLarge(error) : error
  } finally {
    worker.off('message', resolve).off('error', reject).off('exit', gone)
    signal.removeEventListener('abort', stop)
  }
}

async function end(worker: Worker): Promise<void> {
  await Promise.race([worker.terminate(), sleep(terminateTimeoutMs, undefined, { ref: false })])
}

function isOutOfMemory(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
}

function tooLarge(cause: unknown): IntegrityError {
  return new IntegrityError('bad_archive', 'the content needs more memory than one task may take', { cause })
}

function flatten(error: unknown): PortableError {
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  const fields = error instanceof Error ? { ...error } : {}
  return { kind: kindOf(error), message, fields: structuredClone(withoutCause(fields)), stack }
}

function withoutCause(fields: Record<string, unknown>): Record<string, unknown> {
  const { cause: _cause, ...rest } = fields
  return rest
}

function kindOf(error: unknown): PortableError['kind'] {
  if (error instanceof ConfigError) return 'config'
  if (error instanceof RemoteError) return 'remote'
  if (error instanceof IntegrityError) return 'integrity'
  return error instanceof StorageError ? 'storage' : 'other'
}

function revive({ kind, message, fields, stack }: PortableError): Error {
  const error = make(kind, message, fields)
  if (stack !== undefined) error.stack = stack
  return error
}

function make(kind: PortableError['kind'], message: string, fields: Record<string, unknown>): Error {
  const options = definedOnly(fields)
  switch (kind) {
    case 'config':
      return new ConfigError(message, options)
    case 'remote':
      return new RemoteError(fields.code as RemoteError['code'], message, options as { host: string })
    case 'integrity':
      return new IntegrityError(fields.code as IntegrityError['code'], message, options)
    case 'storage':
      return new StorageError(fields.code as StorageError['code'], message, options)
    case 'other':
      return Object.assign(new Error(message), fields)
  }
}

function definedOnly(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
