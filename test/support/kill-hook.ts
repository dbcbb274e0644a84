import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Event } from '../../src/model/event.ts'

/** What a request said is to be deployed. */
interface Told {
  key: string
  release: number
  digest: string
}

/** A CloudEvent. */
interface Published {
  id: string
  data: Event
}

/** A place that hears what is to be deployed, and cannot be asked what it has; and somebody who is told what happens. */
export interface Hook {
  /** Of the place. */
  url: string
  /** Of the receiver of messages. */
  eventsUrl: string
  /** In the order in which it heard of them. */
  told: Told[]
  published: Published[]
  stop(): Promise<void>
}

export async function startHook(): Promise<Hook> {
  const told: Told[] = []
  const published: Published[] = []
  const server = createServer((request, response) => {
    void Array.fromAsync(request as AsyncIterable<Buffer>).then(
      (chunks) => {
        const body: unknown = JSON.parse(Buffer.concat(chunks).toString())
        if (request.url === '/events') published.push(body as Published)
        else told.push({ ...(body as Told), key: String(request.headers['idempotency-key']) })
        response.end()
      },
      // Who sent it was killed.
      () => response.destroy(),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return {
    ...{ url, told, published },
    eventsUrl: `${url}events`,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** Each release and each message once, or again with the same key, and none after a newer one. Throws what is otherwise. */
export function checkTold({ told, published }: Hook): void {
  for (const [bundle, messages] of Map.groupBy(published, ({ data }) => data.bundle)) {
    for (const [at, { id, data }] of messages.entries()) {
      const before = messages[at - 1]
      if (before === undefined || data.seq > before.data.seq) continue
      if (data.seq === before.data.seq && id === before.id) continue
      throw new Error(`${bundle}: message ${id} (${data.type}) came after ${before.id} (${before.data.type})`)
    }
  }
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

/** Those of the events that nobody was told of. */
export function untold({ published }: Hook, events: readonly Event[]): Event[] {
  const seqs = new Set(published.map(({ data }) => data.seq))
  return events.filter(({ seq }) => !seqs.has(seq))
}
