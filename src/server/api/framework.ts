import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'
import { LongshoreError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/logger.ts'
import { refuse, type Refusal } from '../refusal.ts'
import type { Exchange } from '../types.ts'
import { maxBodyBytes } from './api.ts'
import { describeApi } from './describe.ts'
import { demand, refusalFor, Refused, type Operation } from './operation.ts'
import { createOperations, type OperationOptions } from './operations.ts'

export interface FrameworkOptions extends OperationOptions {
  /** Longshore's own. */
  version: string
}

/** Routes, reads and checks what comes in. */
export interface Framework {
  route(exchange: Exchange): void
  close(): Promise<void>
}

const maxNameChars = 2048

export async function openFramework(options: FrameworkOptions): Promise<Framework> {
  const operations = createOperations(options)
  operations.push(openApi(operations, options.version))
  const exchanges = new WeakMap<IncomingMessage, Exchange>()
  const app = await openApp(operations, options.logger, (request) => exchanges.get(request.raw)!)
  return {
    route(exchange) {
      const { request, response } = exchange
      exchanges.set(request, exchange)
      request.url = foldName(request.url ?? '/')
      app.routing(request, response)
    },
    close: async () => app.close(),
  }
}

/** The node server is ours; fastify routes, reads bodies and answers. */
async function openApp(
  operations: readonly Operation[],
  logger: Logger,
  exchangeOf: (request: FastifyRequest) => Exchange,
): Promise<FastifyInstance> {
  const unused = () => () => {
    throw new Error('nothing here has a schema for fastify')
  }
  const app = fastify({
    bodyLimit: maxBodyBytes,
    routerOptions: { maxParamLength: maxNameChars },
    // Else it loads a compiler of schemas, which is larger than all the rest of it: zod checks what comes in.
    schemaController: { compilersFactory: { buildValidator: unused, buildSerializer: unused } },
  })
  acceptOnlyJson(app)
  const fail = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal) => {
    const { requestId, url } = exchangeOf(request)
    reply.hijack()
    refuse(reply.raw, url.pathname, requestId, refusal)
  }
  for (const operation of operations) addRoute(app, operation, exchangeOf)
  app.setNotFoundHandler((request, reply) => fail(request, reply, notFound(operations, request)))
  app.setErrorHandler((error, request, reply) => {
    const { signal, requestId } = exchangeOf(request)
    if (signal.aborted) {
      logger.debug({ url: request.url, requestId }, 'the client went away')
      return void reply.hijack()
    }
    const refusal = refusalForAny(error)
    if (refusal.status >= 500 && !(error instanceof Refused)) {
      logger.error({ err: error, url: request.url, requestId }, 'a request failed')
    }
    fail(request, reply, refusal)
  })
  await app.ready()
  return app
}

function openApi(operations: readonly Operation[], version: string): Operation {
  let description: Record<string, unknown> | undefined
  return {
    method: 'GET',
    path: '/api/v1/openapi.json',
    summary: 'This description',
    needs: { action: 'read', of: 'any' },
    answers: { 200: { description: 'OpenAPI 3.1' } },
    handle: () => ({ body: (description ??= describeApi(operations, version)) }),
  }
}

function addRoute(app: FastifyInstance, operation: Operation, exchangeOf: (request: FastifyRequest) => Exchange): void {
  app.route({
    method: operation.method,
    url: operation.path.replace('{name}', ':name'),
    async onRequest(request) {
      demand(operation, exchangeOf(request).caller, nameOf(request))
    },
    async handler(request, reply) {
      const exchange = exchangeOf(request)
      const query: unknown = operation.query === undefined ? {} : operation.query.parse(request.query)
      const sent: unknown = operation.body === undefined ? {} : operation.body.parse(request.body ?? {})
      const { url, signal } = exchange
      const call = { ...exchange, url, signal, name: nameOf(request), query, body: sent }
      const { status = 200, body, type } = await operation.handle(call)
      reply.code(status).headers({
        'X-Request-Id': exchange.requestId,
        'Cache-Control': 'no-store',
        'X-Content-Type-Options': 'nosniff',
      })
      if (type === undefined) return reply.send(body)
      return reply.header('Content-Type', type).send(body)
    },
  })
}

function nameOf(request: FastifyRequest): string {
  return (request.params as { name?: string }).name ?? ''
}

/** A browser sends other bodies across origins without asking; an empty one says nothing, whatever it is called. */
function acceptOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(body as string))
    } catch (error) {
      done(new Refused({ status: 400, code: 'bad_json', message: `the body is no JSON: ${(error as Error).message}` }))
    }
  })
}

const named = [
  /^(\/api\/v1\/bundles\/)([^?]+?)((?:\/(?:releases|events|explain|look|pin|unpin|approve|rollback|hold|resume|auto-deploy|deploy))?(?:\?.*)?)$/,
  /^(\/v1\/bundles\/)([^?]+?)(\/rebuild(?:\?.*)?)$/,
]

/** Names contain slashes, which the router would take for the end of the name. */
function foldName(url: string): string {
  const match = named.map((pattern) => pattern.exec(url)).find((found) => found !== null)
  if (match === undefined || match === null) return url
  return `${match[1]}${match[2]!.replaceAll('/', '%2F')}${match[3]}`
}

function notFound(operations: readonly Operation[], { url, method }: FastifyRequest): Refusal {
  const path = url.replace(/\?.*/, '')
  const allowed = operations
    .filter((operation) => fits(operation, path))
    .flatMap((operation) => (operation.method === 'GET' ? ['GET', 'HEAD'] : [operation.method]))
  if (allowed.length === 0) {
    return { status: 404, code: 'not_found', message: `there is nothing at ${path}`, hint: 'What there is: /' }
  }
  const allow = [...new Set(allowed)].join(', ')
  return {
    status: 405,
    code: 'method_not_allowed',
    message: `${path} takes ${allow}, not ${method}`,
    headers: { Allow: allow },
  }
}

function fits(operation: Operation, path: string): boolean {
  const [before = '', after] = operation.path.split('{name}')
  if (after === undefined) return path === before
  const name = path.slice(before.length, path.length - after.length)
  return path.startsWith(before) && path.endsWith(after) && name !== '' && !name.includes('/')
}

function refusalForAny(error: unknown): Refusal {
  if (error instanceof z.ZodError) {
    const problems = error.issues.map(({ path, message }) => ({ key: path.join('.'), message }))
    const message = problems.map((problem) => `${problem.key}: ${problem.message}`).join('; ')
    return { status: 400, code: 'bad_request', message, details: { problems } }
  }
  if (error instanceof Refused || error instanceof LongshoreError) return refusalFor(error)
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode === 415) return { status: 415, code: 'not_json', message: 'the body must be application/json' }
  if (statusCode !== undefined && statusCode < 500) {
    return { status: statusCode, code: 'bad_request', message: message ?? 'this request cannot be read' }
  }
  return {
    status: 500,
    code: 'internal',
    message: 'this failed inside longshore: its log has more under the id of this request',
  }
}
