import { everyBundle, type Hold, type Pin, type PinTo, type Switch, type Word } from '../model/decision.ts'
import type { DecisionState } from '../state/state.ts'

/** What persons decided, in memory: only what is durable already. */
export class Decisions {
  readonly #state: DecisionState
  #pins = new Map<string, Pin>()
  #switches = new Map<string, Switch>()
  #holds = new Map<string, Hold>()

  constructor(state: DecisionState) {
    this.#state = state
  }

  async load(): Promise<void> {
    const { pins, switches, holds } = await this.#state.all()
    this.#pins = new Map(pins.map((pin) => [pin.bundle, pin]))
    this.#switches = new Map(switches.map((one) => [keyOf(one.bundle, one.place), one]))
    this.#holds = new Map(holds.map((hold) => [hold.bundle, hold]))
  }

  pinOf(bundle: string): Pin | null {
    return this.#pins.get(bundle) ?? null
  }

  /** Its own, or that of all bundles. */
  holdOf(bundle: string): Hold | null {
    return this.#holds.get(bundle) ?? this.#holds.get(everyBundle) ?? null
  }

  holds(): Hold[] {
    return [...this.#holds.values()]
  }

  /** The most special word counts: of the place, of the bundle, else what the config says. */
  switchOf(bundle: string, place: string): Switch | null {
    return this.#switches.get(keyOf(bundle, place)) ?? this.#switches.get(keyOf(bundle, null)) ?? null
  }

  async pin(bundle: string, to: PinTo, word: Word): Promise<void> {
    const pin = { bundle, to, ...word }
    await this.#state.pin(pin)
    this.#pins.set(bundle, pin)
  }

  /** False where nothing was pinned. */
  async unpin(bundle: string, word: Word): Promise<boolean> {
    const was = await this.#state.unpin(bundle, word)
    this.#pins.delete(bundle)
    return was
  }

  async switchAutoDeploy(bundle: string, place: string | null, on: boolean, word: Word): Promise<void> {
    const to = { bundle, place, on, ...word }
    await this.#state.switchAutoDeploy(to)
    if (place === null) {
      for (const [key, one] of this.#switches) if (one.bundle === bundle) this.#switches.delete(key)
    }
    this.#switches.set(keyOf(bundle, place), to)
  }

  /** A bundle, or all with `*`. False where that was held already. */
  async hold(bundle: string, word: Word): Promise<boolean> {
    const [held] = await this.#state.hold([bundle], word)
    if (held === undefined) return false
    this.#holds.set(bundle, { bundle, ...word })
    return true
  }

  /** A bundle, or all with `*`; which were held. */
  async resume(bundle: string, word: Word): Promise<string[]> {
    const resumed = await this.#state.resume(bundle, word)
    for (const name of resumed) this.#holds.delete(name)
    return resumed
  }
}

function keyOf(bundle: string, place: string | null): string {
  return `${bundle}\n${place ?? ''}`
}
