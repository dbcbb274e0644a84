import type { IncomingMessage } from 'node:http'
import { abortable } from '../../content/abortable.ts'
import type { Clock } from '../../lib/clock.ts'
import { collect } from '../../lib/collect.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Metrics } from '../../lib/metrics.ts'
import type { Delivery } from '../../webhooks/webhook.ts'
import { sourceOf } from '../guard/address.ts'
import { refuse, type Refusal } from '../refusal.ts'
import type { Control, Exchange, Route } from '../types.ts'
import { bodyOf, bodyTimeoutMs, declaredLength } from '../v2/body.ts'
import { sendWhole } from '../whole.ts'

/** Of one delivery; a registry sends a few KiB. */
export const maxWebhookBytes = 1024 * 1024
/** Deliveries that are being received at one time. */
export const maxDeliveries = 64

const prefix = '/v1/webhooks/'

export interface WebhookRouteOptions {
  control: Pick<Control, 'webhook'>
  clock: Clock
  logger: Logger
  metrics: Pick<Metrics, 'delivered' | 'limited'>
}

/** Whoever asks, it is the webhook's own secret that counts. */
export function isWebhookPath(path: string): boolean {
  return path.startsWith(prefix)
}

/** Thrown where a delivery is not taken. */
class NotTaken extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/** `POST /v1/webhooks/{name}`: answers as soon as it is known who is to look, and does not wait for what they find. */
export function createWebhookRoute(options: WebhookRouteOptions): Route {
  const { control, logger, metrics } = options
  let receiving = 0
  let refused = 0

  async function take(exchange: Exchange, path: string): Promise<Record<string, unknown>> {
    const { request } = exchange
    const [name = '', urlToken = null, ...rest] = path.slice(prefix.length).split('/')
    const hook = rest.length === 0 ? control.webhook(name) : undefined
    if (hook === undefined) throw new NotTaken(unknownWebhook)
    if (request.method !== 'POST') throw new NotTaken(onlyPost)
    const delivery = deliveryOf(exchange, urlToken, options)
    if (!(await hook.webhook.admits(delivery))) {
      metrics.delivered(name, 'refused')
      refused++
      if (Number.isInteger(Math.log2(refused))) {
        const source = sourceOf(request.socket.remoteAddress)
        logger.warn({ webhook: name, source, refused }, 'refused a delivery that does not have the secret')
      }
      throw new NotTaken(noSecret)
    }
    const said = await hook.webhook.read(delivery)
    if ('ignored' in said) {
      metrics.delivered(name, 'ignored')
      logger.debug({ webhook: name, why: said.ignored }, 'ignored a delivery')
      return said
    }
    const looking = hook.look(said.repositories)
    metrics.delivered(name, 'taken')
    logger.debug({ webhook: name, ...said, looking }, 'took a delivery')
    return looking.length === 0 ? { ignored: 'no bundle that has this webhook follows that', looking } : { looking }
  }

  return async (exchange) => {
    const { request, response, requestId } = exchange
    const path = pathOf(request)
    if (receiving >= maxDeliveries) {
      metrics.limited('webhook_deliveries')
      return refuse(response, path, requestId, tooMany)
    }
    receiving++
    try {
      const body = await take(exchange, path)
      // What a registry reads of it is the status.
      sendWhole(response, requestId, { status: 202, text: `${JSON.stringify(body)}\n` })
    } catch (error) {
      if (!(error instanceof NotTaken)) throw error
      refuse(response, path, requestId, error.refusal)
    } finally {
      receiving--
    }
  }
}

function deliveryOf({ request, signal }: Exchange, urlToken: string | null, { clock }: WebhookRouteOptions): Delivery {
  let body: Promise<Buffer> | undefined
  const { headers } = request as { headers: Record<string, string | undefined> }
  return { headers, urlToken, body: () => (body ??= readAll(request, signal, clock)) }
}

/** All that comes. Throws NotTaken where that is too much, or takes too long. */
async function readAll(request: IncomingMessage, signal: AbortSignal, clock: Clock): Promise<Buffer> {
  if ((declaredLength(request) ?? 0) > maxWebhookBytes) throw new NotTaken(tooLong)
  const late = new AbortController()
  const cancel = clock.after(bodyTimeoutMs, () => late.abort(new NotTaken(tooSlow)))
  try {
    const body = abortable(bodyOf(request), AbortSignal.any([signal, late.signal]))
    return await collect(body, maxWebhookBytes, () => new NotTaken(tooLong))
  } finally {
    cancel()
  }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0]!
}

const unknownWebhook: Refusal = { status: 404, code: 'unknown_webhook', message: 'there is no such webhook' }
const noSecret: Refusal = {
  status: 401,
  code: 'unauthorized',
  message: 'the token or signature of this webhook is missing or wrong',
  headers: { 'WWW-Authenticate': 'Bearer' },
}
const onlyPost: Refusal = {
  status: 405,
  code: 'method_not_allowed',
  message: 'a webhook takes POST',
  headers: { Allow: 'POST' },
}
const tooLong: Refusal = {
  status: 413,
  code: 'too_long',
  message: `a delivery may have ${maxWebhookBytes} bytes`,
  headers: { Connection: 'close' },
}
const tooSlow: Refusal = {
  status: 408,
  code: 'too_slow',
  message: 'the delivery did not arrive in time',
  headers: { Connection: 'close' },
}
const tooMany: Refusal = {
  status: 503,
  code: 'busy',
  message: 'too many deliveries are being received: try again in a moment',
  headers: { 'Retry-After': '1' },
}
