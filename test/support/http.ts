import { connect } from 'node:net'

/** Whether a request to the URL is answered, whatever the status; without a URL, whether the port accepts. */
export async function isAnswering(port: number, url?: string): Promise<boolean> {
  if (url === undefined) return isAccepting(port)
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  await response.body?.cancel()
  return true
}

function isAccepting(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.once('connect', () => {
    resolve(true)
  })
  socket.once('error', () => {
    resolve(false)
  })
  return promise.finally(() => socket.destroy())
}
