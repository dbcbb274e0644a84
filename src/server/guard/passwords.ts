import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { SingleFlight } from '../../lib/single-flight.ts'
import { createThreads } from '../../lib/threads.ts'
import { createSlowdown } from './slowdown.ts'

export interface PasswordUser {
  name: string
  /** bcrypt, as htpasswd writes it: `$2y$…`. */
  hash: string
}

/** `busy`: not checked, too many are waiting to be. */
export type Verdict = 'right' | 'wrong' | 'busy'

/**
 * Checks passwords against bcrypt hashes with bounded work: successes are remembered by a keyed hash, one check runs at a
 * time in a worker thread, few wait for it, fewer of them from one source, and a handful for one account from there.
 */
export interface Passwords {
  /** Whether this password was right before: answered at once. */
  isKnown(user: PasswordUser, password: string): boolean
  check(source: string, user: PasswordUser, password: string): Promise<Verdict>
  close(): Promise<void>
}

const maxRemembered = 1_000
const maxHeapBytes = 128 * 1024 ** 2

export interface PasswordsOptions {
  clock: Clock
  /** How many may wait: in all, from one source, for one account from there. */
  waiting: number
  perSource: number
  perAccount: number
}

export function createPasswords({ clock, ...max }: PasswordsOptions): Passwords {
  // Ours alone and gone with the process: what is remembered is worth nothing elsewhere.
  const key = randomBytes(32)
  const right = new Set<string>()
  const flights = new SingleFlight<Verdict>()
  const slowdown = createSlowdown(clock)
  const perAccount = new Places(max.perAccount)
  const perSource = new Places(max.perSource)
  const thread = createThreads({ program: new URL('./worker.ts', import.meta.url), threads: 1, maxHeapBytes })
  let waiting = 0
  let closed = false

  function print(user: PasswordUser, password: string): string {
    return createHmac('sha256', key)
      .update(JSON.stringify([user.name, user.hash, password]))
      .digest('base64')
  }

  /** One thread checks, and a bounded number waits for it. */
  async function compare(user: PasswordUser, password: string): Promise<Verdict> {
    if (waiting >= max.waiting) return 'busy'
    waiting++
    try {
      return (await thread.run<boolean>('compare', { password, hash: user.hash })) ? 'right' : 'wrong'
    } catch (error) {
      // Ended with its thread.
      if (closed) return 'busy'
      throw error
    } finally {
      waiting--
    }
  }

  async function compareSlowly(account: string, user: PasswordUser, password: string): Promise<Verdict> {
    const delayMs = slowdown.delayMs(account)
    if (delayMs > 0) await clock.sleep(delayMs)
    const verdict = await compare(user, password)
    if (verdict === 'wrong') slowdown.fail(account)
    if (verdict === 'right') slowdown.forget(account)
    return verdict
  }

  /** A few at a time for one account from one source, those that are made to wait included; not many for one source. */
  async function checkOne(source: string, user: PasswordUser, password: string, printed: string): Promise<Verdict> {
    const account = `${source} ${user.name}`
    if (!perAccount.take(account)) return 'busy'
    try {
      if (!perSource.take(source)) return 'busy'
      try {
        const verdict = await compareSlowly(account, user, password)
        if (verdict === 'right') right.add(printed)
        if (right.size > maxRemembered) right.delete(right.values().next().value!)
        return verdict
      } finally {
        perSource.give(source)
      }
    } finally {
      perAccount.give(account)
    }
  }

  return {
    isKnown: (user, password) => right.size > 0 && right.has(print(user, password)),
    check(source, user, password) {
      const printed = print(user, password)
      // A client that opens several connections with the same password costs one check.
      return flights.do(`${source} ${user.name} ${printed}`, () => checkOne(source, user, password, printed))
    },
    async close() {
      closed = true
      await thread.close()
    },
  }
}

/** So many for each key at a time. */
class Places {
  readonly #max: number
  readonly #taken = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  take(key: string): boolean {
    const taken = this.#taken.get(key) ?? 0
    if (taken >= this.#max) return false
    this.#taken.set(key, taken + 1)
    return true
  }

  give(key: string): void {
    const left = this.#taken.get(key)! - 1
    if (left === 0) this.#taken.delete(key)
    else this.#taken.set(key, left)
  }
}
