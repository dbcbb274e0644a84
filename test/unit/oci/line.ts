import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'

export interface Line {
  origin: string
  /** All that were ever opened. */
  sockets: ReadonlySet<Socket>
  close(): void
}

/** A server below HTTP: `answer` writes what it likes for each request, of which each comes in one piece. */
export async function startLine(answer: (socket: Socket, path: string) => void): Promise<Line> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('data', (head: Buffer) => answer(socket, / (\S+) /.exec(String(head))![1]!)).on('error', () => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    sockets,
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
