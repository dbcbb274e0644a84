import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a request said is to be deployed. */
interface Told {
  key: string
  release: number
  digest: string
}

/** A place that hears what is to be deployed, and cannot be asked what it has. */
export interface Hook {
  url: string
  /** In the order in which it heard of them. */
  told: Told[]
  stop(): Promise<void>
}

export async function startHook(): Promise<Hook> {
  const told: Told[] = []
  const server = createServer((request, response) => {
    void Array.fromAsync(request as AsyncIterable<Buffer>).then(
      (chunks) => {
        const { release, digest } = JSON.parse(Buffer.concat(chunks).toString()) as Told
        told.push({ key: String(request.headers['idempotency-key']), release, digest })
        response.end()
      },
      // Who sent it was killed.
      () => response.destroy(),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    told,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Each release once, or again with the same key, and never one after a newer one. Throws what is otherwise. */
export function checkTold({ told }: Hook): void {
  for (const [at, { key, release, digest }] of told.entries()) {
    const before = told[at - 1]
    if (before === undefined) continue
    if (release < before.release) throw new Error(`the hook heard of release ${release} after ${before.release}`)
    if ((release === before.release) !== (key === before.key)) {
      throw new Error(
        `the hook heard of release ${release} (${digest}) as ${key}, and of ${before.release} as ${before.key}`,
      )
    }
  }
}
