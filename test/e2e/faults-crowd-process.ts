// Many clients, in a process of their own: its descriptors, its memory and its time are not the test's. Told what to do over IPC.
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { CrowdCommand, CrowdStats, OpenCommand } from './faults-crowd.ts'

interface Client {
  socket: Socket
  /** Bytes of the answer that are not read yet; a body is hashed as it comes. */
  head: Buffer
  left: number
  hash: ReturnType<typeof createHash> | undefined
}

interface Group {
  clients: Set<Client>
  stats: CrowdStats
  timer: NodeJS.Timeout | undefined
}

const groups = new Map<string, Group>()

function groupOf(name: string): Group {
  const known = groups.get(name)
  if (known !== undefined) return known
  const stats = { opened: 0, failed: 0, open: 0, answers: 0, statuses: {}, bodies: {}, retryAfter: 0 }
  const group = { clients: new Set<Client>(), stats, timer: undefined }
  groups.set(name, group)
  return group
}

function openOne(group: Group, { port, from, send, paused }: OpenCommand): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  const client: Client = { socket, head: Buffer.alloc(0), left: 0, hash: undefined }
  socket.once('connect', () => {
    group.stats.opened++
    group.stats.open++
    group.clients.add(client)
    socket.once('close', () => {
      group.stats.open--
      group.clients.delete(client)
    })
    socket.write(send, 'latin1')
    if (paused === true) socket.pause()
    resolve()
  })
  socket.on('error', () => {
    if (socket.connecting || socket.bytesWritten === 0) group.stats.failed++
    resolve()
  })
  socket.on('data', (chunk: Buffer) => read(group, client, chunk))
  return promise
}

async function openAll(command: OpenCommand): Promise<void> {
  const group = groupOf(command.group)
  let left = command.count
  const one = async () => {
    while (left-- > 0) await openOne(group, command)
  }
  await Promise.all(Array.from({ length: Math.min(100, command.count) }, one))
}

/** Answers with a Content-Length, or without a body: all that is asked for here. */
function read(group: Group, client: Client, chunk: Buffer): void {
  let rest = chunk
  while (rest.length > 0) {
    if (client.left > 0) {
      const body = rest.subarray(0, client.left)
      client.hash!.update(body)
      client.left -= body.length
      rest = rest.subarray(body.length)
      if (client.left === 0) finish(group, client)
      continue
    }
    client.head = Buffer.concat([client.head, rest])
    const end = client.head.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = client.head.subarray(0, end).toString('latin1')
    rest = client.head.subarray(end + 4)
    client.head = Buffer.alloc(0)
    begin(group, client, head)
  }
}

function begin({ stats }: Group, client: Client, head: string): void {
  const status = /^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 'none'
  if (status === '100') return
  stats.answers++
  stats.statuses[status] = (stats.statuses[status] ?? 0) + 1
  if (/^retry-after: \d+/im.test(head)) stats.retryAfter++
  client.left = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  client.hash = createHash('sha256')
}

function finish({ stats }: Group, client: Client): void {
  const digest = `sha256:${client.hash!.digest('hex')}`
  stats.bodies[digest] = (stats.bodies[digest] ?? 0) + 1
}

async function obey(command: CrowdCommand): Promise<unknown> {
  const group = groupOf(command.group)
  const each = (run: (socket: Socket) => void) => group.clients.forEach(({ socket }) => run(socket))
  switch (command.do) {
    case 'open':
      return openAll(command)
    case 'send':
      return each((socket) => socket.write(command.send, 'latin1'))
    case 'drip':
      group.timer = setInterval(() => each((socket) => socket.write(command.send, 'latin1')), command.everyMs)
      return
    case 'resume':
      return each((socket) => socket.resume())
    case 'reset':
      return each((socket) => socket.resetAndDestroy())
    case 'close':
      clearInterval(group.timer)
      return each((socket) => socket.destroy())
    case 'stats':
      return group.stats
  }
}

process.on('message', ({ id, command }: { id: number; command: CrowdCommand }) => {
  void obey(command).then((result) => process.send!({ id, result: result ?? null }))
})
process.on('disconnect', () => process.exit())
