import { createSlots, defaultDownloads } from '../slots.ts'
import type { Exchange, Route } from '../types.ts'
import { sendBytes, sendRefusal } from './answer.ts'
import { createBodyMemory } from './body.ts'
import { deleteBlob, getBlob } from './blobs.ts'
import type { Call, V2Options } from './call.ts'
import { listReferrers, listRepositories, listTags } from './lists.ts'
import { deleteManifest, getManifest, putManifest } from './manifests.ts'
import { parsePath, type EndpointKind } from './path.ts'
import { Refusal, refusal, refusalFor, refusalForFault } from './refusal.ts'
import { cancelUpload, getUpload, patchUpload, putUpload, startUpload } from './uploads.ts'

export type { V2Options } from './call.ts'

type Handler = (call: Call) => Promise<void>

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints */
const endpoints: Record<EndpointKind, Record<string, Handler>> = {
  base: { GET: sayHello, HEAD: sayHello },
  catalog: { GET: listRepositories, HEAD: listRepositories },
  tags: { GET: listTags, HEAD: listTags },
  referrers: { GET: listReferrers, HEAD: listReferrers },
  manifest: { GET: getManifest, HEAD: getManifest, PUT: putManifest, DELETE: deleteManifest },
  blob: { GET: getBlob, HEAD: getBlob, DELETE: deleteBlob },
  uploads: { POST: startUpload },
  upload: { GET: getUpload, PATCH: patchUpload, PUT: putUpload, DELETE: cancelUpload },
}

/** The OCI distribution API, `/v2/…`, over the built-in registry. Answers everything itself; never rejects. */
export function createV2Route(options: V2Options): Route {
  const shared: Shared = {
    downloads: options.downloads ?? createSlots({ ...defaultDownloads, clock: options.clock }),
    bodies: createBodyMemory(),
  }
  return async (exchange) => {
    try {
      await dispatch(options, shared, exchange)
    } catch (error) {
      await answerError(options, exchange, error)
    }
  }
}

type Shared = Pick<Call, 'downloads' | 'bodies'>

async function dispatch(options: V2Options, shared: Shared, exchange: Exchange): Promise<void> {
  const endpoint = parsePath(rawPath(exchange))
  if (endpoint === undefined) throw refusal(404, 'UNSUPPORTED', 'the distribution API has no such endpoint')
  const handlers = endpoints[endpoint.kind]
  const handler = handlers[exchange.request.method ?? '']
  if (handler === undefined) {
    const message = `${exchange.request.method} is not possible here`
    throw new Refusal(405, [{ code: 'UNSUPPORTED', message }], { Allow: Object.keys(handlers).join(', ') })
  }
  await handler({ ...endpoint, ...shared, options, exchange })
}

/** As the client sent it: in `url`, `..` is gone already. */
function rawPath(exchange: Exchange): string {
  const target = exchange.request.url ?? ''
  const end = target.indexOf('?')
  return target.startsWith('/') ? target.slice(0, end === -1 ? undefined : end) : exchange.url.pathname
}

async function sayHello(call: Call): Promise<void> {
  sendBytes(call, Buffer.from('{}'), { 'Content-Type': 'application/json' })
}

async function answerError(options: V2Options, exchange: Exchange, error: unknown): Promise<void> {
  const { request, response, requestId, signal } = exchange
  const path = rawPath(exchange)
  if (signal.aborted || request.socket.destroyed) {
    options.logger.debug({ requestId, method: request.method, path }, 'the client went away')
    response.destroy()
    return
  }
  let answer = refusalFor(error)
  if (answer === undefined) {
    options.logger.error({ err: error, requestId, method: request.method, path }, 'serving a registry request failed')
    answer = refusalForFault(error)
  }
  if (answer.limit !== undefined) options.metrics.limited(answer.limit)
  await sendRefusal(request, response, answer, options.clock)
}
