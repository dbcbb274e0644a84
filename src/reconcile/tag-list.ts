import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import { nextLookAt } from '../lib/schedule.ts'
import { SingleFlight } from '../lib/single-flight.ts'
import { formatDuration } from '../lib/units.ts'
import { untilAborted } from '../lib/until-aborted.ts'
import type { Follow } from '../model/follow.ts'
import type { Registry } from '../registry/types.ts'
import { listTags, type Asked, type Listing, type Past } from './candidate.ts'

/** How long listing them for a person may take. */
export const listDeadlineMs = 5 * 60_000
/** How long a list is kept for a bundle that no schedule looks at. */
export const unscheduledListMs = 60_000
type Of = Asked & { store: { address: string } }

export interface Listed extends Listing {
  /** When it was asked for. */
  at: number
}

/**
 * The tags of a bundle's store as they were last listed, by a look or for a person: kept for one interval of its schedule, so that
 * whoever has them explained again asks the store nothing.
 */
export class TagList {
  readonly #context: { clock: Clock; registry: Registry }
  readonly #flights = new SingleFlight<Listed>()
  #kept: { address: string; follow: Follow; listed: Listed } | undefined
  #forgotten = 0
  readonly #stop = new AbortController()

  constructor(context: { clock: Clock; registry: Registry }) {
    this.#context = context
  }

  /** A look has listed them. */
  keep({ store, follow }: Of, listing: Listing): Listed {
    const listed = Object.assign(listing, { at: this.#context.clock.now() })
    this.#kept = { address: store.address, follow, listed }
    return listed
  }

  /** They may be others by now. */
  forget(): void {
    this.#forgotten++
    this.#kept = undefined
  }

  /** Those that are kept and are not too old. */
  known({ store, follow, schedule }: Of): Listed | undefined {
    if (this.#kept === undefined || this.#kept.address !== store.address) return undefined
    const { listed } = this.#kept
    // When they were made was asked of those alone that another pattern matches.
    const needsTimes = 'pattern' in follow && follow.order === 'created'
    if (needsTimes && !isDeepStrictEqual(follow, this.#kept.follow)) return undefined
    const { clock } = this.#context
    const until = nextLookAt(schedule, listed.at, () => 1) ?? listed.at + unscheduledListMs
    return clock.now() < until ? listed : undefined
  }

  /** Those that are kept, else as the store has them now. Who asks meanwhile shares the answer. Throws RemoteError. */
  async get(spec: Of, past: Past, signal: AbortSignal): Promise<Listed> {
    const kept = this.known(spec)
    if (kept !== undefined) return kept
    const key = JSON.stringify([spec.store.address, spec.follow, this.#forgotten])
    const flight = this.#flights.do(key, () => this.#list(spec, past))
    return untilAborted(flight, signal)
  }

  /** Nobody is told any more. */
  close(): void {
    this.#stop.abort(noLongerWatched())
  }

  /** For all who wait: none of them ends it by going away. */
  async #list(spec: Of, past: Past): Promise<Listed> {
    const { clock } = this.#context
    const forgotten = this.#forgotten
    const late = new AbortController()
    const cancel = clock.after(listDeadlineMs, () => late.abort(tookTooLong(spec.store.name)))
    try {
      const signal = AbortSignal.any([this.#stop.signal, late.signal])
      const listing = await listTags(spec, past, this.#context, signal)
      // What was pushed meanwhile may be missing.
      return forgotten === this.#forgotten ? this.keep(spec, listing) : { ...listing, at: clock.now() }
    } finally {
      cancel()
    }
  }
}

function tookTooLong(host: string): RemoteError {
  const message = `listing the tags of ${host} took longer than ${formatDuration(listDeadlineMs)}`
  return new RemoteError('timeout', message, { host })
}

function noLongerWatched(): RemoteError {
  const message = 'the bundle is no longer watched: it left the config, or the server stops'
  return new RemoteError('busy', message, { host: 'longshore' })
}
