import type { Worker } from 'node:worker_threads'
import { startTaskThread, type TaskProgram } from '../lib/start-thread.ts'

export const configProgram: TaskProgram = {
  program: new URL('./worker.ts', import.meta.url),
  maxHeapBytes: 512 * 1024 ** 2,
}

/** It takes longer to come than a config to check: it may begin before anybody knows which one. */
export function startConfigThread(): Worker {
  return startTaskThread(configProgram)
}
