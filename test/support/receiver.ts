import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Received } from './scripted-server.ts'

export interface Receiver {
  origin: string
  /** All of them, in the order in which they were complete. */
  requests: Received[]
  stop(): Promise<void>
}

/** Takes whatever it is sent; at the same port again after it was away. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const requests: Received[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '' } = request
      const headers = request.headers as Record<string, string | undefined>
      requests.push({ method, url, headers, body: Buffer.concat(chunks) })
      response.end('ok')
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async stop() {
      if (!server.listening) return
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
