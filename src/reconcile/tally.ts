import type { Metrics } from '../lib/metrics.ts'
import type { Message } from '../model/message.ts'
import type { State } from '../state/state.ts'

/** How many messages there are for one publisher, without asking for each change. */
export class Tally {
  readonly #publisher: string
  readonly #state: Pick<State, 'outbox'>
  readonly #metrics: Pick<Metrics, 'setMessages'> | undefined
  #counts = { waiting: 0, parked: 0 }

  constructor(publisher: string, state: Pick<State, 'outbox'>, metrics: Pick<Metrics, 'setMessages'> | undefined) {
    this.#publisher = publisher
    this.#state = state
    this.#metrics = metrics
  }

  get waiting(): number {
    return this.#counts.waiting
  }

  add({ waiting = 0, parked = 0 }: { waiting?: number; parked?: number }): void {
    this.#counts = { waiting: this.#counts.waiting + waiting, parked: this.#counts.parked + parked }
    this.#metrics?.setMessages(this.#publisher, this.#counts)
  }

  async recount(): Promise<void> {
    const counts = (await this.#state.outbox.counts()).filter(({ publisher }) => publisher === this.#publisher)
    const of = (state: Message['state']) => counts.find((count) => count.state === state)?.count ?? 0
    this.#counts = { waiting: of('waiting'), parked: of('parked') }
    this.add({})
  }
}
