import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Passed {
  method: string
  /** Path and query. */
  url: string
  headers: IncomingMessage['headers']
  status: number
  /** Of the body of the answer. */
  bytes: number
}

export interface Meddling {
  /** Headers of answers that do not get through. */
  hide?: string[]
  /** Answers in the registry's place: a status, or undefined to let it through. */
  refuse?: (request: IncomingMessage) => number | undefined
  /** Ends the connection after so many bytes of the body, or undefined to let it through. */
  cut?: (request: IncomingMessage) => number | undefined
  /** Asks for something else instead, such as a smaller page. */
  rewrite?: (url: URL) => void
}

export interface CountingProxy {
  /** `127.0.0.1:PORT`: the registry under another name. */
  host: string
  /** What passed, in order. */
  passed: Passed[]
  /** `HEAD /v2/…`, without queries. */
  asked: () => string[]
  meddle: (how: Meddling) => void
  stop: () => Promise<void>
}

/** Stands before a real registry and counts what is asked of it. */
export async function startCountingProxy(to: { url: string }): Promise<CountingProxy> {
  const passed: Passed[] = []
  let meddling: Meddling = {}
  const server = createServer((request, answer) => {
    const entry = { method: request.method!, url: request.url!, headers: request.headers, status: 0, bytes: 0 }
    passed.push(entry)
    pass(request, answer, { to, meddling, entry })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    asked: () => passed.map(({ method, url }) => `${method} ${url.split('?', 1)[0]!}`),
    meddle: (how) => void (meddling = how),
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface Passing {
  to: { url: string }
  meddling: Meddling
  entry: Passed
}

function pass(request: IncomingMessage, answer: ServerResponse, { to, meddling, entry }: Passing): void {
  const refused = meddling.refuse?.(request)
  if (refused !== undefined) {
    entry.status = refused
    request.resume()
    request.once('end', () => answer.writeHead(refused).end())
    return
  }
  const url = new URL(request.url!, to.url)
  meddling.rewrite?.(url)
  const cut = meddling.cut?.(request)
  // The Host stays, so that the registry says Locations that lead here.
  const onward = forward(url, { method: request.method!, headers: request.headers }, (reply) => {
    entry.status = reply.statusCode!
    const headers = Object.entries(reply.headers).filter(([name]) => !meddling.hide?.includes(name))
    answer.writeHead(entry.status, Object.fromEntries(headers))
    reply.on('data', (chunk: Buffer) => {
      entry.bytes += chunk.length
      if (cut === undefined || entry.bytes <= cut) answer.write(chunk)
      else answer.destroy()
    })
    reply.on('end', () => answer.end())
  })
  onward.on('error', () => answer.destroy())
  request.pipe(onward)
}
