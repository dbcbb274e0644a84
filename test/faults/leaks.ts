import { readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { waitFor } from '../support/wait.ts'

export const rounds = 100
/** Before anything is measured: caches, connections that are kept and compiled code come with the first. */
export const roundsBefore = 10
/** In a hundred rounds. A socket, an answer or a body that each leaves behind is more; what the engine learns meanwhile is less. */
const mostGrowthBytes = 3 * 1024 ** 2
const settledBytes = 64 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

export interface Snapshot {
  descriptors: number
  resources: Record<string, number>
}

export function snapshot(): Snapshot {
  const counted = Map.groupBy(process.getActiveResourcesInfo(), (type) => type)
  const resources = Object.fromEntries([...counted].map(([type, all]) => [type, all.length]))
  return { descriptors: readdirSync('/proc/self/fd').length, resources }
}

/** What was open before may have been closed since; what was not must not be open now. */
export async function settled(before: Snapshot): Promise<void> {
  await waitFor(`no more descriptors and resources than ${JSON.stringify(before)}`, () => {
    const { descriptors, resources } = snapshot()
    const more = Object.entries(resources).filter(([type, count]) => count > (before.resources[type] ?? 0))
    const leaked = more.filter(([type]) => !['Timeout', 'Immediate', 'TTYWrap', 'FSReqPromise'].includes(type))
    if (leaked.length > 0 || descriptors > before.descriptors) throw new Error(JSON.stringify({ descriptors, leaked }))
    return true
  })
}

/** Begins a measurement; what it returns settles when what is left is no more than a leak would be: what is being closed may still hold some. */
export async function heapGrowth(): Promise<() => Promise<void>> {
  // What is still to go would hide as much that stays.
  let before = used()
  await waitFor('the heap to become no smaller', () => {
    const now = used()
    const isSettled = now > before - settledBytes
    before = now
    return isSettled
  })
  return async () => {
    await waitFor('the heap to be what it was', () => {
      const growth = used() - before
      if (growth >= mostGrowthBytes) throw new Error(`it grew by ${growth} bytes`)
      return true
    })
  }
}

function used(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
