import { randomBytes } from 'node:crypto'
import type { OnReadOpts, Socket } from 'node:net'
import { Agent } from 'undici'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { release } from '../../../src/lib/lent.ts'
import { Incoming } from '../../../src/oci/incoming.ts'
import { createLargeReads, largeReadBytes, mostShared } from '../../../src/oci/receiving.ts'
import { startLine, type Line } from './line.ts'

let line: Line
let agent: Agent
let answer: (socket: Socket, path: string) => void
/** Bytes in a socket that nobody has read yet. */
let mostWaiting: number

beforeEach(async () => {
  const reads = createLargeReads()
  mostWaiting = 0
  const onread: OnReadOpts = {
    ...reads,
    callback(this: Socket, ...read) {
      const goesOn = reads.callback.apply(this, read)
      mostWaiting = Math.max(mostWaiting, this.readableLength)
      return goesOn
    },
  }
  agent = new Agent({ connections: 2, connect: { onread } })
  line = await startLine((socket, path) => answer(socket, path))
})

afterEach(async () => {
  await agent.destroy()
  line.close()
})

const ask = (path = '/') =>
  Incoming.of(agent, { origin: line.origin, path, method: 'GET' }, new AbortController().signal)

interface Took {
  bytes: Buffer
  /** That the pieces lay in. */
  buffers: Set<ArrayBufferLike>
}

/** Reads all, and gives each piece back before the next, or after `late` more of them. */
async function take(incoming: Incoming, late = 0): Promise<Took> {
  const [copies, held, buffers] = [[] as Buffer[], [] as Uint8Array[], new Set<ArrayBufferLike>()]
  const giveBack = (chunk: Uint8Array) => {
    // As long as it was not given back, nobody else writes there.
    copies.push(Buffer.from(chunk))
    release(chunk)
  }
  for (let chunk = await incoming.next(); chunk !== undefined; chunk = await incoming.next()) {
    buffers.add(chunk.buffer)
    held.push(chunk)
    if (held.length > late) giveBack(held.shift()!)
    await new Promise(setImmediate)
  }
  held.forEach(giveBack)
  return { bytes: Buffer.concat(copies), buffers }
}

const isShared = (buffer: ArrayBufferLike) => buffer instanceof SharedArrayBuffer

it.each([0, 3])('reads much into few buffers of shared memory, though %i pieces are still in use', async (late) => {
  const body = randomBytes(24 * 1024 * 1024)
  answer = (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`) && socket.write(body)
  const buffers = new Set<ArrayBufferLike>()
  for (let round = 0; round < 3; round++) {
    const took = await take(await ask(), late)
    expect(took.bytes.equals(body)).toBe(true)
    for (const buffer of took.buffers) if (isShared(buffer)) buffers.add(buffer)
  }
  expect(buffers.size).toBeGreaterThan(0)
  expect(buffers.size).toBeLessThanOrEqual(16)
})

it('shares no more memory than it has to where nobody gives it back', async () => {
  const body = randomBytes(64 * 1024 * 1024)
  answer = (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`) && socket.write(body)
  const incoming = await ask()
  const chunks: Uint8Array[] = []
  for (let chunk = await incoming.next(); chunk !== undefined; chunk = await incoming.next()) chunks.push(chunk)
  expect(Buffer.concat(chunks).equals(body)).toBe(true)
  expect(new Set(chunks.map(({ buffer }) => buffer).filter(isShared)).size).toBe(mostShared)
})

it('keeps two lines apart', async () => {
  const bodies = [randomBytes(8 * 1024 * 1024), randomBytes(8 * 1024 * 1024 + 5)]
  answer = (socket, path) => {
    const body = bodies[Number(path.slice(1))]!
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
  }
  const took = await Promise.all(bodies.map(async (_, index) => take(await ask(`/${index}`), 2)))
  expect(took.map(({ bytes }, index) => bytes.equals(bodies[index]!))).toEqual([true, true])
})

it('copies what is short, so that it holds no buffer', async () => {
  answer = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello')
  const { bytes, buffers } = await take(await ask())
  expect(String(bytes)).toBe('hello')
  expect([...buffers].some(isShared)).toBe(false)
})

it('does not read ahead of a body in chunks that is read slowly', async () => {
  const chunk = randomBytes(65_536)
  const count = 512
  const body = Buffer.concat(
    Array.from({ length: count }, () => [Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]).flat(),
  )
  answer = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    socket.write(body)
    socket.write('0\r\n\r\n')
  }
  const { bytes } = await take(await ask())
  expect(bytes.equals(Buffer.concat(Array.from({ length: count }, () => chunk)))).toBe(true)
  expect(mostWaiting).toBeLessThanOrEqual(2 * largeReadBytes)
})
