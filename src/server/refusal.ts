import type { ServerResponse } from 'node:http'
import { nodeHttp } from '../lib/http.ts'
import type { Caller } from './types.ts'
import { isWatcherPath } from './watcher/path.ts'
import { jsonType, sendWhole } from './whole.ts'

/** An answer that is not what was asked for. */
export interface Refusal {
  status: number
  /** A stable word that a program may branch on. */
  code: string
  /** For a person: what is wrong, what to do. */
  message: string
  hint?: string
  headers?: Record<string, string>
  /** What else a problem document says. */
  details?: Record<string, unknown>
}

/** No Bearer challenge: it would need a realm that hands out tokens. https://www.rfc-editor.org/rfc/rfc7617 */
export const challenge = 'Basic realm="longshore", charset="UTF-8"'

/** For a caller that may not do what it asked: 401 when credentials would help, 403 when it has shown some. */
export function notAllowed(caller: Caller, what: string): Refusal {
  if (!caller.anonymous) return { status: 403, code: 'denied', message: `${caller.name} may not ${what}` }
  return {
    status: 401,
    code: 'unauthorized',
    message: `credentials are needed to ${what}`,
    headers: { 'WWW-Authenticate': challenge },
  }
}

const registryCodes: Record<number, string> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  404: 'NAME_UNKNOWN',
  429: 'TOOMANYREQUESTS',
  503: 'UNAVAILABLE',
}

/**
 * Answers in the form that the path's clients read: the distribution specification's JSON under `/v2/`, a problem document
 * (https://www.rfc-editor.org/rfc/rfc9457) under `/api/`, the registry watcher's JSON on its routes, a line of text elsewhere. Does nothing once an answer has begun.
 */
export function refuse(response: ServerResponse, path: string, requestId: string, refusal: Refusal): void {
  if (response.headersSent || response.destroyed) return
  const [type, body] = render(path, requestId, refusal)
  const { status, headers } = refusal
  sendWhole(response, requestId, { status, type, text: body, headers })
}

function render(path: string, requestId: string, refusal: Refusal): [type: string, body: string] {
  const { status, code, message, hint, details } = refusal
  if (path === '/v2' || path.startsWith('/v2/')) {
    const known = registryCodes[status] ?? 'UNSUPPORTED'
    return ['application/json', JSON.stringify({ errors: [{ code: known, message }] })]
  }
  if (path.startsWith('/api/')) {
    const title = nodeHttp().STATUS_CODES[status] ?? 'Error'
    const problem = {
      type: 'about:blank',
      title,
      status,
      detail: message,
      code,
      hint,
      request_id: requestId,
      ...details,
    }
    return ['application/problem+json', JSON.stringify(problem)]
  }
  if (isWatcherPath(path)) return [jsonType, JSON.stringify({ message })]
  return ['text/plain; charset=utf-8', `${message}\n${hint === undefined ? '' : `${hint}\n`}(request ${requestId})\n`]
}
