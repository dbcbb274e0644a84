import type { Clock } from '../lib/clock.ts'

/**
 * So many at a time, over all requests; the rest wait in the order in which they came. One source gets at most three
 * quarters of them, so that whoever reads slowly on purpose does not keep everybody else waiting.
 */
export interface Slots {
  /** How to give the slot back; undefined when none came free in time. Rejects with the signal's reason when it is aborted. */
  enter(source: string, signal?: AbortSignal): Promise<(() => void) | undefined>
}

export interface SlotsOptions {
  max: number
  /** The longest that somebody waits. */
  waitMs: number
  clock: Clock
}

export const downloadWaitMs = 30_000
export const defaultDownloads = { max: 512, waitMs: downloadWaitMs }
const share = 0.75

interface Waiting {
  source: string
  go(): void
}

export function createSlots({ max, waitMs, clock }: SlotsOptions): Slots {
  const maxPerSource = shareOf(max)
  const held = new Map<string, number>()
  let taken = 0
  let queue: Waiting[] = []

  const isFree = (source: string) => taken < max && (held.get(source) ?? 0) < maxPerSource

  function take(source: string): () => void {
    taken++
    held.set(source, (held.get(source) ?? 0) + 1)
    let given = false
    return () => {
      if (given) return
      given = true
      taken--
      const left = held.get(source)! - 1
      if (left === 0) held.delete(source)
      else held.set(source, left)
      next()
    }
  }

  /** Whoever waits longest of those whose source has not had its share. */
  function next(): void {
    const index = queue.findIndex(({ source }) => isFree(source))
    if (index !== -1) queue.splice(index, 1)[0]!.go()
  }

  function wait(source: string, signal: AbortSignal | undefined): Promise<(() => void) | undefined> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        queue = queue.filter((other) => other !== waiting)
        cancel()
        signal?.removeEventListener('abort', abort)
      }
      const abort = () => {
        stop()
        reject(signal?.reason as Error)
      }
      const waiting = {
        source,
        go: () => {
          stop()
          resolve(take(source))
        },
      }
      const cancel = clock.after(waitMs, () => {
        stop()
        resolve(undefined)
      })
      signal?.addEventListener('abort', abort, { once: true })
      queue.push(waiting)
    })
  }

  return {
    async enter(source, signal) {
      signal?.throwIfAborted()
      return isFree(source) ? take(source) : wait(source, signal)
    },
  }
}

/** How much of a ceiling one source may have. */
export function shareOf(max: number): number {
  return Math.max(1, Math.floor(max * share))
}
