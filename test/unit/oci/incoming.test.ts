import type { Socket } from 'node:net'
import { Agent } from 'undici'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Incoming } from '../../../src/oci/incoming.ts'
import { waitFor } from '../../support/wait.ts'
import { startLine, type Line } from './line.ts'

let line: Line
let agent: Agent
let answer: (socket: Socket) => void

beforeEach(async () => {
  agent = new Agent({ connections: 1 })
  line = await startLine((socket) => answer(socket))
})

afterEach(async () => {
  await agent.destroy()
  line.close()
})

const ask = (signal: AbortSignal = new AbortController().signal, method: 'GET' | 'HEAD' = 'GET') =>
  Incoming.of(agent, { origin: line.origin, path: '/', method, reset: false }, signal)

const say = (head: string, body: string | Buffer = '') => {
  answer = (socket) => {
    socket.write(`HTTP/1.1 ${head}\r\n\r\n`)
    socket.write(body)
  }
}

async function read(incoming: Incoming): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for (let chunk = await incoming.next(); chunk !== undefined; chunk = await incoming.next()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

it('is the answer, not what comes before it', async () => {
  say('103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-two: a\r\nx-two: b', 'hello')
  const incoming = await ask()
  expect(incoming).toMatchObject({ status: 200, headers: { 'content-length': '5', 'x-two': ['a', 'b'] } })
  expect(String(await read(incoming))).toBe('hello')
  expect(incoming.isComplete).toBe(true)
  expect(await incoming.next()).toBeUndefined()
})

it('keeps the line waiting while nobody reads, and loses nothing', async () => {
  // More than what the kernel holds of it.
  const body = Buffer.alloc(64 * 1024 * 1024, 'x')
  say(`200 OK\r\ncontent-length: ${body.length}`, body)
  const incoming = await ask()
  const [socket] = line.sockets
  const lengths: number[] = []
  await waitFor('nothing more to go', () => {
    lengths.push(socket!.writableLength)
    return lengths.length > 10 && lengths.slice(-10).every((length) => length === socket!.writableLength)
  })
  expect(socket!.writableLength).toBeGreaterThan(0)
  expect(incoming.isComplete).toBe(false)
  expect((await read(incoming)).equals(body)).toBe(true)
})

it('lets little pass by and uses the connection again; ends it where it is much', async () => {
  for (const method of ['GET', 'HEAD'] as const) {
    say('200 OK\r\ncontent-length: 5', method === 'GET' ? 'hello' : '')
    await (await ask(undefined, method)).pass(10)
  }
  expect(line.sockets.size).toBe(1)
  say('200 OK\r\ncontent-length: 50')
  await (await ask()).pass(10)
  say('200 OK\r\ntransfer-encoding: chunked', `14\r\n${'x'.repeat(20)}\r\n`)
  await (await ask()).pass(10)
  say('200 OK\r\ncontent-length: 0')
  await (await ask()).pass(10)
  expect(line.sockets.size).toBe(3)
})

it('ends the connection of what turns out to be much while it passes by', async () => {
  say('200 OK\r\ntransfer-encoding: chunked')
  const incoming = await ask()
  const [socket] = line.sockets
  const passing = incoming.pass(10)
  const piece = `8\r\n${'x'.repeat(8)}\r\n`
  socket!.write(piece.repeat(2))
  await passing
  await waitFor('the connection to end', () => socket!.destroyed)
  expect(incoming.isComplete).toBe(false)
})

it('ends the connection of what nobody wants', async () => {
  say('200 OK\r\ncontent-length: 50', 'the beginning')
  const incoming = await ask()
  const [socket] = line.sockets
  incoming.destroy()
  await expect(incoming.next()).rejects.toThrow('nobody wants the rest')
  await waitFor('the connection to end', () => socket!.destroyed)
  expect(incoming.isComplete).toBe(false)
})

it('throws what cut it off, after what came before', async () => {
  answer = (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nthe beginning')
  const incoming = await ask()
  expect(String(await incoming.next())).toBe('the beginning')
  await expect(incoming.next()).rejects.toMatchObject({ code: 'UND_ERR_SOCKET' })
})

it('ends with the reason of the signal: before it is asked, in the queue, before the head, in the body', async () => {
  const aborter = () => {
    const controller = new AbortController()
    return { signal: controller.signal, abort: () => controller.abort(new Error('enough')) }
  }
  const before = aborter()
  before.abort()
  await expect(ask(before.signal)).rejects.toThrow('enough')
  expect(line.sockets.size).toBe(0)

  answer = () => undefined
  const [head, queued] = [aborter(), aborter()]
  const [hanging, waiting] = [ask(head.signal), ask(queued.signal)]
  queued.abort()
  // At once, though the only connection is taken.
  await expect(waiting).rejects.toThrow('enough')
  head.abort()
  await expect(hanging).rejects.toThrow('enough')

  say('200 OK\r\ncontent-length: 50', 'the beginning')
  const body = aborter()
  const incoming = await ask(body.signal)
  const next = (async () => {
    await incoming.next()
    return incoming.next()
  })()
  body.abort()
  await expect(next).rejects.toThrow('enough')
})
