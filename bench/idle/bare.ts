// What a process holds that uses of Node what longshore uses, and does nothing with it: it hashes, listens, asks a URL with undici's
// agent and has SQLite in a thread; then it collects its garbage as longshore does. Whatever is not Node's is left out.
//   node bench/idle/bare.ts URL FILE
import { hash } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import Agent from 'undici/lib/dispatcher/agent.js'
import { collectAll, trimAllocator } from '../../src/lib/heap.ts'

const [url, file] = process.argv.slice(2) as [string, string]
const requests = 300
/** As longshore, after its start. */
const collectMs = 10_000

new Worker(join(import.meta.dirname, 'bare-store.ts'), { workerData: file })
createServer((_, response) => response.end()).listen(0, '127.0.0.1')
hash('sha256', url)
// What was compiled is kept only at an end in order.
process.once('SIGTERM', () => process.exit())
const agent = new Agent()
for (let sent = 0; sent < requests; sent++) await ask()
await sleep(collectMs)
collectAll()
trimAllocator()

function nothing(): void {
  // Nobody needs it.
}

function ask(): Promise<void> {
  const { origin, pathname: path } = new URL(url)
  return new Promise((resolve, reject) => {
    agent.dispatch(
      { origin, path, method: 'HEAD' },
      {
        onRequestStart: nothing,
        onResponseStart: nothing,
        onResponseData: nothing,
        onResponseEnd: () => resolve(),
        onResponseError: (_, error) => reject(error),
      },
    )
  })
}
