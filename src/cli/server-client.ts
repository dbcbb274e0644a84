import { Agent, request } from 'undici'
import { collect } from '../lib/collect.ts'
import { RemoteError, type RemoteCode } from '../lib/errors.ts'
import type { Deployment, Plan } from '../model/deployment.ts'
import type { Event } from '../model/event.ts'
import type { Explanation } from '../model/explain.ts'
import type { Look, Release } from '../model/release.ts'
import type { Message, MessageKey } from '../model/message.ts'
import type { LeftStatus } from '../model/placement.ts'
import type { BundleStatus } from '../model/status.ts'
import type { Approved, Pinned } from '../model/steering.ts'
import type { BackedUp } from '../registry/backup.ts'
import type { Collected } from '../registry/collect.ts'
import type { Verified } from '../registry/verify.ts'
import { isObject } from '../oci/json.ts'
import { oneLine } from './format.ts'
import type { ServerAddress } from './server-address.ts'

/** A thousand bundles with a message each stay far below. */
const maxAnswerBytes = 64 * 1024 * 1024
const connectTimeoutMs = 10_000
/** A look answers when it is done, and downloads take as long as they take; Ctrl-C ends the wait. */
const answerTimeoutMs = 15 * 60_000
/** Work on the whole folder is done in small steps, with pauses. */
const maintenanceTimeoutMs = 6 * 3_600_000

/** A running longshore, by its /api/v1. Throws RemoteError. */
export class ServerClient {
  readonly #address: ServerAddress
  readonly #agent: Agent
  readonly #signal: AbortSignal

