import { setTimeout as sleep } from 'node:timers/promises'

/** Nobody waits for so long when all is well; a machine that has much else to do may come close. */
const patienceMs = 60_000

export interface WaitOptions {
  timeoutMs?: number
  intervalMs?: number
  /** Ends the wait early with this reason. */
  signal?: AbortSignal
}

/** Asks again until the answer is neither undefined nor false; an error counts as "not yet" and is told at the deadline. */
export async function waitFor<T>(
  what: string,
  ask: () => T | Promise<T>,
  { timeoutMs = patienceMs, intervalMs = 20, signal }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    signal?.throwIfAborted()
    const { answer, error } = await attempt(ask)
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs} ms in vain for ${what}`, error === undefined ? {} : { cause: error })
    }
    await sleep(intervalMs)
  }
}

async function attempt<T>(ask: () => T | Promise<T>): Promise<{ answer?: T; error?: unknown }> {
  try {
    return { answer: await ask() }
  } catch (error) {
    return { error }
  }
}
