import type { Worker } from 'node:worker_threads'
import { startThread } from '../../lib/start-thread.ts'

/** What one operation makes is small, and most of it gone with its answer. */
const maxYoungGenerationSizeMb = 4

/** Its program takes longer to load than a state to open: it may begin before anybody knows which state that is. */
export function startStateThread(): Worker {
  return startThread(new URL('./worker.ts', import.meta.url), {
    resourceLimits: { maxYoungGenerationSizeMb },
    // Flags of the process may make no sense for a thread (--input-type, --test).
    execArgv: [],
  })
}
