import type { Worker } from 'node:worker_threads'
import { createThreads } from '../lib/threads.ts'
import type { Config } from './config.ts'
import type { LoadOptions } from './load.ts'
import { unpackConfig, type PortableConfig } from './portable.ts'
import { configProgram } from './thread.ts'

/** What goes to the thread, which finds the environment by itself. */
export interface LoadTask extends Pick<LoadOptions, 'path' | 'listen' | 'cwd'> {
  nowMs: number
}

/**
 * As `loadConfig`, in a thread that ends with it: what parses and checks a config is large, and would stay in memory for as long
 * as this process runs; thousands of bundles would hold its event loop. Meanwhile what is needed next can be loaded. `started`: one that was started before, for this alone.
 */
export async function loadConfigAside(task: LoadTask, started?: Worker): Promise<Config> {
  const thread = createThreads({ ...configProgram, threads: 1, started })
  try {
    return unpackConfig(await thread.run<PortableConfig>('load', task))
  } finally {
    await thread.close()
  }
}
