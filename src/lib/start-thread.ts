import { getCompileCacheDir } from 'node:module'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/** A thread has no compile cache of its own accord: without one it loads a compiler for our modules, which is 17 MiB in each thread. */
const withCache = `
require('node:module').enableCompileCache()
import(require('node:worker_threads').workerData)
`

/** What runs in a thread that does tasks. */
export interface TaskProgram {
  /** A module that calls `serveTasks`. */
  program: URL
  /** Of JavaScript values in one thread. Buffers do not count: tasks limit those themselves. */
  maxHeapBytes: number
}

export function startTaskThread({ program, maxHeapBytes }: TaskProgram): Worker {
  return startThread(program, { resourceLimits: { maxOldGenerationSizeMb: Math.ceil(maxHeapBytes / 1024 ** 2) } })
}

/** Runs a module in a thread, with the compile cache where this process has one. */
export function startThread(program: URL, options: Omit<WorkerOptions, 'eval' | 'workerData'> = {}): Worker {
  return getCompileCacheDir() === undefined
    ? new Worker(program, options)
    : new Worker(withCache, { ...options, eval: true, workerData: program.href })
}
