import type { Server } from 'node:http'
import { Socket, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../lib/clock.ts'
import { ConfigError } from '../lib/errors.ts'

/** ConfigError when it cannot. */
export async function start(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  try {
    await promise
    server.removeListener('error', reject)
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    const [why, hint] = listenErrors[code] ?? [message]
    throw new ConfigError(`cannot listen on ${at(host)}:${port}: ${why}`, {
      code: 'cannot_listen',
      cause: error,
      ...(hint !== undefined && { hint }),
    })
  }
}

const listenErrors: Record<string, [why: string, hint?: string]> = {
  EADDRINUSE: ['the port is taken', 'another longshore may be running; end it, or set server.listen to another port'],
  EACCES: ['not permitted', 'ports below 1024 need a privilege; set server.listen to a higher one'],
  EADDRNOTAVAIL: ['this machine has no such address'],
  ENOTFOUND: ['there is no such host'],
}

/**
 * Node takes an answer for done as soon as all of it is queued, and then closes its connection as an idle one, also from
 * within `close`. Here no idle connection is closed while on some connection bytes are still to be sent.
 */
export function spareUnsent(server: Server, event: 'connection' | 'secureConnection'): void {
  const sockets = new Set<Socket>()
  server.on(event, (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const closeIdle = server.closeIdleConnections.bind(server)
  server.closeIdleConnections = () => {
    if (![...sockets].some(({ writableLength }) => writableLength > 0)) closeIdle()
  }
}

/** Takes nothing new. Answers under way may take until the bound; connections that become idle meanwhile are closed. */
export async function stop(server: Server, clock: Clock, boundMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const deadline = clock.monotonic() + boundMs
  let cancel = () => undefined as void
  const sweep = () => {
    if (clock.monotonic() >= deadline) server.closeAllConnections()
    else server.closeIdleConnections()
    cancel = clock.after(50, sweep)
  }
  sweep()
  await closed
  cancel()
}

/** As a client on this machine writes it. */
export function urlOf(server: Server, host: string, secure: boolean): string {
  const { port } = server.address() as AddressInfo
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `${secure ? 'https' : 'http'}://${at(reachable)}:${port}`
}

function at(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

export const lingerMs = 1_000

/** What is no HTTP that we take, before there is a request. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  // In the middle of an answer more words would only spoil it.
  if (!socket.writable || socket.writableLength > 0 || error.code === 'ECONNRESET') return void socket.destroy()
  const [status, text] = clientErrors[error.code ?? ''] ?? [
    '400 Bad Request',
    'this is no HTTP request that can be read',
  ]
  const body = `${text}\n`
  // Whoever does not close after that is not waited for.
  if (socket instanceof Socket) socket.setTimeout(lingerMs)
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
}

const clientErrors: Record<string, [status: string, text: string]> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers of this request are too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Content Too Large', 'the extensions of a chunk are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
}
