/** Pseudo-random numbers that the same seed gives again: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export function pick<T>(list: readonly T[], random: () => number): T {
  return list[Math.floor(random() * list.length)]!
}

/** Null where it is gone. */
type Value = string | null

interface Register {
  settled: Value
  /** Begun and not answered: it may be so, or as before. */
  maybe: Set<Value>
  touched: boolean
}

/**
 * What a client knows of things that have one value each: a tag its digest, a blob or manifest that it is there. A change that
 * was acknowledged holds; one that was cut short may have happened or not, but nothing else may be found. Each thing is
 * changed by one client at a time.
 */
export class Ledger {
  readonly #registers = new Map<string, Register>()
  /** By the key of what needs them: keys that are there as long as it is. */
  readonly #needs = new Map<string, string[]>()
  acknowledged = 0

  begin(key: string, value: Value): () => void {
    const register = this.#registers.get(key) ?? { settled: null, maybe: new Set(), touched: true }
    this.#registers.set(key, register)
    register.maybe.add(value)
    register.touched = true
    return () => {
      register.settled = value
      register.maybe.clear()
      this.acknowledged++
    }
  }

  needs(key: string, needed: readonly string[]): void {
    this.#needs.set(key, [...needed])
  }

  /** From now on, those that begin so may be gone, unless something needs them that is there for sure. */
  release(prefix: string): void {
    const isSure = (key: string) => this.value(key) !== null && this.#registers.get(key)?.maybe.size === 0
    const needed = new Set([...this.#needs].filter(([key]) => isSure(key)).flatMap(([, keys]) => keys))
    for (const [key, register] of this.#registers) {
      if (key.startsWith(prefix) && !needed.has(key)) register.maybe.add(null)
    }
  }

  /** What was found is what holds from now on. Throws when it is none of what it may be. */
  found(key: string, value: Value): void {
    const register = this.#registers.get(key)
    if (register === undefined) throw new Error(`${key} was never pushed, and is ${value}`)
    if (register.settled !== value && !register.maybe.has(value)) {
      const maybe = [...register.maybe].map(String).join(' or ')
      throw new Error(`${key} is ${value}; acknowledged was ${register.settled}, cut short ${maybe || 'nothing'}`)
    }
    register.settled = value
    register.maybe.clear()
    register.touched = false
  }

  value(key: string): Value {
    return this.#registers.get(key)?.settled ?? null
  }

  /** Those that changed since they were last looked at, or all. */
  keys(which: 'touched' | 'all'): string[] {
    return [...this.#registers].filter(([, { touched }]) => which === 'all' || touched).map(([key]) => key)
  }

  /** Keys of a kind that are there for sure. */
  present(prefix: string): string[] {
    return [...this.#registers]
      .filter(([key, { settled, maybe }]) => key.startsWith(prefix) && settled !== null && maybe.size === 0)
      .map(([key]) => key)
  }
}
