import { fileURLToPath } from 'node:url'
import { Piscina } from 'piscina'
import { ConfigError, IntegrityError, RemoteError, StorageError } from './errors.ts'

/** Worker threads for what would hold the event loop. */
export interface Threads {
  /** Runs the function that `program` exports as `name`. Aborting ends the thread, wherever it is; what it wrote is the caller's to remove. */
  run<Result>(name: string, task: unknown, signal?: AbortSignal): Promise<Result>
  close(): Promise<void>
}

export interface ThreadsOptions {
  /** A module whose exported functions take one cloneable value each, wrapped in `portable`. */
  program: URL
  /** At most so many tasks at once; the others wait. */
  threads: number
  /** Of JavaScript values in one thread. Buffers do not count: tasks limit those themselves. */
  maxHeapBytes: number
}

const idleTimeoutMs = 10_000

/** What crosses from a thread: errors would lose their class and code. */
type Outcome = { result: unknown } | { error: PortableError }

interface PortableError {
  kind: 'config' | 'remote' | 'integrity' | 'storage' | 'other'
  message: string
  fields: Record<string, unknown>
  stack: string | undefined
}

/** Starts no thread before there is work, keeps none for long without. Idle threads do not hold the process open. */
export function createThreads({ program, threads, maxHeapBytes }: ThreadsOptions): Threads {
  const pool = new Piscina({
    filename: fileURLToPath(program),
    minThreads: 0,
    maxThreads: threads,
    idleTimeout: idleTimeoutMs,
    // Tasks are asynchronous inside: a thread must not sleep on a lock between them.
    atomics: 'disabled',
    resourceLimits: { maxOldGenerationSizeMb: Math.ceil(maxHeapBytes / 1024 ** 2) },
  })
  // Each task is told of its own thread's end; this would be the second time, and without a listener the process's end.
  pool.on('error', () => undefined)
  return {
    async run<Result>(name: string, task: unknown, signal?: AbortSignal) {
      signal?.throwIfAborted()
      const outcome = await runIn(pool, name, task, signal)
      if ('error' in outcome) throw revive(outcome.error)
      return outcome.result as Result
    },
    close: () => pool.destroy(),
  }
}

/** Makes a function one that a thread can run: its errors arrive as what they were. */
export function portable<Task, Result>(run: (task: Task) => Promise<Result>): (task: Task) => Promise<unknown> {
  return async (task): Promise<Outcome> => {
    try {
      return { result: await run(task) }
    } catch (error) {
      return { error: flatten(error) }
    }
  }
}

async function runIn(pool: Piscina, name: string, task: unknown, signal: AbortSignal | undefined): Promise<Outcome> {
  try {
    return (await pool.run(task, { name, ...(signal && { signal }) })) as Outcome
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason
    if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error
    throw new IntegrityError('bad_archive', 'the content needs more memory than one task may take', { cause: error })
  }
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
