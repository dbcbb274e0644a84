import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/logger.ts'
import type { Metrics } from '../lib/metrics.ts'
import { sourceOf } from './guard/address.ts'

export interface ConnectionLimits {
  maxConnections: number
  /** From one address, so that nobody alone can take them all. */
  maxPerSource: number
  /** During a request something has to move before this is over, unless its connection was given another time-out. Over this long … */
  stallMs: number
  /** … at least so much has to move of what is under way. */
  minBytesPerSecond: number
}

export interface Connections {
  /** The request's body is on its way: it has to come at some pace. */
  receiving(request: IncomingMessage): void
  close(): void
}

interface Parts {
  limits: ConnectionLimits
  clock: Clock
  logger: Logger
  metrics: Pick<Metrics, 'limited'>
}

const longestSweepMs = 10_000

/** Bounds how many connections there are, and how long a client that hardly reads or sends may keep one. */
export function boundConnections(server: Server, secure: boolean, parts: Parts): Connections {
  countConnections(server, parts)
  return keepPace(server, secure, parts)
}

/** Closes what is too many as soon as it is there. */
function countConnections(server: Server, { limits, logger, metrics }: Parts): void {
  const bySource = new Map<string, number>()
  let connections = 0
  let refused = 0

  function refuse(socket: Socket, limit: string, source: string): void {
    socket.destroy()
    metrics.limited(limit)
    refused++
    if (Number.isInteger(Math.log2(refused))) {
      logger.warn({ source, limit, connections, refused }, `refused a connection: server.limits.${limit} is reached`)
    }
  }

  // The socket below TLS, where there is that: handshakes count too.
  server.on('connection', (socket: Socket) => {
    const source = sourceOf(socket.remoteAddress)
    const ofSource = bySource.get(source) ?? 0
    if (connections >= limits.maxConnections) return refuse(socket, 'max_connections', source)
    if (ofSource >= limits.maxPerSource) return refuse(socket, 'max_connections_per_source', source)
    connections++
    bySource.set(source, ofSource + 1)
    socket.once('close', () => {
      connections--
      const left = bySource.get(source)! - 1
      if (left === 0) bySource.delete(source)
      else bySource.set(source, left)
    })
  })
}

interface Mark {
  bytes: number
  at: number
}

/**
 * What moves is looked at once in a while, for all connections: nothing is done for each request. Nor by Node, which would set
 * `server.timeout` anew at the beginning of each.
 */
function keepPace(server: Server, secure: boolean, { limits, clock, logger, metrics }: Parts): Connections {
  const { stallMs, minBytesPerSecond } = limits
  const everyMs = Math.min(longestSweepMs, stallMs / 4)
  const sockets = new Set<Socket>()
  const sending = new Map<Socket, Mark>()
  const receiving = new Map<IncomingMessage, Mark>()

  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      sending.delete(socket)
    })
  })

  /** Between two requests, and where one may take long, another one is set. Node clears it when the next one begins. */
  function boundStall(socket: Socket): void {
    if (!socket.timeout) socket.setTimeout(stallMs)
  }

  function cut(socket: Socket, what: string): void {
    logger.debug({ source: sourceOf(socket.remoteAddress) }, `closed a connection whose client ${what} too slowly`)
    metrics.limited('min_rate')
    socket.destroy()
  }

  /** How much of what was handed over is gone shows only when all of it is: it has as long as it needs at that rate. */
  function checkSending(socket: Socket, now: number): void {
    const queued = socket.writableLength
    if (queued === 0) return void sending.delete(socket)
    const bytes = socket.bytesWritten - queued
    const mark = sending.get(socket)
    if (mark?.bytes !== bytes) sending.set(socket, { bytes, at: now })
    else if (now - mark.at > stallMs + (queued / minBytesPerSecond) * 1000) cut(socket, 'reads')
  }

  function checkReceiving(request: IncomingMessage, mark: Mark, now: number): void {
    const { socket } = request
    const tookMs = now - mark.at
    if (request.complete || tookMs < stallMs) return
    const isSlow = socket.bytesRead - mark.bytes < (minBytesPerSecond * tookMs) / 1000
    // What came and was not taken yet is no fault of the client's.
    if (isSlow && request.readableLength === 0) cut(socket, 'sends')
    else receiving.set(request, { bytes: socket.bytesRead, at: now })
  }

  function sweep(): void {
    const now = clock.monotonic()
    // It was us who stood still, not they.
    if (now - lastSweepAt > 2 * everyMs) forgive(now)
    lastSweepAt = now
    for (const socket of sockets) {
      boundStall(socket)
      checkSending(socket, now)
    }
    for (const [request, mark] of receiving) checkReceiving(request, mark, now)
    cancel = clock.after(everyMs, sweep)
  }

  function forgive(now: number): void {
    sending.clear()
    for (const [request] of receiving) receiving.set(request, { bytes: request.socket.bytesRead, at: now })
  }

  let lastSweepAt = clock.monotonic()
  let cancel = clock.after(everyMs, sweep)
  return {
    receiving(request) {
      receiving.set(request, { bytes: request.socket.bytesRead, at: clock.monotonic() })
      request.once('close', () => receiving.delete(request))
    },
    close: () => cancel(),
  }
}
