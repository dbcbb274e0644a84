import { createThreads } from '../lib/threads.ts'
import type { Config } from './config.ts'
import type { LoadOptions } from './load.ts'
import { unpackConfig, type PortableConfig } from './portable.ts'

/** What goes to the thread, which finds the environment by itself. */
export interface LoadTask extends Pick<LoadOptions, 'path' | 'listen' | 'cwd'> {
  nowMs: number
}

const maxHeapBytes = 512 * 1024 ** 2

/**
 * As `loadConfig`, in a thread that ends with it: what parses and checks a config is large, and would stay in memory for as long
 * as this process runs; thousands of bundles would hold its event loop. Meanwhile what is needed next can be loaded.
 */
export async function loadConfigAside(task: LoadTask): Promise<Config> {
  const thread = createThreads({ program: new URL('./worker.ts', import.meta.url), threads: 1, maxHeapBytes })
  try {
    return unpackConfig(await thread.run<PortableConfig>('load', task))
  } finally {
    await thread.close()
  }
}
