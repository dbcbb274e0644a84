import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import { formatDuration } from '../lib/units.ts'
import type { Limits } from './limits.ts'

/**
 * Downloads and uploads wait for their own kind only: a copy within one registry reads while it writes, and would wait for
 * itself for ever. Metadata passes both.
 */
export type Lane = 'metadata' | 'download' | 'upload'

interface Gate {
  free: number
  waiting: (() => void)[]
}

/** What is known of one registry, shared by all of its repositories: how much goes on, when to hold back, whether it is alive. */
export class HostState {
  readonly host: string
  readonly #clock: Clock
  readonly #limits: Limits
  readonly #intervalMs: number
  readonly #gates: Record<Lane, Gate>
  #nextRequestAt = 0
  #pausedUntil = 0
  #failures = 0
  #openUntil: number | undefined
  #probing = false

  constructor(options: {
    host: string
    clock: Clock
    limits: Limits
    concurrency?: number
    requestsPerSecond?: number
  }) {
    this.host = options.host
    this.#clock = options.clock
    this.#limits = options.limits
    this.#intervalMs = options.requestsPerSecond === undefined ? 0 : 1000 / options.requestsPerSecond
    const free = Math.max(1, options.concurrency ?? options.limits.concurrency)
    this.#gates = { metadata: { free, waiting: [] }, download: { free, waiting: [] }, upload: { free, waiting: [] } }
  }

  /** Waits for a slot; the returned function gives it back and may be called more than once. */
  async enter(lane: Lane, signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted()
    const gate = this.#gates[lane]
    if (gate.free > 0) gate.free--
    else await waitIn(gate, signal)
    let left = false
    return () => {
      if (left) return
      left = true
      const next = gate.waiting.shift()
      if (next === undefined) gate.free++
      else next()
    }
  }

  /** How long the next request has to wait for a pause and for the ceiling on requests per second; reserves its turn. */
  reserve(): { pauseMs: number; turnMs: number } {
    const now = this.#clock.monotonic()
    const pauseMs = Math.max(0, this.#pausedUntil - now)
    const turn = Math.max(now + pauseMs, this.#nextRequestAt)
    this.#nextRequestAt = turn + this.#intervalMs
    return { pauseMs, turnMs: turn - now }
  }

  pauseMs(): number {
    return Math.max(0, this.#pausedUntil - this.#clock.monotonic())
  }

  /** A 429 is meant for all of us, not for the one call that got it. */
  pause(ms: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.monotonic() + ms)
  }

  /** Throws `circuit_open` while this registry is left alone; lets one call through when that time is over. */
  checkCircuit(what: string): void {
    if (this.#openUntil === undefined) return
    const leftMs = this.#openUntil - this.#clock.monotonic()
    if (leftMs <= 0 && !this.#probing) {
      this.#probing = true
      return
    }
    const retryAfterMs = Math.max(leftMs, this.#limits.backoffFirstMs)
    throw new RemoteError(
      'circuit_open',
      `cannot ${what}: ${this.host} failed ${this.#failures} times in a row and is left alone for ${formatDuration(retryAfterMs)}`,
      { host: this.host, retryable: true, retryAfterMs, hint: 'Look at the errors before this one for why it failed.' },
    )
  }

  answered(): void {
    this.#failures = 0
    this.#openUntil = undefined
    this.#probing = false
  }

  failed(): void {
    this.#failures++
    this.#probing = false
    if (this.#failures >= this.#limits.circuitFailures) {
      this.#openUntil = this.#clock.monotonic() + this.#limits.circuitOpenMs
    }
  }

  /** A call was given up before anything was known: somebody else may probe. */
  abandoned(): void {
    this.#probing = false
  }
}

function waitIn(gate: Gate, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      gate.waiting = gate.waiting.filter((other) => other !== go)
      reject(signal.reason as Error)
    }
    const go = () => {
      signal.removeEventListener('abort', stop)
      resolve()
    }
    gate.waiting.push(go)
    signal.addEventListener('abort', stop, { once: true })
  })
}
