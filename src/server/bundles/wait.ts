import type { Clock } from '../../lib/clock.ts'

/** Why a waiter is asked to answer. */
export type Wake = 'changed' | 'expired' | 'drained'

export interface Waiter {
  /** What it waits for: a bundle's name. */
  readonly key: string
  /**
   * Answers its client, with what is current at this moment. False: nothing to say yet, go on waiting (only after `changed`).
   * Must not throw.
   */
  answer(why: Wake): boolean
}

/**
 * Clients that wait for a bundle to change. One timer for all of them; they are answered in slices, between which other
 * requests have their turn, so that ten thousand do not hold the event loop.
 */
export interface WaitingRoom {
  /** Holds the waiter for up to `ms`. False when the room is full or draining: answer it now. */
  hold(waiter: Waiter, ms: number): boolean
  /** The client went away. */
  remove(waiter: Waiter): void
  /** What `key` stands for has changed, or is gone. */
  wake(key: string): void
  /** Answers everybody and holds nobody from now on; settles when all are answered. */
  drain(): Promise<void>
  readonly size: number
}

export interface WaitingRoomOptions {
  clock: Clock
  maxWaiters: number
  onSize?: (waiters: number) => void
}

const tickMs = 250
const sliceMs = 8
const maxSlice = 200

export function createWaitingRoom({ clock, maxWaiters, onSize }: WaitingRoomOptions): WaitingRoom {
  const byKey = new Map<string, Set<Waiter>>()
  const byTick = new Map<number, Set<Waiter>>()
  /** Every waiter, with the tick at which its time is over. */
  const ticks = new Map<Waiter, number>()
  const queue: { waiter: Waiter; why: Wake }[] = []
  let queued = 0
  let pumping = false
  let ticking = false
  let drained: PromiseWithResolvers<void> | undefined

  function remove(waiter: Waiter): void {
    const tick = ticks.get(waiter)
    if (tick === undefined) return
    ticks.delete(waiter)
    takeOut(byKey, waiter.key, waiter)
    takeOut(byTick, tick, waiter)
    onSize?.(ticks.size)
    if (ticks.size === 0) drained?.resolve()
  }

  /** Answers some, then lets the loop turn. */
  function pump(): void {
    const until = clock.monotonic() + sliceMs
    const last = queued + maxSlice
    while (queued < queue.length && queued < last && clock.monotonic() <= until) {
      const { waiter, why } = queue[queued++]!
      if (ticks.has(waiter) && waiter.answer(why)) remove(waiter)
    }
    pumping = queued < queue.length
    if (pumping) setImmediate(pump)
    else queue.length = queued = 0
  }

  function ask(waiters: Iterable<Waiter>, why: Wake): void {
    for (const waiter of waiters) queue.push({ waiter, why })
    if (pumping || queue.length === 0) return
    pumping = true
    setImmediate(pump)
  }

  function tick(): void {
    const now = Math.floor(clock.monotonic() / tickMs)
    for (const [at, waiters] of byTick) if (at <= now) ask(waiters, 'expired')
    if (byTick.size > 0) clock.after(tickMs, tick)
    else ticking = false
  }

  return {
    hold(waiter, ms) {
      if (drained !== undefined || ticks.size >= maxWaiters) return false
      const at = Math.ceil((clock.monotonic() + ms) / tickMs)
      ticks.set(waiter, at)
      putIn(byKey, waiter.key, waiter)
      putIn(byTick, at, waiter)
      onSize?.(ticks.size)
      if (!ticking) {
        ticking = true
        clock.after(tickMs, tick)
      }
      return true
    },
    remove,
    wake: (key) => ask(byKey.get(key) ?? [], 'changed'),
    drain() {
      drained ??= Promise.withResolvers<void>()
      ask(ticks.keys(), 'drained')
      if (ticks.size === 0) drained.resolve()
      return drained.promise
    },
    get size() {
      return ticks.size
    },
  }
}

function putIn<K>(groups: Map<K, Set<Waiter>>, key: K, waiter: Waiter): void {
  const group = groups.get(key)
  if (group === undefined) groups.set(key, new Set([waiter]))
  else group.add(waiter)
}

function takeOut<K>(groups: Map<K, Set<Waiter>>, key: K, waiter: Waiter): void {
  const group = groups.get(key)
  group?.delete(waiter)
  if (group?.size === 0) groups.delete(key)
}
