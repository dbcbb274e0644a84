import type { Deployer } from '../deployers/deployer.ts'
import type { Left, LeftStatus } from '../model/placement.ts'
import { Departure, type DepartureContext } from './departure.ts'

type Queue = (place: string, deployer: Deployer, run: () => Promise<void>) => Promise<void>

/** What bundles left at places: stays there, or is taken away where the deployer says so. */
export class Departures {
  readonly #context: DepartureContext
  readonly #queue: Queue
  #left = new Map<string, Left>()
  #leaving = new Map<string, Departure>()

  constructor(context: Omit<DepartureContext, 'gone'>, queue: Queue) {
    this.#queue = queue
    this.#context = {
      ...context,
      gone: ({ bundle, place }) => {
        this.#left.delete(keyOf(bundle, place))
        this.#leaving.delete(keyOf(bundle, place))
      },
    }
  }

  /** Before these places are the bundle's again: nothing is taken away from them any more. */
  async spare(back: readonly { bundle: string; place: string }[]): Promise<void> {
    await Promise.all(back.map(({ bundle, place }) => this.#stop(keyOf(bundle, place))))
  }

  /** From now on this is what stayed, and these deployers take away what is theirs. */
  async configure(left: readonly Left[], pruners: ReadonlyMap<string, Deployer>): Promise<void> {
    this.#left = new Map(left.map((one) => [keyOf(one.bundle, one.place), one]))
    const wanted = left.filter((one) => isPruned(one, pruners))
    const keys = new Set(wanted.map(({ bundle, place }) => keyOf(bundle, place)))
    await Promise.all([...this.#leaving.keys()].filter((key) => !keys.has(key)).map((key) => this.#stop(key)))
    for (const one of wanted) {
      const key = keyOf(one.bundle, one.place)
      const deployer = pruners.get(one.place)!
      if (this.#leaving.get(key)?.deployer === deployer) continue
      await this.#stop(key)
      const departure = new Departure(one, deployer, this.#context, (run) => this.#queue(one.place, deployer, run))
      this.#leaving.set(key, departure)
      departure.begin()
    }
  }

  /** What kept it there may be over. */
  wake(): void {
    for (const departure of this.#leaving.values()) departure.wake()
  }

  list(): LeftStatus[] {
    return [...this.#left].map(([key, left]) => {
      const departure = this.#leaving.get(key)
      return { ...(departure?.left ?? left), prune: departure !== undefined }
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#leaving.values()].map((departure) => departure.close()))
  }

  async #stop(key: string): Promise<void> {
    const departure = this.#leaving.get(key)
    this.#leaving.delete(key)
    await departure?.close()
  }
}

/** Under the same name another place may be meant by now. */
function isPruned({ place, address }: Left, pruners: ReadonlyMap<string, Deployer>): boolean {
  return pruners.get(place)?.address === address
}

function keyOf(bundle: string, place: string): string {
  return `${bundle}\n${place}`
}
