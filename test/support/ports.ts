import { createServer } from 'node:net'

// Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes the port between this check and
// the server's start.
const lowest = 20_000
const highest = 32_000

const given = new Set<number>()

/** A port of 127.0.0.1 on which nothing listens, and which this process was not given before. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error('no free port found on 127.0.0.1 in 100 attempts')
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const server = createServer()
  server.once('error', () => {
    resolve(false)
  })
  server.listen(port, '127.0.0.1', () => {
    server.close(() => {
      resolve(true)
    })
  })
  return promise
}
