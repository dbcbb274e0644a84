import type { Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { RemoteError } from '../lib/errors.ts'
import type { Linked } from '../lib/linked.ts'
import { formatDuration } from '../lib/units.ts'
import { Answer } from './answer.ts'
import type { Dispatchers } from './dispatchers.ts'
import { explainFailure } from './failure.ts'
import { Incoming } from './incoming.ts'
import type { Limits } from './limits.ts'
import { nextHop } from './redirect.ts'
import { startSending, type Sending, type StreamBody } from './request-body.ts'
import type { RegistrySettings } from './settings.ts'

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** One request that was made, for metrics and logs. Never holds a URL: queries are secrets. */
export interface RequestEvent {
  /** The registry on whose behalf it was made. */
  host: string
  method: Method
  /** Undefined where there was no answer. */
  status: number | undefined
  /** Of the body of the answer. */
  bytes: number
  durationMs: number
  /** What Docker Hub tells: `ratelimit-remaining`. */
  rateLimitRemaining?: number
}

export interface Sent {
  host: string
  /** Where credentials and client certificates belong. */
  origin: string
  method: Method
  url: URL
  /** For messages, as in "cannot …". */
  what: string
  headers: Readonly<Record<string, string>>
  authorization?: string | undefined
  body?: Uint8Array | StreamBody | undefined
  /** It may take long to answer: it stores what it got. */
  commits?: boolean
  settings: RegistrySettings
  limits: Limits
  /** Ends it, whoever aborts it; time-outs do. */
  stop: Pick<Linked, 'signal' | 'abort'>
  /** The body is a secret: refuse to take it anywhere else. */
  stay?: boolean
}

export interface ExchangeOptions {
  dispatchers: Dispatchers
  clock: Clock
  userAgent: string
  onRequest?: ((event: RequestEvent) => void) | undefined
}

/** Headers that may go to a stranger; all others stay with the registry. */
const harmless = new Set(['accept', 'range', 'content-type'])
const redirects = new Set([301, 302, 303, 307, 308])

/** Sends one request and follows its redirects. Throws RemoteError `network`, `timeout`, `redirect`, `protocol`. */
export async function exchange(sent: Sent, options: ExchangeOptions): Promise<Answer> {
  let url = sent.url
  // Once away, always away: a stranger that sends us back does not get to use our credentials.
  let own = url.origin === sent.origin
  for (let hop = 0; hop <= sent.limits.redirects; hop++) {
    const answer = await once(sent, url, own, options)
    if (!redirects.has(answer.status)) return answer
    const location = answer.header('location')
    await answer.discard()
    if (!keepsMethod(sent.method, answer.status)) {
      throw refuse(sent, `answers a ${sent.method} with ${answer.status}, which would change the request`)
    }
    url = nextHop(url, location, sent)
    own &&= url.origin === sent.origin
    if (!own && sent.stay === true) throw refuse(sent, `redirects to ${url.host} what is a secret`)
  }
  throw refuse(sent, `redirects more than ${sent.limits.redirects} times`)
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-15.4: only 307 and 308 promise to keep method and body. */
function keepsMethod(method: Method, status: number): boolean {
  return method === 'GET' || method === 'HEAD' || status === 307 || status === 308
}

function refuse({ host, what }: Sent, why: string): RemoteError {
  return new RemoteError('redirect', `cannot ${what}: ${host} ${why}`, { host })
}

async function once(sent: Sent, url: URL, own: boolean, options: ExchangeOptions): Promise<Answer> {
  const { host, what, method, limits, stop } = sent
  const startedAt = options.clock.monotonic()
  const sending = startBody(sent, options.clock)
  const stopWaiting = sending === undefined ? boundHeaders(sent, options.clock) : undefined
  const report = (status: number | undefined, bytes: number, rateLimitRemaining?: number) =>
    options.onRequest?.({
      host,
      method,
      status,
      bytes,
      durationMs: options.clock.monotonic() - startedAt,
      ...(rateLimitRemaining === undefined ? {} : { rateLimitRemaining }),
    })
  const explain = (error: unknown) => explainFailure(stop.signal.aborted ? stop.signal.reason : error, host, what)
  try {
    const dispatcher = await options.dispatchers.for(url, sent.settings, limits, own)
    const parts = partsOf(sent, url, headersFor(sent, own, options.userAgent), sending)
    const incoming = await Incoming.of(dispatcher, parts, stop.signal)
    const remaining = /^\d+/.exec(String(incoming.headers['ratelimit-remaining'] ?? ''))?.[0]
    return new Answer({
      incoming,
      url,
      redirected: !own,
      what,
      host,
      clock: options.clock,
      drainMs: limits.metadataMs,
      explain,
      onEnd: (bytes) => report(incoming.status, bytes, remaining === undefined ? undefined : Number(remaining)),
    })
  } catch (error) {
    report(undefined, 0)
    sending?.readable.destroy()
    throw sending?.failure() ?? explain(error)
  } finally {
    sending?.stop()
    stopWaiting?.()
  }
}

function partsOf(
  { method, body, commits, limits }: Sent,
  url: URL,
  headers: Record<string, string>,
  sending: Sending | undefined,
): Dispatcher.DispatchOptions {
  return {
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method,
    headers,
    body: sending?.readable ?? (body instanceof Uint8Array ? body : null),
    // undici would open another connection after each HEAD, for servers that wrongly send a body: those are found out by the next answer.
    ...(method === 'HEAD' && { reset: false }),
    headersTimeout: sending === undefined && commits !== true ? limits.headersMs : 0,
    bodyTimeout: limits.stallMs,
  }
}

/** undici's own time-out begins anew with each interim answer (`103 Early Hints`): somebody can send those for ever. */
function boundHeaders({ host, what, commits = false, limits, stop }: Sent, clock: Clock): () => void {
  const ms = commits ? limits.commitMs : limits.metadataMs
  const message = `cannot ${what}: ${host} did not answer within ${formatDuration(ms)}`
  return clock.after(ms, () => stop.abort(new RemoteError('timeout', message, { host, retryable: true })))
}

function startBody(sent: Sent, clock: Clock): Sending | undefined {
  const { body, host, what, limits } = sent
  if (body === undefined || body instanceof Uint8Array) return undefined
  const abort = (reason: Error) => sent.stop.abort(reason)
  return startSending(body, { clock, host, what, stallMs: limits.stallMs, commitMs: limits.commitMs, abort })
}

function headersFor(sent: Sent, own: boolean, userAgent: string): Record<string, string> {
  const { authorization, body } = sent
  // Whoever unpacks on the way breaks digests.
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': userAgent }
  for (const [name, value] of Object.entries(sent.headers)) if (own || harmless.has(name)) headers[name] = value
  if (own && authorization !== undefined) headers.authorization = authorization
  if (body !== undefined) headers['content-length'] = String(body instanceof Uint8Array ? body.length : body.size)
  return headers
}
