import type { Worker } from 'node:worker_threads'
import { startConfigThread } from '../config/thread.ts'
import { startStateThread } from '../state/sqlite/thread.ts'

/** Threads of a server that take longest to come, started before anything else is loaded. */
export interface Ahead {
  config: Worker
  state: Worker
}

/** Undefined for other commands. Where it was no server after all, they end with the process. */
export function startAhead(argv: readonly string[]): Ahead | undefined {
  const command = argv.find((argument) => !argument.startsWith('-'))
  return command === 'serve' ? { config: startConfigThread(), state: startStateThread() } : undefined
}
