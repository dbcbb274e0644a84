import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { TracedCall } from './trace.ts'

export const isOn = ({ args }: TracedCall, path: string) => args.includes(`<${path}>`)
export const isWrite = ({ name }: TracedCall) => /^(p?writev?(64)?|ftruncate)$/.test(name)
export const isSync = ({ name }: TracedCall) => name === 'fsync' || name === 'fdatasync'

/** Questions about what a server did, by its system calls and where its data is. */
export interface Durable {
  /** The one call that fits; more than one, or none, is an error. */
  one(what: string, fits: (call: TracedCall) => boolean): TracedCall
  /** The answer with this status and this text in its head, as it is handed to the kernel. */
  answer(status: number, text: string): TracedCall
  blobPath(digest: Digest): string
  /** Of the state. */
  wal: string
  renamesTo(path: string): TracedCall[]
  /** Everything that was written to the file before it got its name was synced first, and the name afterwards. Returns the sync of the name. */
  expectDurable(renamed: TracedCall): TracedCall
  /** Between the two the state wrote, and the last of its writes was synced. */
  expectDurableState(after: number, before: number): TracedCall
}

export function createDurable(calls: readonly TracedCall[], data: string): Durable {
  const wal = `${data}/state.db-wal`

  function one(what: string, fits: (call: TracedCall) => boolean): TracedCall {
    const found = calls.filter(fits)
    expect(found.length, what).toBe(1)
    return found[0]!
  }

  return {
    one,
    wal,
    answer: (status, text) =>
      one(`the answer ${status} with ${text}`, (call) => {
        const isSent = isWrite(call) && /<(socket|TCP)/.test(call.args)
        return isSent && call.args.includes(`HTTP/1.1 ${status} `) && call.args.includes(text)
      }),
    blobPath: (digest) => `${data}/blobs/sha256/${digest.slice(7)}`,
    renamesTo: (path) => calls.filter(({ name, args }) => name.startsWith('rename') && args.includes(`, "${path}"`)),
    expectDurable(renamed) {
      const [aside = '', path = ''] = Array.from(renamed.args.matchAll(/"([^"]+)"/g), ([, name]) => name)
      const writes = calls.filter((call) => isWrite(call) && isOn(call, aside))
      expect(writes.length).toBeGreaterThan(0)
      const sync = one(`the fsync of ${aside}`, (call) => call.name === 'fsync' && isOn(call, aside))
      expect(Math.max(...writes.map(({ end }) => end))).toBeLessThan(sync.start)
      expect(sync.end).toBeLessThan(renamed.start)
      const parent = path.slice(0, path.lastIndexOf('/'))
      const named = calls.find((call) => call.name === 'fsync' && isOn(call, parent) && call.start > renamed.end)
      expect(named, `the fsync of ${parent}`).toBeDefined()
      return named!
    },
    expectDurableState(after, before) {
      const between = calls.filter(({ start, end }) => start > after && end < before)
      const writes = between.filter((call) => isWrite(call) && isOn(call, wal))
      expect(writes.length, 'writes of the state').toBeGreaterThan(0)
      const last = Math.max(...writes.map(({ end }) => end))
      const sync = between.find((call) => isSync(call) && isOn(call, wal) && call.start > last)
      expect(sync, 'the sync of the state').toBeDefined()
      return sync!
    },
  }
}

/** Whether every change of the catalog is in the layouts, and noted: nothing writes by itself after that. */
export function isIndexed(data: string): boolean {
  const database = new DatabaseSync(`${data}/state.db`, { readOnly: true })
  try {
    const rows = database.prepare('select version, indexed from repositories').all()
    return rows.length > 0 && rows.every(({ version, indexed }) => version === indexed)
  } finally {
    database.close()
  }
}
