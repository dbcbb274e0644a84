import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import { linkTo, type Linked } from '../lib/linked.ts'
import { backoffMs } from '../lib/retry.ts'
import { formatDuration } from '../lib/units.ts'
import { untilAborted } from '../lib/until-aborted.ts'
import type { Answer } from './answer.ts'
import type { Authenticator, SecretSink } from './auth.ts'
import { isRetryable, maxErrorBytes, refused } from './errors.ts'
import { exchange, type ExchangeOptions, type Method } from './exchange.ts'
import type { HostState, Lane } from './host-state.ts'
import type { Limits } from './limits.ts'
import type { StreamBody } from './request-body.ts'
import { retryAfterOf } from './retry-after.ts'
import type { RegistrySettings } from './settings.ts'

/** Everything that belongs to one repository's registry. */
export interface Site {
  host: string
  /** `https://ghcr.io`: where the registry is spoken to. */
  origin: string
  repository: string
  settings: RegistrySettings
  limits: Limits
  state: HostState
  auth: Authenticator
}

export interface Call {
  method: Method
  /** Beginning with `/`, or a URL that the registry gave. */
  url: string | URL
  /** For messages, as in "cannot …". */
  what: string
  lane: Lane
  scopes: readonly string[]
  /** Statuses that are an answer; any other is thrown as a RegistryError. */
  ok: readonly number[]
  headers?: Readonly<Record<string, string>>
  body?: Uint8Array | StreamBody
  /** What follows the last byte is work for the registry: it may take as long as the limits give a commit. */
  commits?: boolean
  /** False: this caller repeats it in its own way. */
  retry?: boolean
  signal?: AbortSignal | undefined
}

export interface TransportOptions extends ExchangeOptions {
  clock: Clock
  random: () => number
  redactor: Pick<SecretSink, 'redact'>
  /** Aborted when the client closes. */
  closing: AbortSignal
}

/** Sends calls to registries: within their ceilings, authorized, again when that may help. */
export class Transport {
  readonly #options: TransportOptions

  constructor(options: TransportOptions) {
    this.#options = options
  }

  /**
   * An answer with one of the statuses in `call.ok`; its body has to be read or discarded. Throws RegistryError for any other
   * status, RemoteError for what went wrong on the way, and the signal's reason when it is aborted.
   */
  send(site: Site, call: Call): Promise<Answer> {
    return this.use(site, call, (answer) => Promise.resolve(answer))
  }

  /** As `send`, with the reading of the body as a part of each try. */
  async use<T>(site: Site, call: Call, read: (answer: Answer) => Promise<T>): Promise<T> {
    const budget: Budget = { leftMs: site.limits.waitBudgetMs }
    let last: RemoteError | undefined
    for (let attempt = 1; ; attempt++) {
      try {
        return await read(await this.#attempt(site, again(call, last), budget))
      } catch (error) {
        call.signal?.throwIfAborted()
        this.#options.closing.throwIfAborted()
        if (!(error instanceof RemoteError) || !error.retryable) throw error
        // What opened the circuit says more than that it is open.
        if (error.code === 'circuit_open') throw last ?? error
        last = error
        await this.#pauseAfter(site, call, { error, attempt, budget })
      }
    }
  }

  /** Waits before the next try; throws the error where there is none. */
  async #pauseAfter(site: Site, call: Call, failed: FailedTry): Promise<void> {
    const { error, attempt, budget } = failed
    const { clock, random, closing } = this.#options
    const { limits, state } = site
    const backoff = { firstMs: limits.backoffFirstMs, factor: limits.backoffFactor, capMs: limits.backoffCapMs }
    const waitMs = Math.max(backoffMs(attempt, backoff, random), error.retryAfterMs ?? 0)
    if (error.code === 'rate_limited') state.pause(waitMs)
    if (attempt >= (call.retry === false ? 1 : limits.tries) || waitMs > budget.leftMs) throw error
    budget.leftMs -= waitMs
    const stop = linkTo(call.signal, closing)
    await clock.sleep(waitMs, stop.signal).finally(() => stop.unlink())
  }

  async #attempt(site: Site, call: Call, budget: Budget): Promise<Answer> {
    const { state } = site
    // One for all that can end this try: whoever gives up, the client's end, and each time-out.
    const stop = linkTo(call.signal, this.#options.closing)
    let leave: (() => void) | undefined
    let cancelTimeout: (() => void) | undefined
    const end = () => {
      cancelTimeout?.()
      stop.unlink()
      leave?.()
    }
    let known = false
    try {
      leave = await state.enter(call.lane, stop.signal)
      await this.#holdBack(site, call, stop.signal, budget)
      state.checkCircuit(call.what)
      // Only now: that we waited is not the registry's fault.
      cancelTimeout = this.#totalTimeout(site, call, stop)
      const answer = await this.#authorized(site, call, stop, end)
      known = true
      if (answer.status >= 500 && isRetryable(answer.status)) state.failed()
      else state.answered()
      if (call.ok.includes(answer.status)) return answer
      throw await this.#refusal(site, call, answer)
    } catch (error) {
      if (!known && leave !== undefined) countFailure(state, error)
      end()
      throw error
    }
  }

