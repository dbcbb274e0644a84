import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/lib/logger.ts'
import { boundConnections, type ConnectionLimits } from '../../../src/server/connections.ts'
import { createCertificates } from '../../support/certs.ts'
import { FakeClock } from '../../support/clock.ts'
import { waitFor } from '../../support/wait.ts'

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function setUp(limits: Partial<ConnectionLimits>, listener: RequestListener = () => undefined, tls = false) {
  const clock = new FakeClock()
  const limited: string[] = []
  const certificates = tls ? (await createCertificates()).server : undefined
  const server =
    certificates === undefined
      ? createServer(listener)
      : createTlsServer({ cert: readFileSync(certificates.cert), key: readFileSync(certificates.key) }, listener)
  servers.push(server)
  const connections = boundConnections(server, tls, {
    limits: { maxConnections: 100, maxPerSource: 100, stallMs: 60_000, minBytesPerSecond: 1024, ...limits },
    clock,
    logger: silentLogger,
    metrics: { limited: (limit) => limited.push(limit) },
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { clock, limited, server, connections, port }
}

interface Client {
  socket: Socket
  isOpen: () => boolean
}

function open(port: number, localAddress = '127.0.0.1'): Client {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  let closed = false
  socket.on('error', () => undefined)
  socket.on('close', () => (closed = true))
  return { socket, isOpen: () => !closed }
}

const still = async (clock: FakeClock) => clock.advance(0)

describe('connections', () => {
  it('beyond what one source may have are closed; others still come in', async () => {
    const { port, limited, server } = await setUp({ maxConnections: 4, maxPerSource: 2 })
    const ours = [open(port), open(port), open(port)]
    await waitFor('the third to be refused', () => ours.filter(({ isOpen }) => isOpen()).length === 2)
    expect(limited).toEqual(['max_connections_per_source'])
    const others = [open(port, '127.0.0.2'), open(port, '127.0.0.3'), open(port, '127.0.0.4')]
    await waitFor('the last to be refused', () => others.filter(({ isOpen }) => isOpen()).length === 2)
    expect(limited.at(-1)).toBe('max_connections')
    expect(ours.filter(({ isOpen }) => isOpen())).toHaveLength(2)
    for (const { socket } of [...ours, ...others]) socket.destroy()
    await waitFor(
      'all to be gone',
      () => new Promise<boolean>((resolve) => server.getConnections((_, n) => resolve(n === 0))),
    )
    const again = [open(port), open(port)]
    await waitFor('both', () => new Promise<boolean>((resolve) => server.getConnections((_, n) => resolve(n === 2))))
    expect(again.every(({ isOpen }) => isOpen())).toBe(true)
  })

  it('count while TLS is still being agreed on, and no longer once they are closed', async () => {
    const { port, server, limited } = await setUp({ maxPerSource: 2 }, undefined, true)
    const silent = [open(port), open(port), open(port)]
    await waitFor('the third to be refused', () => limited.length === 1)
    for (const { socket } of silent) socket.destroy()
    await waitFor(
      'all to be gone',
      () => new Promise<boolean>((resolve) => server.getConnections((_, n) => resolve(n === 0))),
    )
    for (let round = 0; round < 3; round++) {
      const pair = [1, 2].map(() => connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }))
      await Promise.all(pair.map((socket) => once(socket, 'secureConnect')))
      for (const socket of pair) socket.destroy()
      await waitFor(
        'both to be gone',
        () => new Promise<boolean>((resolve) => server.getConnections((_, n) => resolve(n === 0))),
      )
    }
    expect(limited).toHaveLength(1)
  })
})

it('is not looked at any more once it is closed', async () => {
  const { clock, port, server } = await setUp({})
  const came = once(server, 'connection') as Promise<[Socket]>
  const { socket } = open(port)
  const [ours] = await came
  const closed = once(ours, 'close')
  socket.destroy()
  await closed
  let looks = 0
  ours.setTimeout = () => {
    looks++
    return ours
  }
  await clock.advance(60_000)
  expect(looks).toBe(0)
})