  constructor(address: ServerAddress, signal: AbortSignal) {
    this.#address = address
    this.#signal = signal
    this.#agent = new Agent({
      connect: { timeout: connectTimeoutMs, ...address.tls },
      bodyTimeout: connectTimeoutMs,
    })
  }

  async bundles(): Promise<BundleStatus[]> {
    return (await this.#call<{ bundles: BundleStatus[] }>('GET', '/api/v1/bundles', 'ask for the bundles')).bundles
  }

  /** What stayed at places that left the config. */
  async left(): Promise<LeftStatus[]> {
    return (await this.#call<{ left: LeftStatus[] }>('GET', '/api/v1/deployments', 'ask for what was left')).left
  }

  async releases(bundle: string, limit: number): Promise<Release[]> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/releases?limit=${limit}`
    return (await this.#call<{ releases: Release[] }>('GET', path, `ask for the releases of ${bundle}`)).releases
  }

  /** What happened to it, or, of that, at one place; newest first. */
  async events(bundle: string, limit: number, place?: string): Promise<Event[]> {
    const at = place === undefined ? '' : `&place=${encodeURIComponent(place)}`
    const path = `/api/v1/bundles/${pathOf(bundle)}/events?limit=${limit}${at}`
    return (await this.#call<{ events: Event[] }>('GET', path, `ask for the events of ${bundle}`)).events
  }

  /** With at most so many tags. */
  async explain(bundle: string, limit: number): Promise<Explanation> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/explain?limit=${limit}`
    return this.#call<Explanation>('GET', path, `have ${bundle} explained`)
  }

  /** Answers when the look is done. */
  async look(bundle: string): Promise<Look> {
    return this.#call<Look>('POST', `/api/v1/bundles/${pathOf(bundle)}/look`, `have ${bundle} looked at`)
  }

  /** A tag, a release `@41`, a digest `@sha256:…`; answers when it was looked at. */
  async pin(bundle: string, version: string, reason: string): Promise<Pinned> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/pin`
    return this.#call<Pinned>('POST', path, `pin ${bundle} to ${version}`, { version, reason })
  }

  /** Answers when it was looked at; null where nothing was pinned. */
  async unpin(bundle: string, reason: string): Promise<Look | null> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/unpin`
    return (await this.#call<{ look: Look | null }>('POST', path, `unpin ${bundle}`, { reason })).look
  }

  /** The release that waits, unless one is named by its number or digest; answers when it was looked at. */
  async approve(bundle: string, release: string | null, reason: string): Promise<Approved> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/approve`
    return this.#call<Approved>('POST', path, `approve for ${bundle}`, { release, reason })
  }

  /** To the release before, unless one is named; answers when it was looked at. */
  async rollBack(bundle: string, release: number | null, reason: string): Promise<Pinned> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/rollback`
    return this.#call<Pinned>('POST', path, `roll ${bundle} back`, { release, reason })
  }

  /** One bundle, or all; false where that was held already. */
  async hold(bundle: string | undefined, reason: string): Promise<boolean> {
    const path = bundle === undefined ? '/api/v1/hold' : `/api/v1/bundles/${pathOf(bundle)}/hold`
    return (await this.#call<{ held: boolean }>('POST', path, `hold ${bundle ?? 'all bundles'}`, { reason })).held
  }

  /** One bundle, or all; returns which were held. */
  async resume(bundle: string | undefined, reason: string): Promise<string[]> {
    const path = bundle === undefined ? '/api/v1/resume' : `/api/v1/bundles/${pathOf(bundle)}/resume`
    return (await this.#call<{ resumed: string[] }>('POST', path, `resume ${bundle ?? 'deploying'}`, { reason }))
      .resumed
  }

  async switchAutoDeploy(bundle: string, body: { to: string | null; on: boolean; reason: string }): Promise<void> {
    await this.#call('POST', `/api/v1/bundles/${pathOf(bundle)}/auto-deploy`, `switch auto-deploy of ${bundle}`, body)
  }

  /** Which deployments begin. */
  async deploy(bundle: string, body: { to: string | null; reason: string }): Promise<Deployment[]> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/deploy`
    return (await this.#call<{ deployments: Deployment[] }>('POST', path, `deploy ${bundle}`, body)).deployments
  }

  async plan(bundle: string, to: string | null): Promise<Plan[]> {
    const path = `/api/v1/bundles/${pathOf(bundle)}/deploy`
    return (await this.#call<{ plans: Plan[] }>('POST', path, `plan deploying ${bundle}`, { to, dryRun: true })).plans
  }

  /** `next` goes on after these, with `after`. */
  async messages(
    query: Record<string, string | number | undefined>,
  ): Promise<{ messages: Message[]; next: string | null }> {
    const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
    const path = `/api/v1/messages?${new URLSearchParams(given).toString()}`
    return this.#call<{ messages: Message[]; next: string | null }>('GET', path, 'ask for the messages')
  }

  /** Null: all of them. */
  async resend(which: { publisher: string | null; seq: number | null }): Promise<MessageKey[]> {
    const path = '/api/v1/messages/resend'
    return (await this.#call<{ resent: MessageKey[] }>('POST', path, 'have it sent again', which)).resent
  }

  /** Answers when it is done. */
  async collect(dryRun: boolean): Promise<Collected> {
    return this.#call<Collected>('POST', '/api/v1/gc', 'have it collected', { dryRun }, maintenanceTimeoutMs)
  }

  /** Into a folder of the server's machine; answers when it is done. */
  async backUp(to: string): Promise<BackedUp> {
    return this.#call<BackedUp>('POST', '/api/v1/backup', 'have it backed up', { to }, maintenanceTimeoutMs)
  }

  /** Answers when it is done. */
  async verify(): Promise<Verified & { lookingAt: string[] }> {
    return this.#call<Verified & { lookingAt: string[] }>(
      'POST',
      '/api/v1/verify-content',
      'have it verified',
      {},
      maintenanceTimeoutMs,
    )
  }

  /** How far a verification is. */
  async verifying(): Promise<{ running: boolean; bytes: number }> {
    return this.#call<{ running: boolean; bytes: number }>('GET', '/api/v1/verify-content', 'ask how far it is')
  }

  /** What needs somebody to mend it, though all are served. None of a server that does not say. */
  async warnings(): Promise<string[]> {
    const what = 'ask how it is'
    const settings = { sent: {}, headersTimeout: answerTimeoutMs }
    // Whether it is ready is another question.
    const { text } = await this.#send('GET', '/health/ready', what, settings, { accept: 'application/json' })
    const warnings = parse(text)?.warnings
    return Array.isArray(warnings) ? warnings.map((one) => oneLine(String(one), 500)) : []
  }

  close(): Promise<void> {
    return this.#agent.destroy()
  }

  /** What answers as a longshore does is taken to say what the schemas of its API have. */
  async #call<T extends object>(
    method: 'GET' | 'POST',
    path: string,
    what: string,
    sent: object = {},
    headersTimeout = answerTimeoutMs,
  ): Promise<T> {
    const { url, token } = this.#address
    const { status, text } = await this.#send(
      method,
      path,
      what,
      { sent, headersTimeout },
      {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(method === 'POST' && { 'content-type': 'application/json' }),
      },
    )
    const body = parse(text)
    if (status >= 200 && status < 300 && body !== undefined) return body as object as T
    if (status >= 200 && status < 400) {
      throw new RemoteError('protocol', `cannot ${what}: what answers at ${url} is no longshore (status ${status})`, {
        host: new URL(url).host,
        status,
        hint: 'Name the right one with --server or LONGSHORE_SERVER.',
      })
    }
    throw this.#refused(status, what, body ?? {}, text)
  }

  async #send(
    method: 'GET' | 'POST',
    path: string,
    what: string,
    { sent, headersTimeout }: { sent: object; headersTimeout: number },
    headers: Record<string, string>,
  ) {
    const { url } = this.#address
    try {
      const answer = await request(`${url}${path}`, {
        method,
        headers,
        headersTimeout,
        dispatcher: this.#agent,
        signal: this.#signal,
        ...(method === 'POST' && { body: JSON.stringify(sent) }),
      })
      const tooMuch = () => new Error(`it sent more than ${maxAnswerBytes} bytes`)
      const body = await collect(answer.body as AsyncIterable<Buffer>, maxAnswerBytes, tooMuch)
      return { status: answer.statusCode, text: body.toString('utf8') }
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason as Error
      throw this.#unreachable(what, error)
    }
  }

  #unreachable(what: string, error: unknown): RemoteError {
    const { url, source } = this.#address
    return new RemoteError('network', `cannot ${what}: nothing answers at ${url} (${reasonOf(error)})`, {
      host: new URL(url).host,
      retryable: true,
      cause: error,
      hint:
        source === 'config'
          ? 'Start it with `longshore serve`, or name another server with --server or LONGSHORE_SERVER.'
          : 'Check the URL in --server or LONGSHORE_SERVER, and that the server runs.',
    })
  }

  /** https://www.rfc-editor.org/rfc/rfc9457 */
  #refused(status: number, what: string, problem: Record<string, unknown>, text: string): RemoteError {
    const { url, token } = this.#address
    const said = [problem.detail, problem.title, text].find((part) => typeof part === 'string' && part !== '')
    const message = `cannot ${what}: ${url} answered ${status}${said === undefined ? '' : `: ${oneLine(said as string, 500)}`}`
    const hint = typeof problem.hint === 'string' ? problem.hint : hintFor(status, token)
    const isMissing = missing.has(problem.code as string)
    return new RemoteError(isMissing ? 'not_found' : codeOf(status), message, {
      host: new URL(url).host,
      status,
      ...(hint !== undefined && { hint }),
    })
  }
}

/** Of what was asked for in a request's body: it is not there, whatever the status says. */
const missing = new Set(['no_version', 'no_release', 'no_place', 'gone'])

/** Names hold slashes, and the routes take them as they are. */
function pathOf(bundle: string): string {
  return bundle.split('/').map(encodeURIComponent).join('/')
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(text)
    return isObject(json) ? json : undefined
  } catch {
    return undefined
  }
}

function codeOf(status: number): RemoteCode {
  const known: Record<number, RemoteCode> = {
    401: 'unauthorized',
    403: 'denied',
    404: 'not_found',
    409: 'conflict',
    429: 'rate_limited',
  }
  return known[status] ?? (status >= 500 ? 'unavailable' : 'unsupported')
}

function hintFor(status: number, token: string | undefined): string | undefined {
  if (status === 401 || status === 403) {
    return token === undefined
      ? 'Set LONGSHORE_TOKEN to a token that may do this; the first start writes one into the data folder (`token`).'
      : 'The token is not known there, or may not do this.'
  }
  if (status === 404) return '`longshore status` shows which bundles there are.'
  return undefined
}

function reasonOf(error: unknown): string {
  const { code, message, reason } = error as NodeJS.ErrnoException & { reason?: string }
  if (code !== undefined && /WRONG_VERSION|PACKET_LENGTH/.test(code))
    return 'it does not speak TLS: name it with http://'
  if (reason !== undefined) return reason
  return oneLine(message === '' ? (code ?? 'no connection') : message, 200)
}
