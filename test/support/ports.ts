import { createServer, type ListenOptions, type Server } from 'node:net'

// Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes the port between this check and
// the server's start.
const lowest = 20_000
const highest = 32_000

/**
 * A port of 127.0.0.1 on which nothing listens. It is nobody else's for as long as this process lives, whether or not something
 * listens there: what is stopped can be started at the same port again.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    const claim = await claimOf(port)
    if (claim === undefined) continue
    if (await isFree(port)) return port
    claim.close()
  }
  throw new Error('no free port found on 127.0.0.1 in 100 attempts')
}

/** Every process that wants a port claims it by a name that only one can have at a time, and that goes with its process. Only Linux has such names. */
async function claimOf(port: number): Promise<{ close(): void } | undefined> {
  const server = createServer().unref()
  const error = await listen(server, { path: `\0longshore-test-port-${port}` })
  return error?.code === 'EADDRINUSE' ? undefined : server
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  const error = await listen(server, { port, host: '127.0.0.1' })
  if (error === undefined) await new Promise((resolve) => server.close(resolve))
  return error === undefined
}

function listen(server: Server, where: ListenOptions): Promise<NodeJS.ErrnoException | undefined> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | undefined>()
  server.once('error', resolve)
  server.listen(where, () => resolve(undefined))
  return promise
}