describe('a client that hardly reads', () => {
  const big = Buffer.alloc(64 * 1024 * 1024)

  async function slowReader(tls = false) {
    const answered = Promise.withResolvers<ServerResponse>()
    const started = await setUp(
      { minBytesPerSecond: 1024 * 1024 },
      (_request, response) => {
        response.end(big)
        answered.resolve(response)
      },
      tls,
    )
    const { port } = started
    const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const response = await answered.promise
    await waitFor('the network to be full', () => response.socket!.writableLength > 0)
    return { ...started, socket, response }
  }

  it.each([false, true])('is cut once it took longer than so much takes at the slowest, TLS: %s', async (tls) => {
    const { clock, response, limited, socket } = await slowReader(tls)
    await clock.advance(120_000)
    expect(response.destroyed).toBe(false)
    await clock.advance(20_000)
    expect(response.destroyed).toBe(true)
    expect(limited).toEqual(['min_rate'])
    socket.destroy()
  })

  it('has all of that time again when it was us who stood still', async () => {
    const { clock, response, socket } = await slowReader()
    await clock.advance(60_000)
    clock.stall(3_600_000)
    await clock.advance(110_000)
    expect(response.destroyed).toBe(false)
    await clock.advance(40_000)
    expect(response.destroyed).toBe(true)
    socket.destroy()
  })

  it('is left alone when it reads, however slowly the next bytes are made', async () => {
    const answered = Promise.withResolvers<ServerResponse>()
    const { clock, port, limited } = await setUp({}, (_request, response) => {
      response.write('one')
      answered.resolve(response)
    })
    const { socket, isOpen } = open(port)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await answered.promise
    await clock.advance(3_600_000)
    expect(isOpen()).toBe(true)
    expect(limited).toEqual([])
    socket.destroy()
  })
})

describe('a connection on which nothing moves', () => {
  const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

  it.each([false, true])('is cut when nothing moves during a request, TLS: %s', async (tls) => {
    const answered = Promise.withResolvers<ServerResponse>()
    const { clock, port, limited } = await setUp(
      { stallMs: 200, minBytesPerSecond: 1 },
      (_request, response) => {
        response.end(Buffer.alloc(64 * 1024 * 1024))
        answered.resolve(response)
      },
      tls,
    )
    const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(get)
    const response = await answered.promise
    await clock.advance(50)
    await waitFor('the end', () => response.destroyed)
    // At that rate it had a year.
    expect(limited).toEqual([])
    socket.destroy()
  })

  it('keeps the time-out that a request was given', async () => {
    const came = Promise.withResolvers<IncomingMessage>()
    const { clock, port } = await setUp({}, (request) => came.resolve(request))
    const { socket } = open(port)
    socket.write(get)
    const request = await came.promise
    request.setTimeout(3_600_000)
    await clock.advance(30_000)
    expect(request.socket.timeout).toBe(3_600_000)
    socket.destroy()
  })
})

describe('a client that hardly sends', () => {
  async function upload(take: (request: IncomingMessage) => void) {
    const came = Promise.withResolvers<IncomingMessage>()
    const started = await setUp({}, (request) => {
      started.connections.receiving(request)
      take(request)
      came.resolve(request)
    })
    const { socket, isOpen } = open(started.port)
    socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n')
    const request = await came.promise
    let sent = request.socket.bytesRead
    const send = async (bytes: number) => {
      socket.write(Buffer.alloc(bytes))
      sent += bytes
      await waitFor('the bytes', () => request.socket.bytesRead >= sent)
    }
    return { ...started, socket, isOpen, send, request }
  }

  it('is cut when less than so much came on average', async () => {
    const { clock, send, isOpen, limited } = await upload((request) => request.resume())
    await send(70_000)
    await clock.advance(60_000)
    expect(limited).toEqual([])
    for (let second = 0; second < 4; second++) {
      await send(10_000)
      await clock.advance(14_000)
    }
    await clock.advance(15_000)
    expect(limited).toEqual(['min_rate'])
    await waitFor('the end', () => !isOpen())
  })

  it('is left alone when it is we who do not take what it sent', async () => {
    const { clock, send, limited, socket } = await upload(() => undefined)
    await send(1_000)
    await clock.advance(600_000)
    expect(limited).toEqual([])
    socket.destroy()
  })

  it('has its time anew when it was us who stood still', async () => {
    const { clock, send, limited, socket } = await upload((request) => request.resume())
    await send(1_000)
    clock.stall(3_600_000)
    await clock.advance(50_000)
    expect(limited).toEqual([])
    await still(clock)
    socket.destroy()
  })
})