  /** Waits for a pause to end and for its turn, or says at once that it would take too long. */
  async #holdBack(site: Site, call: Call, signal: AbortSignal, budget: Budget): Promise<void> {
    const { state, host } = site
    const waiting = state.pauseMs()
    if (waiting > budget.leftMs) {
      throw new RemoteError(
        'rate_limited',
        `cannot ${call.what}: ${host} asked us to wait for ${formatDuration(waiting)}`,
        {
          host,
          status: 429,
          retryAfterMs: waiting,
          hint: 'Log in, or look less often: registries allow more to those they know.',
        },
      )
    }
    const { pauseMs, turnMs } = state.reserve()
    budget.leftMs -= pauseMs
    if (turnMs > 0) await this.#options.clock.sleep(turnMs, signal)
    // Somebody else may have been told to wait meanwhile.
    if (state.pauseMs() > 0) await this.#holdBack(site, call, signal, budget)
  }

  async #authorized(site: Site, call: Call, stop: Linked, onEnd: () => void): Promise<Answer> {
    const { auth, repository } = site
    const first = auth.current(repository, call.scopes)
    // Tokens are fetched for everybody who waits for them: one that leaves does not end it for the others.
    let authorization = first === undefined ? undefined : await untilAborted(first, stop.signal)
    for (let round = 1; ; round++) {
      const answer = await this.#exchange(site, call, authorization, stop)
      answer.onEnd(onEnd)
      // A stranger to whom we were redirected has no claim to our credentials.
      if (answer.redirected || !wantsMore(answer, round)) return answer
      const asked = answer.headers('www-authenticate')
      const next = await untilAborted(auth.answer(asked, repository, call.scopes, authorization), stop.signal).catch(
        async (error: unknown) => {
          await answer.discard()
          throw error
        },
      )
      if (next === undefined || next === authorization) return answer
      answer.onEnd(() => undefined)
      await answer.discard()
      authorization = next
    }
  }

  #exchange(site: Site, call: Call, authorization: string | undefined, stop: Linked): Promise<Answer> {
    const { host, origin, settings, limits } = site
    const url = new URL(call.url, origin)
    const { method, what, headers = {}, body, commits = false } = call
    return exchange(
      { host, origin, method, url, what, headers, authorization, body, commits, settings, limits, stop },
      this.#options,
    )
  }

  async #refusal(site: Site, call: Call, answer: Answer): Promise<RemoteError> {
    const retryAfterMs = retryAfterOf(answer.header('retry-after'), dateOf(answer) ?? this.#options.clock.now())
    const body = await answer.beginning(maxErrorBytes)
    const { host } = site
    return refused({
      host,
      status: answer.status,
      what: call.what,
      body,
      redactor: this.#options.redactor,
      isPlain: answer.url.protocol === 'http:',
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    })
  }

  /** Blobs take as long as they take; everything else has an end. */
  #totalTimeout(site: Site, call: Call, stop: Linked): (() => void) | undefined {
    if (call.lane !== 'metadata') return undefined
    const { host, limits } = site
    return this.#options.clock.after(limits.metadataMs, () => {
      const message = `cannot ${call.what}: ${host} took longer than ${formatDuration(limits.metadataMs)}`
      stop.abort(new RemoteError('timeout', message, { host, retryable: true }))
    })
  }
}

const mayHaveCome = new Set<RemoteError['code']>(['network', 'timeout', 'unavailable'])

/** A deletion whose answer was lost may have been done: then what it was to delete is gone. */
function again(call: Call, last: RemoteError | undefined): Call {
  const isLost = call.method === 'DELETE' && last !== undefined && mayHaveCome.has(last.code)
  return isLost ? { ...call, ok: [...call.ok, 404] } : call
}

interface Budget {
  leftMs: number
}

interface FailedTry {
  error: RemoteError
  /** The first is 1. */
  attempt: number
  budget: Budget
}

function wantsMore(answer: Answer, round: number): boolean {
  if (answer.status !== 401 && answer.status !== 403) return false
  const lacksScope = answer.headers('www-authenticate').some((header) => /\binsufficient_scope\b/.test(header))
  return lacksScope ? round <= 2 : answer.status === 401 && round === 1
}

/** What a caller gave up says nothing about the registry. */
function countFailure(state: HostState, error: unknown): void {
  const counts = error instanceof RemoteError && ['network', 'timeout', 'unavailable'].includes(error.code)
  if (counts) state.failed()
  else if (!(error instanceof RemoteError) || error.code !== 'circuit_open') state.abandoned()
}

/** By the clock of who sent it: ours may be wrong. https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1 */
function dateOf(answer: Answer): number | undefined {
  const date = Date.parse(answer.header('date') ?? '')
  return Number.isNaN(date) ? undefined : date
}
