import { describe, expect, it } from 'vitest'
import { abortable } from '../../../src/content/abortable.ts'

async function* once(): AsyncIterable<string> {
  yield await Promise.resolve('first')
  await new Promise(() => undefined)
}

describe('an abort ends the wait for a silent source', () => {
  it('while it is waited for', async () => {
    const stop = new AbortController()
    const chunks = abortable(once(), stop.signal)[Symbol.asyncIterator]()
    await chunks.next()
    const next = chunks.next()
    stop.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
  })

  it('while the consumer is busy with a chunk', async () => {
    const stop = new AbortController()
    const chunks = abortable(once(), stop.signal)[Symbol.asyncIterator]()
    await chunks.next()
    stop.abort(new Error('enough'))
    await expect(chunks.next()).rejects.toThrow('enough')
  })

  it('before it begins', async () => {
    const chunks = abortable(once(), AbortSignal.abort(new Error('enough')))[Symbol.asyncIterator]()
    await expect(chunks.next()).rejects.toThrow('enough')
  })
})

it('hands on all chunks, the end, and errors', async () => {
  async function* source() {
    yield await Promise.resolve(1)
    yield 2
    throw new Error('broken')
  }
  for (const signal of [undefined, new AbortController().signal]) {
    const seen: number[] = []
    const all = async () => {
      for await (const chunk of abortable(source(), signal)) seen.push(chunk)
    }
    await expect(all()).rejects.toThrow('broken')
    expect(seen).toEqual([1, 2])
  }
})

it('tells the source when the consumer stops early', async () => {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  async function* source() {
    try {
      for (;;) yield await Promise.resolve(1)
    } finally {
      resolve(undefined)
    }
  }
  for await (const _ of abortable(source(), new AbortController().signal)) break
  await promise
})
