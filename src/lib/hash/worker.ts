import { createHash, type Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

// What a hashing thread runs: orders of one id are done in the order in which they came.

export type Order = { id: number } & (
  | { do: 'begin'; algorithm: string }
  | { do: 'update'; bytes: Uint8Array<SharedArrayBuffer> }
  | { do: 'mark' | 'rollback' | 'digest' | 'end' }
)

/** To each `update` and `digest`. */
export interface Done {
  id: number
  /** In hex. */
  digest?: string
}

interface Running {
  hash: Hash
  mark: Hash
}

const running = new Map<number, Running>()

function obey(order: Order): Omit<Done, 'id'> | undefined {
  const { id } = order
  if (order.do === 'begin') {
    const hash = createHash(order.algorithm)
    running.set(id, { hash, mark: hash.copy() })
    return undefined
  }
  const one = running.get(id)!
  switch (order.do) {
    case 'update':
      one.hash.update(order.bytes)
      return {}
    case 'digest':
      return { digest: one.hash.copy().digest('hex') }
    case 'mark':
      one.mark = one.hash.copy()
      return undefined
    case 'rollback':
      one.hash = one.mark.copy()
      return undefined
    case 'end':
      running.delete(id)
      return undefined
  }
}

parentPort?.on('message', (order: Order) => {
  const done = obey(order)
  if (done !== undefined) parentPort?.postMessage({ id: order.id, ...done } satisfies Done)
})
