import type { ServerResponse } from 'node:http'

export const jsonType = 'application/json; charset=utf-8'

interface Whole {
  status?: number
  type?: string
  text: string
  headers?: Record<string, string> | undefined
}

/** An answer that is nobody else's: a few words or some JSON, with the request's id. To HEAD its head. */
export function sendWhole(
  response: ServerResponse,
  requestId: string,
  { status = 200, type = jsonType, text, headers }: Whole,
): void {
  const bytes = Buffer.from(text)
  response.writeHead(status, {
    ...headers,
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': requestId,
  })
  response.end(response.req.method === 'HEAD' ? undefined : bytes)
}
