import type { Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/logger.ts'
import type { BundleStatus } from '../../model/status.ts'
import { notAllowed, refuse, type Refusal } from '../refusal.ts'
import type { Action, Control, Exchange, Route } from '../types.ts'
import { sendWhole } from '../whole.ts'
import { readText } from './body.ts'
import { BadWish } from './bad-wish.ts'
import type { ChangeParts } from './change.ts'
import { parseWatcherPath, type WatcherPath } from './path.ts'
import { describeCaches, describeRepos, tagOf } from './summary.ts'

export interface WatcherOptions {
  control: Pick<Control, 'status' | 'steering' | 'tags' | 'knownTags'>
  clock: Clock
  logger: Logger
}

type Handler = (call: Call) => Promise<object>

interface Call extends Exchange {
  options: WatcherOptions
  /** The bundle in the path; empty where none is. */
  name: string
}

/** Thrown where a request is not answered as asked. */
class Refused extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(refusal.message)
    this.refusal = refusal
  }
}

/** A pin is looked at, and that downloads. */
const changeTimeoutMs = 15 * 60_000

const handlers: Record<WatcherPath['kind'], Record<string, Handler>> = {
  repos: { GET: getRepos },
  caches: { GET: getCaches },
  tag: { GET: getTag, POST: postTag },
  reset: { POST: postReset },
}

/** The routes of the registry watcher, for its page and its users' scripts: a repository there is a bundle here. Never rejects. */
export function createWatcherRoute(options: WatcherOptions): Route {
  return async (exchange) => {
    const { request, response, requestId, signal } = exchange
    const [path = ''] = (request.url ?? '').split('?', 1)
    try {
      const meant = parseWatcherPath(path)
      const methods: Record<string, Handler> = meant === undefined ? {} : handlers[meant.kind]
      const handler = methods[request.method === 'HEAD' ? 'GET' : (request.method ?? '')]
      if (handler === undefined) throw new Refused(notThat(path, Object.keys(methods)))
      const name = meant !== undefined && 'name' in meant ? meant.name : ''
      const body = await handler({ ...exchange, signal, url: exchange.url, options, name })
      sendWhole(response, requestId, { text: JSON.stringify(body) })
    } catch (error) {
      if (signal.aborted) return void response.destroy()
      refuse(response, path, requestId, refusalFor(error, exchange, options.logger))
    }
  }
}

async function getRepos({ caller, signal, options: { control, clock } }: Call): Promise<object> {
  return describeRepos(await readable(control, caller), control, clock, signal)
}

async function getCaches({ caller, options: { control } }: Call): Promise<object> {
  return describeCaches(await readable(control, caller), control)
}

async function getTag(call: Call): Promise<object> {
  const tag = tagOf(await watched(call, 'read'))
  if (tag === undefined) throw new BadWish(`Error: ${call.name} has no tag that counts yet`)
  return { repo_tag: tag }
}

async function postTag(call: Call): Promise<object> {
  const bundle = await watched(call, 'deploy')
  const { fulfil, parseWish } = await import('./change.ts')
  const wish = parseWish(await readText(call.request, call.signal))
  return changed(call, 'deploy tag', { tag: wish.pinned_tag, on: wish.auto_deploy }, (parts) => {
    return fulfil(wish, bundle, parts)
  })
}

async function postReset(call: Call): Promise<object> {
  const bundle = await watched(call, 'deploy')
  const { reset } = await import('./change.ts')
  return changed(call, 'reset', {}, (parts) => reset(bundle, parts))
}

async function changed(
  { request, options: { control, logger }, caller, signal, requestId, name }: Call,
  action: string,
  what: object,
  change: (parts: ChangeParts) => Promise<string>,
): Promise<object> {
  request.setTimeout(changeTimeoutMs)
  const message = await change({ control, said: { by: caller.name, reason: '' }, signal })
  logger.info(
    { audit: true, who: caller.name, action, requestId, bundle: name, ...what },
    `${action} by ${caller.name}`,
  )
  return { message }
}

async function readable({ status }: Pick<Control, 'status'>, caller: Call['caller']): Promise<BundleStatus[]> {
  if (!caller.may('read')) throw new Refused(notAllowed(caller, 'read here'))
  return (await status()).filter(({ name }) => caller.may('read', `bundles/${name}`))
}

async function watched({ caller, name, options: { control } }: Call, action: Action): Promise<BundleStatus> {
  const target = `bundles/${name}`
  if (!caller.may(action, target)) throw new Refused(notAllowed(caller, `${action} ${target}`))
  const bundle = (await control.status()).find((status) => status.name === name)
  if (bundle === undefined) throw new BadWish(`Error: ${name.slice(0, 200)} is not watched here`)
  return bundle
}

function refusalFor(error: unknown, { requestId, request }: Exchange, logger: Logger): Refusal {
  if (error instanceof Refused) return error.refusal
  if (error instanceof BadWish) return { status: 400, code: 'bad_request', message: error.message }
  logger.error({ err: error, url: request.url, requestId }, 'a request failed')
  const message = 'this failed inside longshore: its log has more under the id of this request'
  return { status: 500, code: 'internal', message }
}

function notThat(path: string, methods: readonly string[]): Refusal {
  if (methods.length === 0) return { status: 404, code: 'not_found', message: `there is nothing at ${path}` }
  const allow = methods.map((method) => (method === 'GET' ? 'GET, HEAD' : method)).join(', ')
  return { status: 405, code: 'method_not_allowed', message: `${path} takes ${allow}`, headers: { Allow: allow } }
}
