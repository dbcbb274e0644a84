import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  method: string
  /** Path and query, as sent. */
  url: string
  headers: Record<string, string | undefined>
  body: Buffer
}

export interface Reply {
  /** 200 unless said. */
  status?: number
  headers?: Record<string, string | string[]>
  body?: string | Uint8Array
  /** Ends the connection after so many bytes of the body, though more were announced. */
  cutAfter?: number
  /** Ends the connection without an answer. */
  drop?: boolean
  /** Never answers. */
  hang?: boolean
  /** Sends the headers and no body, and stays. */
  stall?: boolean
}

export type Script = Reply | ((request: Received, nth: number) => Reply | Promise<Reply>)

export interface ScriptedServer extends AsyncDisposable {
  /** `127.0.0.1:12345`. */
  host: string
  origin: string
  /** All requests, in order. */
  requests: Received[]
  /** `GET /v2/`, `HEAD /v2/…`: what was asked, in order. */
  asked: () => string[]
  /** Replies to `GET /path` (the query counts only where the route has one), in order; the last one is given again and again. */
  on: (route: string, ...replies: Script[]) => void
}

/** A real HTTP server that says what it was told to say; what it was not told is 404. */
export async function scriptedServer(routes: Record<string, Script | Script[]> = {}): Promise<ScriptedServer> {
  const scripts = new Map<string, { replies: Script[]; count: number }>()
  const requests: Received[] = []
  const on = (route: string, ...replies: Script[]) => void scripts.set(route, { replies, count: 0 })
  for (const [route, replies] of Object.entries(routes)) on(route, ...(Array.isArray(replies) ? replies : [replies]))
  const server = createServer((request, response) => {
    void answer(request, response, requests, scripts)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    host,
    origin: `http://${host}`,
    requests,
    asked: () => requests.map(({ method, url }) => `${method} ${url}`),
    on,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answer(
  message: IncomingMessage,
  response: ServerResponse,
  requests: Received[],
  scripts: Map<string, { replies: Script[]; count: number }>,
): Promise<void> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of message) chunks.push(chunk as Buffer)
  } catch {
    return
  }
  const { method = '', url = '' } = message
  const headers = message.headers as Record<string, string | undefined>
  const request = { method, url, headers, body: Buffer.concat(chunks) }
  requests.push(request)
  const script = scripts.get(`${method} ${url}`) ?? scripts.get(`${method} ${url.split('?', 1)[0]!}`)
  const nth = script === undefined ? 0 : script.count++
  const next = script?.replies[Math.min(nth, script.replies.length - 1)] ?? { status: 404 }
  await send(response, method, typeof next === 'function' ? await next(request, nth) : next)
}

async function send(response: ServerResponse, method: string, reply: Reply): Promise<void> {
  if (reply.hang === true) return
  if (reply.drop === true) {
    response.socket?.destroy()
    return
  }
  const body = Buffer.from(reply.body ?? '')
  const status = reply.status ?? 200
  const length = status === 204 || method === 'HEAD' ? {} : { 'content-length': String(body.length) }
  response.writeHead(status, { ...length, ...reply.headers })
  if (reply.stall === true) {
    response.flushHeaders()
    return
  }
  if (reply.cutAfter === undefined) {
    response.end(method === 'HEAD' ? undefined : body)
    return
  }
  response.write(body.subarray(0, reply.cutAfter))
  // Let the bytes leave before the connection does.
  await new Promise((resolve) => setTimeout(resolve, 20))
  response.socket?.destroy()
}
